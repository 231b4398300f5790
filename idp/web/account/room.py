"""What every account page has in common: who is here, what was proven, the forms, the frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from flask import abort, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.errors import PageError
from idp.factors.base import N_, Factor
from idp.flow.strength import SessionStrength
from idp.model import Achieved, Authenticator, Session, User
from idp.ports import Clock, Users
from idp.sessions.service import SessionService
from idp.web.account.notices import Notice, Notices
from idp.web.account.way_in import WayIn
from idp.web.security import Csrf
from idp.web.theme import Theme, page
from idp.web.visitor import Visitor

# Path below /account, label, icon; and pages that belong there though their paths do not say so.
SECTIONS = (
    ("/profile", N_("Profile"), "person", ()),
    (
        "/authenticators",
        N_("Signing in"),
        "key",
        ("/password", "/recovery-codes", "/second-factor"),
    ),
    ("/contact", N_("Email and phone"), "mail", ()),
    ("/applications", N_("Connected apps"), "apps", ()),
    ("/sessions", N_("Signed-in devices"), "laptop", ()),
    ("/history", N_("History"), "clock", ()),
)


@dataclass(frozen=True, slots=True)
class Here:
    """Who is at the account pages, in which session."""

    user: User
    session: Session


class Room:
    def __init__(
        self,
        visitor: Visitor,
        users: Users,
        sessions: SessionService,
        strength: SessionStrength,
        notices: Notices,
        csrf: Csrf,
        theme: Theme,
        issuer: str,
        clock: Clock,
    ) -> None:
        self.way_in = WayIn(visitor, csrf, issuer)
        self._visitor = visitor
        self._users = users
        self._sessions = sessions
        self._strength = strength
        self._notices = notices
        self._csrf = csrf
        self._theme = theme
        self._issuer = issuer
        self._clock = clock

    def enter(self, back: str | None = None) -> Here:
        """The one who is signed in. Anybody else is sent to sign in, and back to `back`, or here.

        Only a completed sign-in has a session: half of one is nobody's.
        """
        session = self._visitor.session()
        user = None if session is None else self._users.get(session.user_id)
        if session is None or user is None or user.disabled_at is not None:
            abort(self.way_in.sign_in(back or request.path))
        return Here(user, session)

    def prove(self, back: str | None = None) -> Here:
        """The same, with fresh proofs at the highest level that the person holds; else they are
        sent to step up, and back to `back`, or here. Raises PageError when nothing would do."""
        here = self.enter(back)
        if not self._strength.shown(here.user, here.session):
            self._step_up(here.user, back or request.path)
        return here

    def take(self, back: str | None = None) -> Here:
        """A form from one of our pages. Raises PageError for one from elsewhere."""
        here = self.enter(back)
        self._csrf.check(_purpose(request.path), here.session.id)
        return here

    def take_proven(self, back: str | None = None) -> Here:
        """A form that changes what the person signs in with: the page that showed it asked for a
        proof, and it must still be fresh. If not, it is asked for, and the form shown again."""
        self.take(back)
        return self.prove(back)

    def count(self, here: Here, factor: Factor, bound: Authenticator) -> None:
        """Binding a new authenticator proves it, as it does in a sign-in: the level that the person
        holds from now on is not asked for at once, with a code that was just used up."""
        proof = Achieved(factor.name, tuple(factor.amr), self._clock(), bound.id)
        self._visitor.keep(self._sessions.raised(here.session, (proof,)))

    def show(self, here: Here, template: str, **context: Any) -> Response:
        """The page, in the frame of all account pages, with what the last form led to."""
        told = self._notices.take(here.session.id)
        refused = told is not None and told.kind == "bad"
        words = None if told is None else _worded(told)
        sections = self.sections()
        frame = {
            "layout": "account/base.html",
            "csrf": self.token(here),
            "action": self.url(request.path),
            "account": self.url("/account"),
            "logout_url": self.url("/logout"),
            "sections": sections,
            "parent": next((s for s in sections if s["current"] and not s["exact"]), None),
            "user": here.user,
            "error": words if refused else None,
            "about": told.about if told is not None else "",
            "typed": told.typed if told is not None else {},
            "retry_after": told.wait if told is not None else None,
            "success": None if refused else words,
        }
        name = template if template.endswith(".html") else f"account/{template}.html"
        return page(self._theme, name, page_id="account", **{**context, **frame})

    def peer(self) -> bytes | None:
        """The certificate of this connection, DER."""
        return self._visitor.peer()

    def address(self) -> str:
        return self._visitor.address()

    def token(self, here: Here, path: str = "") -> str:
        """What a form carries that is sent to this page, or to `path`."""
        return self._csrf.token(_purpose(path or request.path), here.session.id)

    def done(self, here: Here, path: str, text: str = "", **values: str) -> Response:
        """On to the page `path`, which says that it worked."""
        if text:
            self._notices.put(here.session.id, Notice("good", text, values))
        return self.to(path)

    def refuse(
        self,
        here: Here,
        text: str,
        *,
        path: str = "",
        about: str = "",
        typed: Mapping[str, str] | None = None,
        wait: timedelta | None = None,
    ) -> Response:
        """The form again, or the page `path`, with what is wrong."""
        seconds = None if wait is None else max(1, int(wait.total_seconds()))
        notice = Notice("bad", text, about=about, typed=typed or {}, wait=seconds)
        self._notices.put(here.session.id, notice)
        return self.to(path or request.path)

    def to(self, path: str) -> Response:
        return redirect(self.url(path), 303)

    def url(self, path: str) -> str:
        return self._issuer + path

    def _step_up(self, user: User, back: str) -> NoReturn:
        level = self._strength.demanded(user)
        if level is None:
            raise PageError(
                "nothing_to_prove",
                N_("Nothing that you can sign in with is enough to change this."),
                action=N_("Ask your administrator for help."),
                status=403,
            )
        abort(self.way_in.step_up(back, level, self._strength.fresh_for))

    def sections(self) -> list[dict[str, Any]]:
        """The way to every other page; the overview comes first."""
        here = request.path.removeprefix("/account")
        parts = [("", N_("Your account"), "home", ()), *SECTIONS]
        return [
            {
                "url": self.url(f"/account{path}"),
                "label": _(label),
                "icon": icon,
                "exact": here == path,
                "current": here == path or (path != "" and _below(here, (path, *more))),
            }
            for path, label, icon, more in parts
        ]


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _purpose(path: str) -> str:
    return f"form {path}"


def _worded(notice: Notice) -> str:
    """In the person's language. A refusal that comes from below may have a bare % in it."""
    text = str(_(notice.text))
    return text % notice.values if notice.values else text
