"""/: who is signed in here, and the way to their account."""

from flask import Blueprint, Flask
from werkzeug.wrappers import Response

from idp.ports import Users
from idp.web.theme import Theme, page
from idp.web.visitor import Visitor


class Home:
    def __init__(self, visitor: Visitor, users: Users, theme: Theme, issuer: str) -> None:
        self._visitor = visitor
        self._users = users
        self._theme = theme
        self._issuer = issuer

    def show(self) -> Response:
        session = self._visitor.session()
        user = self._users.get(session.user_id) if session is not None else None
        return page(
            self._theme,
            "home.html",
            page_id="home",
            username=user.username if user is not None else None,
            account_url=f"{self._issuer}/account",
            logout_url=f"{self._issuer}/logout",
        )


def install(app: Flask, home: Home) -> None:
    blueprint = Blueprint("home", __name__)
    blueprint.add_url_rule("/", "show", home.show, methods=["GET"])
    app.register_blueprint(blueprint)
