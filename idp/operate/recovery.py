"""A new password by a link to a verified address (NIST SP 800-63B-4 section 4.2; OWASP ASVS 6.4.3).

It restores that one factor. Whatever else a sign-in demands is asked as before, nobody is signed in
by it, and everything that was signed in before is not any more.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from idp import events
from idp.errors import NotSent, Refused
from idp.factors.base import N_, Answer, Challenge, Factor, Field, Form, Rejected
from idp.factors.proving import Prover
from idp.model import Authenticator, Message, Ticket, User
from idp.operate.tickets import GONE, Links
from idp.ports import Clock, Quotas, Stores
from idp.sessions.service import SessionService

RESET = "reset"
PASSWORD = "password"
PER_USER = 3  # links that work at the same time as the last of them
PER_NETWORK = 20  # wishes from one network address in an hour
HOUR = timedelta(hours=1)

SUBJECT = N_("Choose a new password")
TEXT = N_(
    "Somebody, probably you, asked for a new password for %(username)s.\n\n"
    "Choose it here, within %(minutes)s minutes:\n%(link)s\n\n"
    "If it was not you, do nothing: your password stays as it is."
)
WEAK = N_("Choose another password: this one is too short or too long.")
DONE = N_("Your new password is set, and you are signed out everywhere. Sign in with it now.")
TITLE = N_("Choose a new password")
WHOSE = N_("It is for the account %(username)s, and replaces the one before.")
SET = N_("Set the password")
GOOD = N_("A few words that only you would put together are long and easy to remember.")

Send = Callable[[Message, User | None, str], str]
Later = Callable[[Callable[[], None]], object]


@dataclass(frozen=True, slots=True)
class Passwords:
    """Setting a password that no old one is needed for."""

    stores: Stores
    prover: Prover
    sessions: SessionService
    bus: events.Bus
    clock: Clock

    def made(self, user: User, password: str) -> Authenticator:
        """Raises Refused for one that will not do."""
        factor: Factor | None = self.prover.factors.get(PASSWORD)
        if factor is None:
            raise Refused(GONE, "link_gone")
        ctx = self.prover.context(factor, user, (), self.clock())
        try:
            return factor.confirm(ctx, Challenge(Form("", ())), {"password": password})
        except Rejected as rejected:
            raise Refused(rejected.public or WEAK, "bad_password") from None

    def replace(self, user: User, fresh: Authenticator, by: str) -> None:
        """From here on only this one works, and nothing that was signed in before does."""
        before = [a for a in self.stores.authenticators.of(user.id) if a.factor == PASSWORD]
        self.stores.authenticators.add(fresh)  # first: there is no moment without a password
        for old in before:
            self.stores.authenticators.remove(old.id)
        self.stores.attempts.reset(user.id, PASSWORD)
        self.sessions.end_all(user.id, "password changed")
        self.stores.grants.revoke_all(user.id, self.clock(), "password changed")
        self.stores.tickets.revoke(user.id, self.clock())
        self.bus.emit(events.PasswordChanged(at=self.clock(), user_id=user.id, by=by))

    def holds(self, user: User) -> bool:
        """One that was disabled after too many failures too: a stranger can bring that about."""
        return any(a.factor == PASSWORD for a in self.stores.authenticators.of(user.id))


@dataclass(frozen=True, slots=True)
class Recovery:
    """`later` runs a piece of work after the page was answered: what is done for a user that is
    there takes no part in the time of the answer (attack LG-06)."""

    links: Links
    passwords: Passwords
    send: Send
    quotas: Quotas
    ttl: timedelta
    later: Later
    clock: Clock

    def ask(self, name: str, network: str) -> None:
        """Send a link to whom the name belongs, if to anybody, and not too often; says nothing of
        it."""
        key = f"reset:network:{network}"
        if not network or self.quotas.spend(key, PER_NETWORK, HOUR, self.clock()).allowed:
            self.later(lambda: self._send(name))

    def form(self, ticket: Ticket) -> Form | None:
        user = self._owner(ticket)
        if user is None:
            return None
        values = {"username": user.username}
        return Form(TITLE, (new_password(),), text=WHOSE, submit=SET, values=values)

    def prepare(self, ticket: Ticket, answer: Answer) -> tuple[User, Authenticator]:
        user = self._owner(ticket)
        if user is None:
            raise Refused(GONE, "link_gone")
        return user, self.passwords.made(user, answer.get("password", ""))

    def take(self, ticket: Ticket, prepared: tuple[User, Authenticator]) -> str:
        user, fresh = prepared
        self.passwords.replace(user, fresh, "reset link")
        return DONE

    def _send(self, name: str) -> None:
        user = self.passwords.stores.users.find(name)
        if user is None or not self._may(user):
            return
        # For as long as a link works: a stranger who spends all of it leaves one that works.
        spent = self.quotas.spend(f"reset:user:{user.id}", PER_USER, self.ttl, self.clock())
        if not spent.allowed:
            return
        link = self.links.issue(RESET, user.id, {"email": user.email}, self.ttl)
        message = Message(
            "mail",
            user.email or "",
            TEXT,
            SUBJECT,
            values={
                "username": user.username,
                "minutes": str(int(self.ttl.total_seconds() // 60)),
                "link": link,
            },
            about="link",
        )
        with suppress(NotSent):  # there is an event of it
            self.send(message, user, "")

    def _may(self, user: User) -> bool:
        """Only what there is can be restored, only by an address that was verified."""
        verified = bool(user.email) and user.email_verified
        return verified and user.disabled_at is None and self.passwords.holds(user)

    def _owner(self, ticket: Ticket) -> User | None:
        """Whose link it is, while they have the address that it went to."""
        user = self.passwords.stores.users.get(ticket.user_id or "")
        if user is None or not self._may(user) or user.email != ticket.data.get("email"):
            return None
        return user


def new_password() -> Field:
    return Field("password", N_("New password"), "password", autocomplete="new-password", hint=GOOD)
