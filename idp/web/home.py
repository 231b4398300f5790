"""/: who is signed in here, and which applications have access; it can be withdrawn."""

from flask import Blueprint, Flask, redirect, request
from flask_babel import format_date
from werkzeug.wrappers import Response

from idp.errors import PageError
from idp.factors.base import N_
from idp.oidc.consent import ConsentService
from idp.ports import Clients, Users
from idp.web.security import Csrf
from idp.web.theme import Theme, page
from idp.web.visitor import Visitor


class Home:
    def __init__(
        self,
        visitor: Visitor,
        users: Users,
        clients: Clients,
        consents: ConsentService,
        csrf: Csrf,
        theme: Theme,
        issuer: str,
    ) -> None:
        self._visitor = visitor
        self._users = users
        self._clients = clients
        self._consents = consents
        self._csrf = csrf
        self._theme = theme
        self._issuer = issuer

    def show(self) -> Response:
        session = self._visitor.session()
        user = self._users.get(session.user_id) if session is not None else None
        connected = []
        for consent in self._consents.of(user.id) if user is not None else ():
            client = self._clients.get(consent.client_id)
            connected.append(
                {
                    "client_id": consent.client_id,
                    "client_name": client.name if client is not None else consent.client_id,
                    "scopes": sorted(consent.scopes),
                    "granted_at": format_date(consent.granted_at),
                }
            )
        return page(
            self._theme,
            "home.html",
            page_id="home",
            username=user.username if user is not None else None,
            connected=connected,
            action=f"{self._issuer}/",
            logout_url=f"{self._issuer}/logout",
            csrf=self._csrf.token("home", session.id) if session is not None else "",
        )

    def withdraw(self) -> Response:
        session = self._visitor.session()
        self._csrf.check("home", session.id if session is not None else None)
        client_id = request.form.get("withdraw", "")
        if session is None or not client_id:
            raise PageError(
                "invalid_request",
                N_("Nothing was withdrawn."),
                action=N_("Go back and press the button of an application."),
            )
        self._consents.withdraw(session.user_id, client_id)
        return redirect(f"{self._issuer}/", 303)


def install(app: Flask, home: Home) -> None:
    blueprint = Blueprint("home", __name__)
    blueprint.add_url_rule("/", "show", home.show, methods=["GET"])
    blueprint.add_url_rule("/", "withdraw", home.withdraw, methods=["POST"])
    app.register_blueprint(blueprint)
