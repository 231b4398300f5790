"""How people come in besides by an administrator's hand: by invitation, or by themselves.

Nothing is half-made: an account that registers is written by the form behind the link, after the
address was proven; an invited one waits without a password. Whether an address or a name is taken
is told only to who proved the address (attack LG-05).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from idp import events
from idp.errors import Conflict, NotSent, Refused
from idp.factors.base import N_, Answer, Field, Form
from idp.factors.proving import subject_of
from idp.model import Authenticator, Message, Ticket, User
from idp.operate import names
from idp.operate.recovery import Passwords, new_password
from idp.operate.tickets import GONE, Links
from idp.ports import Clock, Quotas

INVITE, REGISTER = "invite", "register"
HOUR = timedelta(hours=1)
PER_MAILBOX = 3  # links to one address in an hour
PER_NETWORK = 20  # wishes from one network address in an hour

INVITED = N_("You are invited")
INVITED_TEXT = N_(
    "An account was made for you: %(username)s.\n\n"
    "Choose a password for it here:\n%(link)s\n\n"
    "If you do not know what this is about, do nothing."
)
WELCOME = N_("Choose a password for your account %(username)s.")
START = N_("Set the password")
IN = N_("Your account is ready. Sign in with your password now.")
CONFIRM = N_("Create your account")
CONFIRM_TEXT = N_(
    "Somebody, probably you, wants an account with this address.\n\n"
    "Go on here:\n%(link)s\n\n"
    "If it was not you, do nothing: no account is made."
)
KNOWN = N_("You have an account already")
KNOWN_TEXT = N_(
    "Somebody, probably you, wants an account with this address, which has one: %(username)s.\n\n"
    "Sign in with it. If you forgot the password, ask for a new one on the sign-in page."
)
CHOOSE = N_("Your address %(address)s is confirmed. Choose a username and a password.")
CREATE = N_("Create the account")
TAKEN = N_("This name is taken. Choose another one.")

Send = Callable[[Message, User | None, str], str]
Later = Callable[[Callable[[], None]], object]


@dataclass(frozen=True, slots=True)
class Invitations:
    links: Links
    passwords: Passwords
    send: Send
    ttl: timedelta
    bus: events.Bus
    clock: Clock

    def invite(self, username: str, address: str, *, actor: str, locale: str | None = None) -> User:
        """A new account without a password, and a mail with a link to set one. Raises Refused,
        Conflict; NotSent when no mail went out: there is no account then."""
        email, now = names.address(address), self.clock()
        user = User(
            id=uuid4().hex,
            username=names.username(username, email),
            created_at=now,
            updated_at=now,
            email=email,
            locale=locale,
        )
        users = self.passwords.stores.users
        if users.find(email) is not None:
            raise Conflict("This address belongs to another account.")
        users.add(user)
        try:
            self.again(user)
        except NotSent:
            users.remove(user.id)
            raise
        self.bus.emit(events.UserChanged(at=now, user_id=user.id, change="invited", actor=actor))
        return user

    def again(self, user: User) -> None:
        """A new link, in place of the one before. Raises NotSent, Refused."""
        if self.passwords.holds(user) or not user.email:
            raise Refused("This account is in use; nobody is invited to it.", "in_use")
        link = self.links.issue(INVITE, user.id, {"email": user.email}, self.ttl)
        values = {"username": user.username, "link": link}
        message = Message("mail", user.email, INVITED_TEXT, INVITED, values, about="link")
        self.send(message, user, "")

    def form(self, ticket: Ticket) -> Form | None:
        user = self._owner(ticket)
        if user is None:
            return None
        values = {"username": user.username}
        return Form(INVITED, (new_password(),), text=WELCOME, submit=START, values=values)

    def prepare(self, ticket: Ticket, answer: Answer) -> tuple[User, Authenticator]:
        user = self._owner(ticket)
        if user is None:
            raise Refused(GONE, "link_gone")
        return user, self.passwords.made(user, answer.get("password", ""))

    def take(self, ticket: Ticket, prepared: tuple[User, Authenticator]) -> str:
        user, fresh = prepared
        now, users = self.clock(), self.passwords.stores.users
        try:
            users.change(user.id, lambda u: replace(u, email_verified=True, updated_at=now))
        except Conflict:  # somebody else proved the address meanwhile
            users.change(user.id, lambda u: replace(u, email=None, updated_at=now))
        else:
            self.bus.emit(events.AddressVerified(at=now, user_id=user.id, kind="mail"))
        self.passwords.replace(user, fresh, "invitation")
        return IN

    def _owner(self, ticket: Ticket) -> User | None:
        """The invited, while nobody came in by it and nothing was changed."""
        user = self.passwords.stores.users.get(ticket.user_id or "")
        if user is None or user.disabled_at is not None or self.passwords.holds(user):
            return None
        return user if user.email == ticket.data.get("email") else None


@dataclass(frozen=True, slots=True)
class Registrations:
    links: Links
    passwords: Passwords
    send: Send
    quotas: Quotas
    ttl: timedelta
    later: Later
    bus: events.Bus
    clock: Clock

    def ask(self, address: str, network: str, locale: str | None = None) -> None:
        """Send what belongs to the address: a link, or that it has an account. Raises Refused for
        what is no address; says nothing else."""
        email, key = names.address(address), f"register:network:{network}"
        if not network or self.quotas.spend(key, PER_NETWORK, HOUR, self.clock()).allowed:
            self.later(lambda: self._send(email, locale))

    def form(self, ticket: Ticket) -> Form | None:
        fields = (
            Field("username", N_("Username"), autocomplete="username", maxlength=256),
            new_password(),
        )
        values = {"address": str(ticket.data["email"])}
        return Form(CONFIRM, fields, text=CHOOSE, submit=CREATE, values=values)

    def prepare(self, ticket: Ticket, answer: Answer) -> tuple[User, Authenticator]:
        email, now = str(ticket.data["email"]), self.clock()
        user = User(
            id=uuid4().hex,
            username=names.username(answer.get("username", ""), email),
            created_at=now,
            updated_at=now,
            email=email,
            email_verified=True,
            locale=ticket.data.get("locale"),
        )
        users = self.passwords.stores.users
        if users.find(user.username) is not None:
            raise Refused(TAKEN, "taken")
        return user, self.passwords.made(user, answer.get("password", ""))

    def take(self, ticket: Ticket, prepared: tuple[User, Authenticator]) -> str:
        user, fresh = prepared
        try:
            self.passwords.stores.users.add(user, fresh)
        except Conflict:
            raise Refused(TAKEN, "taken") from None
        self.bus.emit(
            events.UserChanged(at=self.clock(), user_id=user.id, change="registered", actor=user.id)
        )
        return IN

    def _send(self, email: str, locale: str | None) -> None:
        mailbox = f"register:mailbox:{subject_of(None, email)}"
        if not self.quotas.spend(mailbox, PER_MAILBOX, HOUR, self.clock()).allowed:
            return
        known = self.passwords.stores.users.find(email)
        if known is not None:
            values = {"username": known.username}
            message = Message("mail", email, KNOWN_TEXT, KNOWN, values, about="notice")
        else:
            data = {"email": email, "locale": locale}
            link = self.links.issue(REGISTER, None, data, self.ttl)
            values = {"link": link}
            message = Message("mail", email, CONFIRM_TEXT, CONFIRM, values, locale, about="link")
        with suppress(NotSent):  # there is an event of it
            self.send(message, known, "")
