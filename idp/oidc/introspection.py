"""Token introspection (RFC 7662). Whoever asks must authenticate, and learns only of tokens that
are its own or meant for a resource that it serves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from idp import events
from idp.endpoint import Request, Response, json_response, single
from idp.errors import OAuthError
from idp.model import Client
from idp.oidc.client_auth import ClientAuth
from idp.oidc.grants.mint import token_hash
from idp.oidc.server import error_response
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clients, Clock, Grants

INACTIVE: Mapping[str, Any] = {"active": False}
_PRIVATE = frozenset({"grant"})


class Introspection:
    def __init__(
        self,
        client_auth: ClientAuth,
        tokens: Tokens,
        grants: Grants,
        clients: Clients,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self._client_auth = client_auth
        self._tokens = tokens
        self._grants = grants
        self._clients = clients
        self._bus = bus
        self._clock = clock

    def __call__(self, request: Request) -> Response:
        try:
            form = single(request.form())
            client = self._client_auth.authenticate(request, form)
            if client.public:
                raise OAuthError("unauthorized_client", "A public client may not introspect.")
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.", parameter="token")
        except OAuthError as error:
            return error_response(error, request)
        now = self._clock()
        found = self._access_token(form["token"], client, now) or self._refresh_token(
            form["token"], client, now
        )
        self._bus.emit(
            events.TokenIntrospected(at=now, client_id=client.client_id, active=found is not None)
        )
        return json_response(200, found or INACTIVE)

    def _access_token(self, token: str, client: Client, now: datetime) -> Mapping[str, Any] | None:
        if token.count(".") != 2:
            return None
        try:
            claims = self._tokens.verify_access_token(token, now)
        except InvalidJws:
            return None
        if not _concerns(claims, client) or not self.stands(claims):
            return None
        public = {name: value for name, value in claims.items() if name not in _PRIVATE}
        return {"active": True, "token_type": "Bearer", **public}

    def stands(self, claims: Mapping[str, Any]) -> bool:
        """Whether nothing was revoked since: token, grant, user, client; read anew each time."""
        grant_id = claims.get("grant", "")
        standing = self._grants.standing(claims["jti"], grant_id, claims["sub"] if grant_id else "")
        if standing.token_revoked or standing.grant_revoked or standing.user_disabled:
            return False
        issued_to = self._clients.get(claims["client_id"])
        return issued_to is not None and issued_to.disabled_at is None

    def _refresh_token(self, token: str, client: Client, now: datetime) -> Mapping[str, Any] | None:
        record = self._grants.find_refresh(token_hash(token))
        if record is None or record.client_id != client.client_id:
            return None
        if record.used_at is not None or record.expires_at <= now:
            return None
        grant = self._grants.get(record.grant_id)
        if grant is None or grant.revoked_at is not None:
            return None
        standing = self._grants.standing("", grant.id, grant.user_id)
        if standing.user_disabled:
            return None
        return {
            "active": True,
            "client_id": record.client_id,
            "sub": grant.user_id,
            "scope": " ".join(grant.scopes),
            "exp": int(record.expires_at.timestamp()),
            "iat": int(record.issued_at.timestamp()),
        }


def _concerns(claims: Mapping[str, Any], client: Client) -> bool:
    if claims["client_id"] == client.client_id:
        return True
    audience = claims["aud"]
    named = {audience} if isinstance(audience, str) else set(audience)
    return bool(named & set(client.resources))
