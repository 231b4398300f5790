"""client_credentials (RFC 6749 section 4.4) for confidential clients."""

from typing import Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from idp.errors import OAuthError
from idp.model import Client
from idp.oidc.claims import SCOPES
from idp.oidc.client import OAuthClient
from idp.oidc.client_auth import METHODS


class ClientCredentials(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = [m for m in METHODS if m != "none"]  # noqa: RUF012 - Authlib's

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client().record
        if client.public or self.GRANT_TYPE not in client.grant_types:
            raise OAuthError("unauthorized_client", f"This client may not use {self.GRANT_TYPE}.")
        self.request.client = OAuthClient(client)
        self.request.scope = " ".join(_scopes(client, self.request.values.get("scope")))

    def create_token_response(self) -> tuple[int, Any, Any]:
        scopes = tuple(self.request.scope.split())
        answer = self.server.mint.for_client(
            self.request.client.record, scopes, self.request.parameters.get("resource", ())
        )
        return 200, answer, self.TOKEN_RESPONSE_HEADER


def _scopes(client: Client, scope: str | None) -> tuple[str, ...]:
    """What was asked, of what the client may have: all of it when nothing is named. Scopes about
    a person mean nothing here (OIDC Core section 11 and 5.4)."""
    allowed = tuple(s for s in client.scopes if s not in SCOPES)
    if scope is None:
        return allowed
    asked = tuple(dict.fromkeys(scope.split()))
    if not set(asked) <= set(allowed):
        raise OAuthError("invalid_scope", "This client may not ask for that scope.")
    return asked
