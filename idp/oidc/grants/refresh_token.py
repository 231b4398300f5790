"""refresh_token (RFC 6749 section 6) with rotation, families and reuse detection.

Overrides of Authlib: always a new refresh token, by one atomic statement; a token presented
after the grace kills its family, which is its grant (RFC 9700 section 4.14.2).
"""

from typing import Any

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from idp import events
from idp.errors import OAuthError
from idp.model import Grant, RefreshToken
from idp.oidc.client import OAuthClient
from idp.oidc.client_auth import METHODS
from idp.oidc.grants.mint import Mint, token_hash


class RefreshTokens(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS)  # noqa: RUF012 - Authlib reads a list
    INCLUDE_NEW_REFRESH_TOKEN = True

    @property
    def _mint(self) -> Mint:
        mint: Mint = self.server.mint
        return mint

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client().record
        if self.GRANT_TYPE not in client.grant_types:
            raise OAuthError("unauthorized_client", f"This client may not use {self.GRANT_TYPE}.")
        given = self.request.values.get("refresh_token")
        if given is None:
            raise OAuthError(
                "invalid_request", "refresh_token is missing.", parameter="refresh_token"
            )
        record = self.authenticate_refresh_token(given)
        if record is None or record.client_id != client.client_id:
            raise _invalid("unknown token")
        if record.expires_at <= self._mint.clock():
            raise _invalid("expired")
        self.request.client = OAuthClient(client)
        self.request.refresh_token = record

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        return self._mint.grants.find_refresh(token_hash(refresh_token))

    def create_token_response(self) -> tuple[int, Any, Any]:
        client, record = self.request.client.record, self.request.refresh_token
        grant = self._mint.grants.get(record.grant_id)
        if grant is None:
            raise _invalid("its grant is gone")
        cleared = self._mint.clear(client, grant)
        scopes = _narrowed(grant, self.request.values.get("scope"))
        audience = self._mint.audience(grant, scopes, self.request.parameters.get("resource", ()))
        successor = self._mint.rotate(self.request.values["refresh_token"], record)
        if successor is None:
            raise self._reused(record)
        answer = self._mint.for_grant(
            self.GRANT_TYPE,
            cleared,
            grant,
            scopes=scopes,
            audience=audience,
            nonce=None,
            refresh=successor,
        )
        return 200, answer, self.TOKEN_RESPONSE_HEADER

    def _reused(self, record: RefreshToken) -> OAuthError:
        now = self._mint.clock()
        self._mint.grants.revoke(record.grant_id, now, "refresh token reused")
        self._mint.bus.emit(
            events.RefreshTokenReused(at=now, client_id=record.client_id, grant_id=record.grant_id)
        )
        return _invalid("reused: the family is revoked")


def _narrowed(grant: Grant, scope: str | None) -> tuple[str, ...]:
    """RFC 6749 section 6: never wider than what was granted."""
    if scope is None:
        return grant.scopes
    asked = tuple(dict.fromkeys(scope.split()))
    if not set(asked) <= set(grant.scopes):
        raise OAuthError("invalid_scope", "That scope was not granted.", parameter="scope")
    return asked


def _invalid(detail: str) -> OAuthError:
    return OAuthError(
        "invalid_grant", "The refresh token is not valid.", detail=f"refresh token: {detail}"
    )
