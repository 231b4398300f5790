"""The queue of mails, delivered: at least once, later again when the server is away, and given up
with an event when that lasts too long."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp import events
from idp.messaging.smtp import permanent, said
from idp.model import Mail
from idp.ports import Clock, Mails

LEASE = timedelta(minutes=5)  # longer than one delivery may take, with every answer in time
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
AT_ONCE = 10

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """`deliver` raises when the server did not take a mail."""

    mails: Mails
    deliver: Callable[[Mail, datetime], None]
    keep_trying: timedelta
    bus: events.Bus
    clock: Clock

    def round(self) -> int:
        """Deliver some of what is due; how many went out. One is claimed at a time, so that none
        waits under a lease for those before it."""
        went = 0
        for _ in range(AT_ONCE):
            claimed = self.mails.claim(self.clock(), LEASE, 1)
            if not claimed:
                break
            went += self._one(claimed[0])
        return went

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
                    at=now, kind="mail", about="delivery", cause=said(problem), user_id=None
                )
            )
            return
        wait = min(FIRST_RETRY * 2 ** min(mail.tries - 1, 20), LONGEST_RETRY)
        self.mails.later(mail.id, now + wait, said(problem))
        _logger.warning("a mail waits for another try: %s", said(problem))
