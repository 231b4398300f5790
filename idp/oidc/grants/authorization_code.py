"""authorization_code (RFC 6749 section 4.1.3) with PKCE (RFC 7636).

Overrides of Authlib: `redirect_uri` is always compared, the code is used up by one atomic
statement before anything is issued and stays behind as the trace that a replay is known by,
and a code without a challenge cannot be redeemed with a verifier (RFC 9700 section 4.8.2).
"""

import base64
import hashlib
import hmac
from typing import Any

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from idp.errors import OAuthError
from idp.model import Client, Code
from idp.oidc.client import OAuthClient
from idp.oidc.client_auth import METHODS
from idp.oidc.grants.mint import Mint, replayed, token_hash


class AuthorizationCode(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS)  # noqa: RUF012 - Authlib reads a list

    @property
    def _mint(self) -> Mint:
        mint: Mint = self.server.mint
        return mint

    @classmethod
    def check_authorization_endpoint(cls, request: Any) -> bool:
        return False  # `authorize` judges those requests

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client().record
        _check_grant_type(client, self.GRANT_TYPE)
        given = self.request.values.get("code")
        if given is None:
            raise OAuthError("invalid_request", "code is missing.", parameter="code")
        code = self.query_authorization_code(given, client)
        if code.redirect_uri != self.request.values.get("redirect_uri"):
            raise _invalid("redirect_uri differs")
        _check_verifier(code, self.request.values.get("code_verifier"))
        self.request.client = OAuthClient(client)
        self.request.authorization_code = code

    def query_authorization_code(self, code: str, client: Client) -> Code:
        """The live code of this client. A used one is a replay; another client's is none."""
        found = self._mint.grants.peek_code(token_hash(code))
        if found is None or found.client_id != client.client_id:
            raise _invalid("unknown code")
        if found.used_at is not None:
            raise replayed(self._mint, found)
        if found.expires_at <= self._mint.clock():
            raise _invalid("expired")
        return found

    def create_token_response(self) -> tuple[int, Any, Any]:
        client, code = self.request.client.record, self.request.authorization_code
        grant = self._mint.grants.get(code.grant_id)
        if grant is None:
            raise _invalid("its grant is gone")
        cleared = self._mint.clear(client, grant)
        asked = self.request.parameters.get("resource", ())
        audience = self._mint.audience(grant, grant.scopes, asked)
        token, record = self._mint.first_refresh(client, grant) or (None, None)
        if not self._mint.grants.use_code(code.hash, self._mint.clock(), record):
            again = self._mint.grants.peek_code(code.hash)
            if again is not None and again.used_at is not None:
                raise replayed(self._mint, again)
            raise _invalid("expired, or its grant was revoked")
        answer = self._mint.for_grant(
            self.GRANT_TYPE,
            cleared,
            grant,
            scopes=grant.scopes,
            audience=audience,
            nonce=code.nonce,
            refresh=token,
        )
        return 200, answer, self.TOKEN_RESPONSE_HEADER


def _check_grant_type(client: Client, grant_type: str) -> None:
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", f"This client may not use {grant_type}.")


def _check_verifier(code: Code, verifier: str | None) -> None:
    """RFC 7636 section 4.6, S256 only."""
    if code.code_challenge is None:
        if verifier is not None:
            raise _invalid("verifier without challenge")
        return
    if verifier is None or not 43 <= len(verifier) <= 128:
        raise _invalid("code_verifier missing or of a wrong length")
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(computed, code.code_challenge):
        raise _invalid("wrong code_verifier")


def _invalid(detail: str) -> OAuthError:
    return OAuthError(
        "invalid_grant", "The code is not valid for this request.", detail=f"code: {detail}"
    )
