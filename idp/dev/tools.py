"""What development mode lends to its pages: a clock that can be moved, and the outbox."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from idp.messaging.outbox import Outbox
from idp.model import Message


class MovableClock:
    """The system's time plus an offset. Time may go back: what then happens is worth a test."""

    def __init__(self) -> None:
        self._offset = timedelta(0)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, step: timedelta) -> datetime:
        with self._lock:
            self._offset += step
        return self()


class Tools:
    def __init__(self) -> None:
        self.clock = MovableClock()
        self.outbox = Outbox(self.clock)

    def messages(self) -> Sequence[tuple[datetime, Message]]:
        return self.outbox.messages()

    def now(self) -> datetime:
        return self.clock()

    def advance(self, step: timedelta) -> datetime:
        return self.clock.advance(step)
