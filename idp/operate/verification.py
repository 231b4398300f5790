"""A mail address becomes a user's by a link that was sent to it (OIDC Core section 5.1)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from idp import events
from idp.errors import Conflict, NotSent, Refused
from idp.factors.base import N_, Answer, Form
from idp.model import Message, Ticket, User
from idp.operate import names
from idp.operate.tickets import GONE, Links
from idp.ports import Clock, Quotas, Users

VERIFY = "verify"
PER_USER = 5  # links in an hour
SUBJECT = N_("Confirm your mail address")
TEXT = N_(
    "Confirm that %(address)s is the address of %(username)s:\n%(link)s\n\n"
    "If you did not ask for this, do nothing."
)
LEFT_SUBJECT = N_("Your mail address was changed")
LEFT_TEXT = N_(
    "The mail address of %(username)s was changed from %(old)s to %(new)s.\n\n"
    "If that was not you, sign in, change your password, and set the address again."
)
TITLE = N_("Confirm your mail address")
ASK = N_("Is %(address)s the address of %(username)s?")
YES = N_("Yes, confirm it")
DONE = N_("Your mail address is confirmed.")
TOO_OFTEN = N_("Too many links were sent. Wait an hour, then try again.")
TAKEN = N_("This address cannot be used. Choose another one.")

Send = Callable[[Message, User | None, str], str]


@dataclass(frozen=True, slots=True)
class MailVerification:
    links: Links
    users: Users
    quotas: Quotas
    carry: Send
    delivers: Callable[[str], bool]
    ttl: timedelta
    bus: events.Bus
    clock: Clock

    def possible(self) -> bool:
        return self.delivers("mail")

    def send(self, user: User, address: str) -> None:
        """Nothing changes until the link is followed. Raises Refused, NotSent."""
        wanted = names.address(address)
        spent = self.quotas.spend(f"verify:{user.id}", PER_USER, timedelta(hours=1), self.clock())
        if not spent.allowed:
            raise Refused(TOO_OFTEN, "too_often")
        link = self.links.issue(VERIFY, user.id, {"email": wanted}, self.ttl)
        values = {"address": wanted, "username": user.username, "link": link}
        self.carry(Message("mail", wanted, TEXT, SUBJECT, values, about="link"), user, "")

    def form(self, ticket: Ticket) -> Form | None:
        user = self._owner(ticket)
        if user is None:
            return None
        values = {"address": str(ticket.data["email"]), "username": user.username}
        return Form(TITLE, (), text=ASK, submit=YES, values=values)

    def prepare(self, ticket: Ticket, answer: Answer) -> User:
        user = self._owner(ticket)
        if user is None:
            raise Refused(GONE, "link_gone")
        return user

    def take(self, ticket: Ticket, prepared: User) -> str:
        now, fresh = self.clock(), str(ticket.data["email"])
        try:
            before, _ = self.users.change(
                prepared.id,
                lambda user: replace(user, email=fresh, email_verified=True, updated_at=now),
            )
        except Conflict:  # somebody else proved it first
            raise Refused(TAKEN, "taken") from None
        self.bus.emit(events.AddressVerified(at=now, user_id=prepared.id, kind="mail"))
        self.left(before, fresh)
        return DONE

    def left(self, before: User, new: str | None) -> None:
        """Whoever reads the old address hears that it is not the account's any more (OWASP ASVS
        6.3.7)."""
        old = before.email
        if old and before.email_verified and old != new and self.possible():
            values = {"username": before.username, "old": old, "new": new or "-"}
            notice = Message("mail", old, LEFT_TEXT, LEFT_SUBJECT, values, about="notice")
            with suppress(NotSent):  # there is an event of it
                self.carry(notice, before, "")

    def _owner(self, ticket: Ticket) -> User | None:
        user = self.users.get(ticket.user_id or "")
        return None if user is None or user.disabled_at is not None else user
