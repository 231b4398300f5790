"""Every account page and its address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask
from werkzeug.wrappers import Response

from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import Factor
from idp.flow.strength import SessionStrength
from idp.oidc.consent import ConsentService
from idp.operate.passwords import PasswordChange
from idp.operate.phones import PhoneVerification
from idp.operate.profiles import Profiles
from idp.ports import AuditTrail, Clients, Clock, Ephemeral, Users
from idp.sessions.service import SessionService
from idp.web.account.adding import Adding
from idp.web.account.applications import Applications
from idp.web.account.authenticators import Authenticators
from idp.web.account.codes import RecoveryCodes
from idp.web.account.contact import Contact, MailVerification
from idp.web.account.history import History
from idp.web.account.notices import Notices
from idp.web.account.overview import Overview
from idp.web.account.password import ChangePassword
from idp.web.account.profile import Profile
from idp.web.account.room import Room
from idp.web.account.second_factor import SecondFactor
from idp.web.account.sessions import Sessions
from idp.web.security import Csrf
from idp.web.theme import Theme
from idp.web.visitor import Visitor

View = Callable[..., Response]
Limit = Callable[[View], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What the account pages stand on. `mails` is None where nothing can send one."""

    users: Users
    clients: Clients
    sessions: SessionService
    consents: ConsentService
    audit: AuditTrail
    ephemeral: Ephemeral
    factors: Mapping[str, Factor]
    authenticators: AuthenticatorAdmin
    strength: SessionStrength
    passwords: PasswordChange
    profiles: Profiles
    phones: PhoneVerification
    mails: MailVerification | None
    clock: Clock


def install(
    app: Flask,
    services: AccountServices,
    visitor: Visitor,
    csrf: Csrf,
    theme: Theme,
    issuer: str,
    limit: Limit,
) -> None:
    """`limit` bounds how many forms one address may send; it keeps its count on a function."""
    s = services
    room = Room(
        visitor,
        s.users,
        s.sessions,
        s.strength,
        Notices(s.ephemeral),
        csrf,
        theme,
        issuer,
        s.clock,
    )
    overview = Overview(room, s.authenticators, s.factors, s.profiles, s.sessions, s.consents)
    profile = Profile(room, s.profiles, theme.locales)
    password = ChangePassword(room, s.authenticators, s.passwords, s.clock)
    held = Authenticators(room, s.authenticators, s.factors, s.profiles)
    adding = Adding(room, s.authenticators, s.factors, s.clock)
    codes = RecoveryCodes(room, s.authenticators, s.factors, s.ephemeral, theme.brand, s.clock)
    second = SecondFactor(room, s.profiles)
    contact = Contact(room, visitor, s.phones, s.mails, s.clock)
    applications = Applications(room, s.consents, s.clients, s.audit)
    sessions = Sessions(room, visitor, s.sessions)
    history = History(room, s.audit, s.clients, s.factors, s.sessions)

    pages = Blueprint("account", __name__, url_prefix="/account")
    one = "/authenticators/<authenticator_id>"
    table: tuple[tuple[str, View, View | None], ...] = (
        ("", overview.show, None),
        ("/return", room.way_in.returned, None),
        ("/profile", profile.show, profile.submit),
        ("/password", password.show, password.submit),
        ("/authenticators", held.show, None),
        ("/authenticators/add/<factor>", adding.show, adding.submit),
        (one, held.show_one, held.rename),
        (f"{one}/remove", held.ask_removal, held.remove),
        ("/recovery-codes", codes.show, codes.make),
        ("/second-factor", second.show, second.submit),
        ("/contact", contact.show, None),
        ("/contact/phone", contact.show_phone, contact.submit_phone),
        ("/contact/mail", contact.show_mail, contact.submit_mail),
        ("/applications", applications.show, applications.withdraw),
        ("/sessions", sessions.show, sessions.end),
        ("/history", history.show, None),
    )
    for path, show, submit in table:
        pages.add_url_rule(path, _endpoint(show), show, methods=["GET"])
        if submit is not None:
            pages.add_url_rule(path, _endpoint(submit), limit(_plain(submit)), methods=["POST"])
    download = limit(_plain(codes.download))
    pages.add_url_rule("/recovery-codes/download", "download", download, methods=["POST"])
    app.register_blueprint(pages)


def _endpoint(view: View) -> str:
    """A name for measurements: class and method."""
    owner = getattr(view, "__self__", None)
    return f"{type(owner).__name__}_{view.__name__}".lower()


def _plain(view: View) -> View:
    """A function of its own, which a bound method is not."""

    def submit(**place: str) -> Response:
        return view(**place)

    submit.__name__ = _endpoint(view)
    return submit
