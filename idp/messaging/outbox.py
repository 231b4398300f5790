"""Messages that go nowhere real: kept for a developer to read."""

import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from idp.model import Message
from idp.ports import Clock


class Outbox:
    """The last messages that would have been sent, newest first."""

    def __init__(self, clock: Clock, keep: int = 200) -> None:
        self._clock = clock
        self._kept: deque[tuple[datetime, Message]] = deque(maxlen=keep)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        with self._lock:
            self._kept.appendleft((self._clock(), message))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def messages(self) -> Sequence[tuple[datetime, Message]]:
        with self._lock:
            return tuple(self._kept)
