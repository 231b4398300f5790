"""UserInfo (OIDC Core section 5.3), by GET and POST, with a bearer token (RFC 6750)."""

from collections.abc import Mapping
from typing import Any

from idp import events
from idp.endpoint import FORM, NO_STORE, Request, Response, json_response, single
from idp.errors import OAuthError
from idp.oidc.claims import requested, user_claims
from idp.oidc.introspection import Introspection
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clock, Grants, Users


class UserInfo:
    def __init__(
        self,
        tokens: Tokens,
        introspection: Introspection,
        grants: Grants,
        users: Users,
        issuer: str,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._introspection = introspection
        self._grants = grants
        self._users = users
        self._issuer = issuer
        self._bus = bus
        self._clock = clock

    def __call__(self, request: Request) -> Response:
        try:
            token = _bearer(request)
        except OAuthError as error:
            return _challenge(400, error.code, error.public)
        if token is None:
            return _challenge(401)
        try:
            claims = self._tokens.verify_access_token(token, self._clock())
        except InvalidJws:
            return _challenge(401, "invalid_token", "The access token is not valid.")
        if not self._for_us(claims) or not self._introspection.stands(claims):
            return _challenge(401, "invalid_token", "The access token is not valid.")
        scopes = claims.get("scope", "").split()
        if "openid" not in scopes:
            return _challenge(403, "insufficient_scope", "The scope openid is needed.", "openid")
        user = self._users.get(claims["sub"])
        grant = self._grants.get(claims["grant"]) if "grant" in claims else None
        if user is None or grant is None:
            return _challenge(401, "invalid_token", "The access token is not valid.")
        self._bus.emit(events.UserInfoServed(at=self._clock(), client_id=claims["client_id"]))
        return json_response(200, user_claims(user, scopes, requested(grant.claims, "userinfo")))

    def _for_us(self, claims: Mapping[str, Any]) -> bool:
        audience = claims.get("aud")
        return self._issuer in ([audience] if isinstance(audience, str) else audience or [])


def _bearer(request: Request) -> str | None:
    """RFC 6750 section 2: the header, or the body of a form POST; never both, never the query."""
    header = request.headers.get("authorization")
    token: str | None = None
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = value.strip()
    if request.method == "POST" and request.headers.get("content-type", "").startswith(FORM):
        in_body = single(request.form()).get("access_token")
        if in_body is not None and token is not None:
            raise OAuthError("invalid_request", "Send the access token once.")
        token = token or in_body
    return token or None


def _challenge(status: int, error: str = "", text: str = "", scope: str = "") -> Response:
    """RFC 6750 section 3: no error code when no token was presented."""
    parts = ['Bearer realm="userinfo"']
    if error:
        parts.append(f'error="{error}", error_description="{text}"')
    if scope:
        parts.append(f'scope="{scope}"')
    headers = (*NO_STORE, ("WWW-Authenticate", ", ".join(parts)))
    if not error:
        return Response(status, headers)
    return json_response(status, {"error": error, "error_description": text}, headers=headers)
