"""The browser behind a page request: its cookies, its session, its address; one reading each."""

from flask import g, request
from werkzeug.wrappers import Response

from idp.endpoint import Parameters, parse
from idp.errors import OAuthError, PageError
from idp.factors.base import N_
from idp.model import Session
from idp.oidc.journey import Browser
from idp.sessions.service import Held, SessionService
from idp.settings import Settings
from idp.web.cookies import Cookies, binding_hash, new_binding
from idp.web.peer import peer
from idp.web.remote import remote


class Visitor:
    """Reads the visiting browser and writes its cookies."""

    def __init__(self, settings: Settings, sessions: SessionService, cookies: Cookies) -> None:
        self._trusted = settings.server.trusted_proxies
        self._client_cert_header = settings.server.client_cert_header
        self._sessions = sessions
        self.cookies = cookies

    def session(self) -> Session | None:
        """The live session; a new secret that became due is set on the way out."""
        if "held" not in g:
            g.held = self._sessions.find(self.cookies.read(request, self.cookies.session))
            if g.held is not None and g.held.secret is not None:
                g.new_secret = g.held.secret
        held: Held | None = g.held
        return None if held is None else held.session

    def binding(self) -> str | None:
        return self.cookies.read(request, self.cookies.flow)

    def new_binding(self) -> str:
        """The flow cookie, made on the first visit."""
        known = self.binding()
        if known is None:
            known = g.new_binding = new_binding()
        return known

    def browser(self, binding: str) -> Browser:
        return Browser(
            binding_hash(binding),
            self.session(),
            ip=self.address(),
            user_agent=request.headers.get("User-Agent", ""),
            peer=self.peer(),
        )

    def address(self) -> str:
        return remote(request.environ, self._trusted)

    def peer(self) -> bytes | None:
        """The certificate of this connection, DER."""
        return peer(request.environ, self._trusted, self._client_cert_header)

    def keep(self, held: Held | None) -> None:
        if held is not None and held.secret is not None:
            g.new_secret = held.secret

    def forget(self) -> None:
        g.forget_session = True

    def finish(self, response: Response) -> Response:
        """Set what this request changed."""
        if g.get("forget_session"):
            self.cookies.clear(response, self.cookies.session)
        elif "new_secret" in g:
            self.cookies.set(response, self.cookies.session, g.new_secret)
        if "new_binding" in g:
            self.cookies.set(response, self.cookies.flow, g.new_binding)
        language = request.args.get("lang")
        if language and language.isalpha() and len(language) <= 8:
            self.cookies.set(response, self.cookies.language, language)
        return response


def parameters() -> Parameters:
    """Query of a GET, body of a POST, strictly decoded; a refusal is a page."""
    try:
        if request.method == "POST":
            return parse(request.get_data(as_text=False).decode("ascii"))
        return parse(request.query_string.decode("ascii"))
    except UnicodeDecodeError:
        raise _unreadable("the request is not ASCII") from None
    except OAuthError as error:
        raise _unreadable(error.public) from None


def _unreadable(detail: str) -> PageError:
    return PageError(
        "invalid_request",
        N_("The application sent something that cannot be read."),
        action=N_("Go back to the application and tell its makers what this page says."),
        detail=detail,
    )
