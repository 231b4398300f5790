"""/recover, /register and /link/<token>: a new password, a new account, a verified address.

A GET changes nothing, whoever opens it; the form behind it acts once. What is answered says nothing
of whether an account is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Flask, redirect, request
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.errors import PageError, Refused
from idp.factors.base import N_, Field, Form
from idp.operate.joining import Registrations
from idp.operate.recovery import Recovery
from idp.operate.tickets import Links, Purpose
from idp.web.challenge import drawn
from idp.web.security import Csrf
from idp.web.theme import Theme, page
from idp.web.visitor import Visitor

LONGEST_TOKEN = 64
RECOVER = Form(
    N_("Forgot your password?"),
    (Field("username", N_("Username or mail address"), autocomplete="username", maxlength=256),),
    text=N_("We send a link to the mail address of your account, if it has one that is confirmed."),
    submit=N_("Send the link"),
)
REGISTER = Form(
    N_("Create an account"),
    (Field("email", N_("Email address"), "email", autocomplete="email", maxlength=254),),
    text=N_("We send a link to your address, to go on with."),
    submit=N_("Send the link"),
)
ABOUT = {  # which field a refusal is about
    "bad_address": "email",
    "bad_username": "username",
    "taken": "username",
    "bad_password": "password",
}
SENT = N_("If there is something to send, it is on its way. Look into your mail, also for junk.")


@dataclass(frozen=True, slots=True)
class LinkServices:
    """`recovery` and `registrations` are None where they are switched off."""

    links: Links
    purposes: Mapping[str, Purpose]
    recovery: Recovery | None
    registrations: Registrations | None


class LinkPages:
    def __init__(
        self, services: LinkServices, visitor: Visitor, csrf: Csrf, theme: Theme, issuer: str
    ) -> None:
        self._s = services
        self._visitor = visitor
        self._csrf = csrf
        self._theme = theme
        self._issuer = issuer

    def show_recover(self) -> Response:
        self._needs(self._s.recovery)
        return self._ask("/recover", RECOVER)

    def recover(self) -> Response:
        self._needs(self._s.recovery)
        self._check("/recover")
        if self._s.recovery is not None:
            self._s.recovery.ask(request.form.get("username", "")[:256], self._visitor.address())
        return redirect(f"{self._issuer}/recover/sent", 303)

    def show_register(self) -> Response:
        self._needs(self._s.registrations)
        return self._ask("/register", REGISTER)

    def register(self) -> Response:
        self._needs(self._s.registrations)
        self._check("/register")
        typed = request.form.get("email", "")[:320]
        try:
            if self._s.registrations is not None:
                self._s.registrations.ask(typed, self._visitor.address(), _language())
        except Refused as refusal:
            return self._ask("/register", REGISTER, refusal)
        return redirect(f"{self._issuer}/recover/sent", 303)

    def sent(self) -> Response:
        return self._over(N_("Look into your mail"), SENT)

    def show(self, token: str) -> Response:
        _ticket, form = self._looked(token)
        return self._ask(f"/link/{token}", form)

    def follow(self, token: str) -> Response:
        self._check(f"/link/{token}")
        _ticket, form = self._looked(token)
        answer = {name: value for name, value in request.form.items() if name != "csrf"}
        try:
            told = self._s.links.follow(token, self._s.purposes, answer)
        except Refused as refusal:
            if refusal.code == "link_gone":
                raise _gone(refusal) from None
            return self._ask(f"/link/{token}", form, refusal)
        return self._over(N_("Done"), told)

    def _looked(self, token: str) -> tuple[Any, Form]:
        try:
            return self._s.links.look(token[:LONGEST_TOKEN], self._s.purposes)
        except Refused as refusal:
            raise _gone(refusal) from None

    def _check(self, path: str) -> None:
        self._csrf.check(f"form {path}", self._visitor.binding())

    def _needs(self, service: object | None) -> None:
        if service is None:
            raise PageError(
                "not_here",
                N_("This is not possible here."),
                action=N_("Ask whoever runs this service for help."),
                status=404,
            )

    def _ask(self, path: str, form: Form, refusal: Refused | None = None) -> Response:
        """The form; after an error with what was typed, but for passwords."""
        binding = self._visitor.new_binding()
        return page(
            self._theme,
            "link.html",
            200 if refusal is None else 422,
            page_id="link",
            about=None if refusal is None else ABOUT.get(refusal.code),
            **drawn(
                "",
                _filled(form),
                action=f"{self._issuer}{path}",
                csrf=self._csrf.token(f"form {path}", binding),
                error=None if refusal is None else refusal.public,
                username=form.values.get("username") or request.form.get("username"),
            ),
        )

    def _over(self, title: str, told: str) -> Response:
        label = _("Sign in") if self._visitor.session() is None else _("Go to your account")
        link = {"url": f"{self._issuer}/account", "label": label}
        return page(
            self._theme, "told.html", page_id="told", title=_(title), message=_(told), link=link
        )


def _gone(refusal: Refused) -> PageError:
    return PageError(
        refusal.code,
        refusal.public,
        action=N_("Ask for a new link, where you asked for this one."),
        status=404,
    )


def _filled(form: Form) -> Form:
    """With what was typed before, for who mistyped one thing of several."""
    fields = (
        field if field.type == "password" else replace(field, value=_typed(field))
        for field in form.fields
    )
    return replace(form, fields=tuple(fields))


def _typed(field: Field) -> str:
    return request.form.get(field.name, "")[: field.maxlength]


def _language() -> str | None:
    """That of the page: somebody who has no account yet has no other."""
    locale = get_locale()
    return None if locale is None else locale.language


Limit = Callable[[Callable[..., Response]], Callable[..., Any]]


def install(
    app: Flask, pages: LinkPages, services: LinkServices, issuer: str, limit: Limit
) -> None:
    """`limit` bounds how many forms one address may send; it keeps its count on a function."""

    def recover() -> Response:
        return pages.recover()

    def register() -> Response:
        return pages.register()

    def follow(token: str) -> Response:
        return pages.follow(token)

    blueprint = Blueprint("links", __name__)
    for path, show, act in (
        ("/recover", pages.show_recover, recover),
        ("/register", pages.show_register, register),
        ("/link/<token>", pages.show, follow),
    ):
        name = path.split("/")[1]
        blueprint.add_url_rule(path, f"show_{name}", show, methods=["GET"])
        blueprint.add_url_rule(path, name, limit(act), methods=["POST"])
    blueprint.add_url_rule("/recover/sent", "sent", pages.sent, methods=["GET"])
    app.register_blueprint(blueprint)
    app.jinja_env.globals["recover_url"] = f"{issuer}/recover" if services.recovery else None
    app.jinja_env.globals["register_url"] = f"{issuer}/register" if services.registrations else None
