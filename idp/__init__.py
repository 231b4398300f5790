"""An identity provider: OAuth 2 and OpenID Connect over pluggable factors."""

__version__ = "0.1.0"
