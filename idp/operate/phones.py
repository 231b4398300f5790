"""A person's telephone number, verified by a code that is sent to it.

Six digits, five minutes, five tries, one live code, counted before they are compared (NIST SP
800-63B-4 section 3.1.3.2); sending another one resets no count. Where and how often messages may go
is the courier's to say.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from idp import events
from idp.errors import NotConfirmed, Refused
from idp.factors.admin import STALE, WAIT, WRONG
from idp.factors.base import N_, Rejected
from idp.factors.binding import Bindings
from idp.factors.codes import digits
from idp.factors.sms import parsed
from idp.model import Message, Pending, User
from idp.ports import Attempts, Clock, Users

UNDER_WAY = "phone number"  # among the bindings; no factor is called so
COUNTED = "verify phone number"
TTL = timedelta(minutes=5)
TRIES = 5
TEXT = N_("%(code)s is your code to confirm this phone number at %(issuer)s.")
NO_NUMBER = N_("Type the whole number, beginning with + and the country code: +44 20 7946 0018.")


class Carrier(Protocol):
    """What sends messages to people (the courier of the flow)."""

    def delivers(self, kind: str) -> bool: ...
    def send(self, message: Message, user: User | None, address: str = "") -> str: ...
    def verified(self, receipt: str) -> None: ...


@dataclass(frozen=True, slots=True)
class PhoneVerification:
    users: Users
    bindings: Bindings
    attempts: Attempts
    carrier: Carrier
    issuer: str
    bus: events.Bus
    clock: Clock
    code: Callable[[], str] = lambda: f"{secrets.randbelow(10**6):06}"

    def possible(self) -> bool:
        return self.carrier.delivers("sms")

    def waiting(self, user_id: str) -> str | None:
        """The number that a code was sent to and that waits for it."""
        pending = self._pending(user_id)
        return None if pending is None else str(pending.public["number"])

    def begin(self, user: User, typed: str, address: str) -> str:
        """Send a code; the number as it was understood. `address` is where the wish came from.
        Raises Refused for what is no number, NotSent; a code that was sent before goes on then."""
        number = _number(typed)
        code = self.code()
        message = Message("sms", number, TEXT, values={"code": code, "issuer": self.issuer})
        receipt = self.carrier.send(message, user, address)
        pending = Pending(
            UNDER_WAY, {"number": number}, {"code": code}, self.clock(), receipt, id=uuid4().hex
        )
        self.bindings.put(user.id, pending)
        return number

    def confirm(self, user_id: str, typed: str) -> User:
        """The user with the number that is now theirs. Raises NotConfirmed, NotFound."""
        pending = self._pending(user_id)
        if pending is None:
            raise NotConfirmed("stale", STALE)
        attempt = self.attempts.count(user_id, COUNTED, self.clock())
        if not attempt.allowed:
            raise NotConfirmed("wait", WAIT, attempt.retry_at)
        if self.bindings.ephemeral.incr(f"phone tries:{pending.id}", TTL * 2) > TRIES:
            self.bindings.drop(user_id, UNDER_WAY)
            raise NotConfirmed("stale", STALE)
        if not _same(typed, str(pending.private["code"])):
            raise NotConfirmed("wrong", WRONG)
        if not self.bindings.drop(user_id, UNDER_WAY):
            raise NotConfirmed("stale", STALE)
        self.attempts.reset(user_id, COUNTED)
        self.carrier.verified(pending.receipt)
        return self._verified(user_id, str(pending.public["number"]))

    def forget(self, user_id: str) -> None:
        """Give up what is under way; what was sent is of no use any more."""
        self.bindings.drop(user_id, UNDER_WAY)

    def _verified(self, user_id: str, number: str) -> User:
        now = self.clock()
        _, saved = self.users.change(
            user_id,
            lambda user: replace(user, phone=number, phone_verified=True, updated_at=now),
        )
        self.bus.emit(events.AddressVerified(at=now, user_id=user_id, kind="phone"))
        return saved

    def _pending(self, user_id: str) -> Pending | None:
        found = self.bindings.get(user_id, UNDER_WAY)
        return found if found is not None and self.clock() < found.asked_at + TTL else None


def _number(typed: str) -> str:
    """E.164. Whether it may be sent to is the courier's to say. Raises Refused."""
    try:
        return parsed(typed)
    except Rejected:
        raise Refused(NO_NUMBER, "bad_number") from None


def _same(typed: str, code: str) -> bool:
    try:
        return hmac.compare_digest(digits(typed), code)
    except Rejected:
        return False
