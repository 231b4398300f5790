"""A client as Authlib sees it, and the rules on its redirect URIs (RFC 6749 3.1.2, RFC 8252)."""

import re
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin

from idp.model import Client

_PORT = re.compile(r"[1-9][0-9]{0,4}")
LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})


class OAuthClient(ClientMixin):
    """Authlib's view of `model.Client`; decides nothing that the record does not say."""

    def __init__(self, record: Client) -> None:
        self.record = record

    def get_client_id(self) -> str:
        return self.record.client_id

    def get_default_redirect_uri(self) -> None:
        """None: `redirect_uri` is always required (OAuth 2.1 section 4.1.1)."""

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(s for s in scope.split() if s in self.record.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_allowed(self.record, redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        return False  # client_auth alone compares secrets

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.record.token_endpoint_auth_method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.record.grant_types


def redirect_allowed(client: Client, uri: str) -> bool:
    """Exact string comparison; a native client's loopback URI may differ in its port alone
    (RFC 8252 section 7.3)."""
    if uri in client.redirect_uris:
        return True
    return client.application_type == "native" and any(
        _same_but_port(registered, uri) for registered in client.redirect_uris
    )


def _same_but_port(registered: str, uri: str) -> bool:
    ours = _loopback_parts(registered)
    return ours is not None and ours == _loopback_parts(uri)


def _loopback_parts(uri: str) -> tuple[str, str] | None:
    """Host and everything after the port of a plain loopback URI; None for any other.

    The pieces must give back exactly the string: what a parser would tolerate, we do not.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme != "http" or not separator:
        return None
    slash = rest.find("/")
    authority, tail = (rest, "") if slash < 0 else (rest[:slash], rest[slash:])
    host, colon, port = (
        authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    )
    if not host:
        host, port = authority, ""
    if host not in LOOPBACK:
        return None
    if colon and not (_PORT.fullmatch(port) and int(port) < 65536):
        return None
    if any(c in uri for c in "#\\@ \t\r\n") or not uri.isascii():
        return None
    return host, tail


def origin(uri: str) -> str:
    """Scheme, host and port for a CSP source; the scheme alone for an app's private scheme."""
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"
