"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0).

Without a hint that proves who asks, the person is asked first; a redirect goes only to an
address that the client registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from idp.endpoint import Parameters, single
from idp.errors import OAuthError, PageError
from idp.factors.base import N_
from idp.model import Client, Session
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clients
from idp.sessions.service import SessionService

ASK_DEVELOPER = N_("You can close this page, or go back to the application.")


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A judged request: where to go afterwards, and whether the hint speaks for this session."""

    client: Client | None
    redirect_uri: str | None
    state: str | None
    confirmed: bool

    @property
    def target(self) -> str | None:
        if self.redirect_uri is None:
            return None
        if self.state is None:
            return self.redirect_uri
        joiner = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joiner}{urlencode({'state': self.state})}"


class Logout:
    def __init__(self, clients: Clients, tokens: Tokens, sessions: SessionService) -> None:
        self._clients = clients
        self._tokens = tokens
        self._sessions = sessions

    def judge(self, parameters: Parameters, session: Session | None) -> LogoutRequest:
        """Raises PageError for a request that cannot be believed; nothing has ended then."""
        try:
            values = single(parameters)
            hint = self._hint(values)
        except OAuthError as error:
            raise _page(error.parameter, error.public) from None
        client = self._client(values, hint)
        redirect_uri = values.get("post_logout_redirect_uri")
        if redirect_uri is not None and (
            client is None or redirect_uri not in client.post_logout_redirect_uris
        ):
            raise _page(
                "post_logout_redirect_uri",
                N_("The application asked to return to an address that it has not registered."),
            )
        confirmed = (
            session is not None
            and hint.get("sub") == session.user_id
            and hint.get("sid", session.id) == session.id
        )
        return LogoutRequest(client, redirect_uri, values.get("state"), confirmed)

    def end(self, session: Session | None) -> None:
        if session is not None:
            self._sessions.end(session.id, "signed out")

    def _hint(self, values: Mapping[str, str]) -> Mapping[str, object]:
        if "id_token_hint" not in values:
            return {}
        try:
            return self._tokens.verify_id_token_hint(values["id_token_hint"])
        except InvalidJws:
            raise OAuthError(
                "invalid_request",
                N_("The application sent a hint that is not an ID token of this provider."),
                parameter="id_token_hint",
            ) from None

    def _client(self, values: Mapping[str, str], hint: Mapping[str, object]) -> Client | None:
        """Section 2: `client_id` and the hint's audience must agree when both are there."""
        audience = hint.get("aud")
        named = values.get("client_id", audience)
        if named is None:
            return None
        if audience is not None and named != audience:
            raise _page("client_id", N_("The hint was made for another application."))
        client = self._clients.get(str(named))
        if client is None:
            raise _page("client_id", N_("This application is not known here."))
        return client


def _page(parameter: str, public: str) -> PageError:
    return PageError("invalid_request", public, action=ASK_DEVELOPER, parameter=parameter)
