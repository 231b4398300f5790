"""The audit trail's sink: every event becomes a row, at the pace that its weight asks.

"now" is appended before `emit` returns, and a failure is the caller's. "batch" goes to a
bounded queue that one thread writes within 0.2 s; when the queue is full the caller writes by
itself, so nothing is dropped. A batch that fails is kept, reported and tried again: after a
lost connection a row may thus be there twice, but never not at all.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from idp import events
from idp.model import AuditRow
from idp.ports import AuditTrail
from idp.sinks.log import event_name, field_names, plain

LIMIT = 5000  # events waiting
BATCH = 500  # rows of one append
DELAY = timedelta(milliseconds=100)  # how long a batch gathers; half of what is promised
RETRY_LONGEST = timedelta(seconds=5)
TEXT_LONGEST = 1000
COLUMNS = {"interaction": 64, "support_code": 16, "user_id": 32, "client_id": 128}

Report = Callable[[Exception, int], None]

_logger = logging.getLogger(__name__)


class _Queue:
    """What one process still has to write. A fork gets a queue of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pending: list[events.Event] = []
        self.lock = threading.Lock()  # over `pending` and `thread`
        self.writing = threading.Lock()  # one batch at a time, in order
        self.wake = threading.Event()
        self.closed = threading.Event()
        self.thread: threading.Thread | None = None


class AuditSink:
    """Writes to `trail`. `report(problem, waiting)` hears of every batch that failed."""

    def __init__(
        self,
        trail: AuditTrail,
        *,
        limit: int = LIMIT,
        delay: timedelta = DELAY,
        report: Report | None = None,
    ) -> None:
        self._trail = trail
        self._limit = limit
        self._delay = delay.total_seconds()
        self._report = report or _log
        self._queues = {os.getpid(): _Queue(os.getpid())}
        self._queue = self._queues[os.getpid()]

    def __call__(self, event: events.Event) -> None:
        weight = event.WEIGHT
        if weight == "none":
            return
        if weight == "now" or not self._put(event):
            self._trail.append([row(event)])

    def flush(self) -> None:
        """Write what waits. Raises what the trail raises; what was not written waits on."""
        self._drain(self._mine())

    def close(self) -> None:
        """Stop the thread and write what waits; from then on every event is written at once."""
        queue = self._mine()
        queue.closed.set()
        queue.wake.set()
        if queue.thread is not None and queue.thread is not threading.current_thread():
            queue.thread.join(timeout=RETRY_LONGEST.total_seconds())
        atexit.unregister(self.close)
        try:
            self._drain(queue)
        except Exception as problem:  # noqa: BLE001 - there is nobody left to raise it to
            self._report(problem, len(queue.pending))

    def _put(self, event: events.Event) -> bool:
        """Queue it; False when the caller has to write it."""
        queue = self._mine()
        with queue.lock:
            waiting = len(queue.pending)
            if waiting >= self._limit or queue.closed.is_set():
                return False
            queue.pending.append(event)
            if queue.thread is None:
                self._start(queue)
        if not waiting:
            queue.wake.set()
        return True

    def _mine(self) -> _Queue:
        """This process's queue: what waited at a fork is its parent's to write."""
        queue = self._queue
        pid = os.getpid()
        if queue.pid != pid:
            queue = self._queue = self._queues.setdefault(pid, _Queue(pid))
        return queue

    def _start(self, queue: _Queue) -> None:
        atexit.unregister(self.close)
        atexit.register(self.close)
        queue.thread = threading.Thread(target=self._run, args=(queue,), name="audit", daemon=True)
        queue.thread.start()

    def _run(self, queue: _Queue) -> None:
        pause = self._delay
        while not queue.closed.is_set():
            queue.wake.wait()
            queue.wake.clear()
            queue.closed.wait(pause)
            try:
                self._drain(queue)
                pause = self._delay
                with queue.lock:
                    if queue.pending:
                        queue.wake.set()
            except Exception as problem:  # noqa: BLE001 - whatever it was, the rows must not be lost
                pause = min(max(pause, self._delay) * 2, RETRY_LONGEST.total_seconds())
                queue.wake.set()
                with suppress(Exception):  # this thread has to outlive its reporter
                    self._report(problem, len(queue.pending))

    def _drain(self, queue: _Queue) -> None:
        """Write what waits now. What comes meanwhile gathers for the next batch: a commit for
        every few events would cost more than the events do."""
        with queue.lock:
            left = len(queue.pending)
        while left > 0:
            with queue.writing:
                with queue.lock:
                    batch = queue.pending[: min(left, BATCH)]
                if not batch:  # another thread wrote them
                    return
                self._trail.append([row(event) for event in batch])
                with queue.lock:
                    del queue.pending[: len(batch)]
            left -= len(batch)


def row(event: events.Event) -> AuditRow:
    """An event as a row that every database takes: client_ids and the like are anybody's text."""
    kind = type(event)
    values = {name: plain(name, getattr(event, name), _text) for name in field_names(kind)}
    columns: dict[str, Any] = {
        name: None if (value := values.pop(name, None)) is None else str(value)[:longest]
        for name, longest in COLUMNS.items()
    }
    return AuditRow(at=event.at, event=event_name(kind), detail=values, **columns)


def _text(value: str) -> str:
    """Without NUL and lone surrogates, which PostgreSQL refuses with the whole batch."""
    if value.isascii() and len(value) <= TEXT_LONGEST and "\x00" not in value:
        return value
    clipped = value if len(value) <= TEXT_LONGEST else value[: TEXT_LONGEST - 1] + "…"
    return clipped.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _log(problem: Exception, waiting: int) -> None:
    _logger.error("the audit trail cannot be written, %d events wait: %r", waiting, problem)
