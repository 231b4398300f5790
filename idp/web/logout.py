"""/logout: RP-initiated logout, by GET and POST; nothing ends without proof or a click."""

from urllib.parse import urlencode

from flask import Blueprint, Flask, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.endpoint import Parameters, parse
from idp.model import Session
from idp.oidc.logout import Logout, LogoutRequest
from idp.sessions.service import SessionService
from idp.web.security import Csrf, send_to
from idp.web.theme import Theme, page
from idp.web.visitor import Visitor, parameters

CLEAR = '"cache", "storage"'


class LogoutPages:
    def __init__(
        self,
        logout: Logout,
        visitor: Visitor,
        sessions: SessionService,
        csrf: Csrf,
        theme: Theme,
        issuer: str,
    ) -> None:
        self._logout = logout
        self._visitor = visitor
        self._sessions = sessions
        self._csrf = csrf
        self._theme = theme
        self._issuer = issuer

    def entry(self) -> Response:
        """A relying party's request, or the answer to our own question."""
        given = parameters()  # before `request.form`, which would use the body up
        if request.method == "POST" and "logout" in given:
            return self._decided()
        if request.method == "POST":
            pairs = [(name, value) for name, values in given.items() for value in values]
            return redirect(f"{self._issuer}/logout?{urlencode(pairs)}", 303)
        session = self._visitor.session()
        judged = self._logout.judge(given, session)
        if session is None or judged.confirmed:
            return self._end(judged, session)
        return self._ask(judged, given, session)

    def _decided(self) -> Response:
        session = self._visitor.session()
        cookie = session.id if session is not None else None
        self._csrf.check("logout", cookie)
        original = parse(request.form.get("request", ""))
        judged = self._logout.judge(original, session)
        if request.form["logout"] != "yes":
            return redirect(f"{self._issuer}/", 303)
        return self._end(judged, session)

    def _ask(self, judged: LogoutRequest, given: Parameters, session: Session) -> Response:
        if judged.redirect_uri:
            send_to(judged.redirect_uri)
        pairs = [(name, value) for name, values in given.items() for value in values]
        return page(
            self._theme,
            "logout.html",
            page_id="logout",
            client=judged.client,
            action=f"{self._issuer}/logout",
            csrf=self._csrf.token("logout", session.id),
            username=None,
            request=urlencode(pairs),
        )

    def _end(self, judged: LogoutRequest, session: Session | None) -> Response:
        self._logout.end(session)
        self._visitor.forget()
        if judged.target is not None:
            response: Response = redirect(judged.target, 303)
        else:
            link = None
            if judged.client is not None and judged.client.post_logout_redirect_uris:
                link = {
                    "url": judged.client.post_logout_redirect_uris[0],
                    "label": _("Back to %(client)s", client=judged.client.name),
                }
            response = page(self._theme, "signed_out.html", page_id="signed-out", link=link)
        response.headers["Clear-Site-Data"] = CLEAR
        return response


def install(app: Flask, pages: LogoutPages) -> None:
    blueprint = Blueprint("logout", __name__)
    blueprint.add_url_rule("/logout", "logout", pages.entry, methods=["GET", "POST"])
    app.register_blueprint(blueprint)
