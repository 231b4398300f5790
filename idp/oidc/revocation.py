"""Token revocation (RFC 7009). Revoking a refresh token ends its grant and all that hangs on it;
somebody else's token is answered 200 and left alone."""

from datetime import UTC, datetime

from idp import events
from idp.endpoint import NO_STORE, Request, Response, single
from idp.errors import OAuthError
from idp.model import Client
from idp.oidc.client_auth import ClientAuth
from idp.oidc.grants.mint import token_hash
from idp.oidc.server import error_response
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clock, Grants


class Revocation:
    def __init__(
        self,
        client_auth: ClientAuth,
        tokens: Tokens,
        grants: Grants,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self._client_auth = client_auth
        self._tokens = tokens
        self._grants = grants
        self._bus = bus
        self._clock = clock

    def __call__(self, request: Request) -> Response:
        try:
            form = single(request.form())
            client = self._client_auth.authenticate(request, form)
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.", parameter="token")
        except OAuthError as error:
            return error_response(error, request)
        kind = self._refresh_token(form["token"], client) or self._access_token(
            form["token"], client
        )
        if kind:
            self._bus.emit(
                events.TokenRevoked(
                    at=self._clock(), client_id=client.client_id, kind=kind, reason="client"
                )
            )
        return Response(200, NO_STORE)

    def _refresh_token(self, token: str, client: Client) -> str | None:
        record = self._grants.find_refresh(token_hash(token))
        if record is None or record.client_id != client.client_id:
            return None
        self._grants.revoke(record.grant_id, self._clock(), "revoked by the client")
        return "refresh_token"

    def _access_token(self, token: str, client: Client) -> str | None:
        try:
            claims = self._tokens.verify_access_token(token, self._clock())
        except InvalidJws:
            return None
        if claims["client_id"] != client.client_id:
            return None
        self._grants.revoke_token(claims["jti"], datetime.fromtimestamp(claims["exp"], UTC))
        return "access_token"
