"""OpenID Connect and OAuth 2: endpoints that take a request value and return a response value."""

from idp.oidc.verify import verify_jws

__all__ = ["verify_jws"]
