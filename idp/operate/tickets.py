"""Links that do one thing, once: to set a password, to verify an address, to come in.

256 bits, kept as SHA-256, replaced by a newer one of the same user and purpose. Looking at a link
changes nothing, since mail scanners open what they find; the form behind it does, once. Addresses
of links are made of the configured issuer alone (attack LG-08).
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from idp import events
from idp.errors import Refused
from idp.factors.base import N_, Answer, Form
from idp.model import Ticket
from idp.ports import Clock, Tickets

PATH = "/link/"
GONE = N_("This link was used, has expired, or was replaced by a newer one.")


class Purpose(Protocol):
    """What the links of one purpose do."""

    def form(self, ticket: Ticket) -> Form | None:
        """What the page asks; None when the link is good for nothing any more."""
        ...

    def prepare(self, ticket: Ticket, answer: Answer) -> Any:
        """Check the answer before the link is used up. Raises Refused; the link goes on then."""
        ...

    def take(self, ticket: Ticket, prepared: Any) -> str:
        """Do it; what to tell the person, marked with N_. Raises Refused, Conflict."""
        ...


@dataclass(frozen=True, slots=True)
class Links:
    tickets: Tickets
    issuer: str
    bus: events.Bus
    clock: Clock

    def issue(
        self, purpose: str, user_id: str | None, data: Mapping[str, Any], ttl: timedelta
    ) -> str:
        """The address of a new link. It is in the message alone: nothing here remembers it."""
        token, now = secrets.token_urlsafe(32), self.clock()
        self.tickets.add(Ticket(digest(token), purpose, user_id, dict(data), now, now + ttl))
        self.bus.emit(events.TicketIssued(at=now, purpose=purpose, user_id=user_id))
        return f"{self.issuer}{PATH}{token}"

    def look(self, token: str, purposes: Mapping[str, Purpose]) -> tuple[Ticket, Form]:
        """What a link asks. Changes nothing. Raises Refused."""
        ticket = self.tickets.find(digest(token), self.clock())
        handler = None if ticket is None else purposes.get(ticket.purpose)
        form = None if ticket is None or handler is None else handler.form(ticket)
        if ticket is None or form is None:
            raise Refused(GONE, "link_gone")
        return ticket, form

    def follow(self, token: str, purposes: Mapping[str, Purpose], answer: Answer) -> str:
        """Use it up and do what it is for. Raises Refused; `link_gone` when there is nothing to
        use, else the answer will not do and the link goes on."""
        ticket, _ = self.look(token, purposes)
        handler = purposes[ticket.purpose]
        prepared = handler.prepare(ticket, answer)
        used = self.tickets.use(ticket.hash, self.clock())
        if used is None:
            raise Refused(GONE, "link_gone")
        self.bus.emit(
            events.TicketUsed(at=self.clock(), purpose=used.purpose, user_id=used.user_id)
        )
        return handler.take(used, prepared)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
