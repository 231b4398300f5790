"""Authlib's AuthorizationServer bound to our stores: what the token side supports, top to bottom.

Framework-free: a request value comes in, a response value goes out. Authlib's defaults that are
traps are overridden in the grants; client authentication is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from idp import events
from idp.endpoint import NO_STORE, Parameters, Request, Response, json_response, single
from idp.errors import IdpError, InvalidClient, OAuthError
from idp.oidc.client import OAuthClient
from idp.oidc.client_auth import ClientAuth
from idp.oidc.grants.authorization_code import AuthorizationCode
from idp.oidc.grants.client_credentials import ClientCredentials
from idp.oidc.grants.mint import Mint
from idp.oidc.grants.refresh_token import RefreshTokens
from idp.ports import Clients, Clock

GRANTS = (AuthorizationCode, RefreshTokens, ClientCredentials)
GRANT_TYPES = tuple(grant.GRANT_TYPE for grant in GRANTS)
REPEATABLE = frozenset({"resource"})


class TokenRequest(OAuth2Request):
    """Our request value as Authlib reads one.

    The parent's constructor judges the URI's scheme; here the issuer's configuration did that.
    """

    def __init__(self, request: Request, parameters: Parameters, values: dict[str, str]) -> None:
        self.method = request.method
        self.uri = request.path
        self.headers = request.headers
        self.payload = BasicOAuth2Payload(values)
        self.source = request
        self.parameters = parameters
        self.values = values
        self.client: OAuthClient | None = None
        self.auth_method: str | None = None
        self.user: Any = None
        self.authorization_code: Any = None
        self.refresh_token: Any = None
        self.credential: Any = None
        self._scope: str | None = None
        self._body: Any = None

    @property
    def args(self) -> Mapping[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return self.values


@dataclass(frozen=True, slots=True)
class TokenDependencies:
    clients: Clients
    client_auth: ClientAuth
    mint: Mint
    bus: events.Bus
    clock: Clock


class Server(AuthorizationServer):
    def __init__(self, needs: TokenDependencies) -> None:
        super().__init__()
        self._needs = needs
        self.mint = needs.mint
        for grant in GRANTS:
            self.register_grant(grant)

    def token(self, request: Request) -> Response:
        """The token endpoint (RFC 6749 section 3.2)."""
        values: dict[str, str] = {}
        try:
            parameters = request.form()
            values = single(parameters, repeatable=REPEATABLE)
            if "grant_type" not in values:
                raise OAuthError(
                    "invalid_request", "grant_type is missing.", parameter="grant_type"
                )
            response: Response = self.create_token_response(
                TokenRequest(request, parameters, values)
            )
        except OAuthError as error:
            self._refused(values, error.code, error.detail or error.public)
            return error_response(error, request)
        return response

    def _refused(self, values: Mapping[str, str], error: str, detail: str) -> None:
        grant_type = values.get("grant_type", "")
        self._needs.bus.emit(
            events.TokenRefused(
                at=self._needs.clock(),
                grant_type=grant_type if grant_type in GRANT_TYPES else "other",
                client_id=values.get("client_id", "")[:128],
                error=error,
                detail=detail,
            )
        )

    def query_client(self, client_id: str) -> OAuthClient | None:
        record = self._needs.clients.get(client_id)
        return None if record is None else OAuthClient(record)

    def authenticate_client(
        self, request: TokenRequest, methods: Sequence[str], endpoint: str = "token"
    ) -> OAuthClient:
        return OAuthClient(self._needs.client_auth.authenticate(request.source, request.values))

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib's signals are not used: services emit events."""

    def handle_response(
        self, status: int, body: Mapping[str, Any], headers: Sequence[tuple[str, str]]
    ) -> Response:
        return json_response(status, body)

    def handle_error_response(self, request: TokenRequest, error: OAuth2Error) -> Response:
        """Authlib's own refusals, in our shape: the code is the RFC's, the text is ours."""
        self._refused(request.values, error.error, error.description or "")
        return json_response(
            400, {"error": error.error, "error_description": error.description or error.error}
        )


def error_response(error: IdpError, request: Request) -> Response:
    """RFC 6749 section 5.2; 401 names the scheme that the client tried."""
    body = {"error": error.code, "error_description": error.public}
    headers: tuple[tuple[str, str], ...] = NO_STORE
    if isinstance(error, InvalidClient):
        headers = (*NO_STORE, ("WWW-Authenticate", 'Basic realm="client"'))
    return json_response(error.status, body, headers=headers)
