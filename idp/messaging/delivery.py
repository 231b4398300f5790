"""The queue of mails, delivered: at least once, later again when the server is away, and given up
with an event when that lasts too long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp import events
from idp.errors import cause
from idp.messaging.smtp import permanent
from idp.model import Mail
from idp.ports import Clock, Mails

LEASE = timedelta(minutes=2)  # longer than one delivery may take
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Delivery:
    """`deliver` raises when the server did not take a mail."""

    mails: Mails
    deliver: Callable[[Mail, datetime], None]
    keep_trying: timedelta
    bus: events.Bus
    clock: Clock

    def round(self) -> int:
        """Deliver what is due; how many went out."""
        claimed = self.mails.claim(self.clock(), LEASE, AT_ONCE)
        return sum(self._one(mail) for mail in claimed)

    def _one(self, mail: Mail) -> bool:
        try:
            self.deliver(mail, self.clock())
        except Exception as problem:  # noqa: BLE001 - whatever a server does, the mail is kept
            self._failed(mail, problem)
            return False
        self.mails.done(mail.id)
        return True

    def _failed(self, mail: Mail, problem: Exception) -> None:
        now = self.clock()
        if permanent(problem) or now - mail.created_at >= self.keep_trying:
            self.mails.done(mail.id)
            self.bus.emit(
                events.MessageFailed(
                    at=now, kind="mail", about="delivery", cause=cause(problem), user_id=None
                )
            )
            return
        wait = min(FIRST_RETRY * 2 ** min(mail.tries, 20), LONGEST_RETRY)
        self.mails.later(mail.id, now + wait, type(problem).__name__)
