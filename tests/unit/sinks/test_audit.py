"""The audit sink: what is owed at once, what may wait, and that nothing is lost."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from idp import events
from idp.model import AuditRow
from idp.sinks.audit import BATCH, AuditSink, row
from tests.unit.sinks.samples import AT, Leaky, issued, leaves, sample

LONG = timedelta(seconds=60)
FORKED = """
import os
from tests.unit.sinks.samples import issued
from tests.unit.sinks.test_audit import Trail, until
from idp.sinks.audit import AuditSink
trail = Trail()
sink = AuditSink(trail)
sink(issued(1))
if os.fork() == 0:
    assert not trail.rows
    sink(issued(2))
    until(lambda: trail.rows)
    assert [r.detail["jti"] for r in trail.rows] == ["2"], trail.rows
    os._exit(0)
_, status = os.wait()
assert status == 0, status
sink.flush()
assert [r.detail["jti"] for r in trail.rows] == ["1"], trail.rows
"""
ATEXIT = """
from datetime import timedelta
from tests.unit.sinks.samples import issued
from idp.sinks.audit import AuditSink
class Trail:
    def append(self, rows): print(len(rows))
AuditSink(Trail(), delay=timedelta(seconds=60))(issued())
"""


class Trail:
    def __init__(self) -> None:
        self.batches: list[Sequence[AuditRow]] = []
        self.broken = False

    def append(self, rows: Sequence[AuditRow]) -> None:
        if self.broken:
            raise OSError("disk full")
        self.batches.append(rows)

    @property
    def rows(self) -> list[AuditRow]:
        return [row for batch in self.batches for row in batch]

    def read(
        self, *, after: int = 0, support_code: str | None = None, limit: int = 100
    ) -> Sequence[tuple[int, AuditRow]]:
        return list(enumerate(self.rows))


def until(holds: Callable[[], object], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def jtis(trail: Trail) -> list[int]:
    return [int(r.detail["jti"]) for r in trail.rows]


def test_what_is_owed_now_is_written_now_and_failures_are_the_callers() -> None:
    trail = Trail()
    sink = AuditSink(trail, delay=LONG)
    sink(sample(events.CodeReplayed))
    assert [r.event for r in trail.rows] == ["code_replayed"]
    trail.broken = True
    with pytest.raises(OSError, match="disk full"):
        sink(sample(events.SignInCompleted))


def test_weights_of_all_events() -> None:
    trail = Trail()
    sink = AuditSink(trail, delay=LONG)
    for kind in leaves():
        sink(sample(kind))
    now = {r.event for r in trail.rows}
    sink.flush()
    assert {r.event for r in trail.rows} - now == {
        "token_issued",
        "token_refused",
        "page_refused",
        "request_failed",
        "admin_refused",
    }
    none = {"interaction_started", "token_introspected", "user_info_served"}
    assert len(trail.rows) == len(leaves()) - len(none)
    assert not none & {r.event for r in trail.rows}
    sink.close()


def test_light_events_are_written_together_within_a_fifth_of_a_second() -> None:
    trail = Trail()
    sink = AuditSink(trail)
    started = time.monotonic()
    for n in range(3):
        sink(issued(n))
    assert trail.rows == []
    until(lambda: trail.rows)
    assert time.monotonic() - started < 0.2
    assert [len(batch) for batch in trail.batches] == [3]
    sink(issued(3))
    until(lambda: len(trail.rows) == 4)
    assert jtis(trail) == [0, 1, 2, 3]
    sink.close()


def test_batches_have_a_size() -> None:
    trail = Trail()
    sink = AuditSink(trail, delay=LONG)
    for n in range(BATCH + 1):
        sink(issued(n))
    sink.flush()
    assert [len(batch) for batch in trail.batches] == [BATCH, 1]
    assert jtis(trail) == list(range(BATCH + 1))
    sink.close()


def test_a_full_queue_is_the_callers_work() -> None:
    trail = Trail()
    sink = AuditSink(trail, limit=2, delay=LONG)
    for n in range(4):
        sink(issued(n))
    assert jtis(trail) == [2, 3]
    trail.broken = True
    with pytest.raises(OSError, match="disk full"):
        sink(issued(4))
    trail.broken = False
    sink.flush()
    assert jtis(trail) == [2, 3, 0, 1]
    sink(issued(5))
    assert len(trail.rows) == 4
    sink.close()
    assert jtis(trail)[4:] == [5]


def test_a_failed_batch_is_reported_and_tried_again() -> None:
    trail, heard = Trail(), list[tuple[str, int]]()

    def report(problem: Exception, waiting: int) -> None:
        heard.append((str(problem), waiting))
        raise RuntimeError("even the reporter fails")

    sink = AuditSink(trail, delay=timedelta(milliseconds=5), report=report)
    trail.broken = True
    sink(issued(0))
    until(lambda: len(heard) >= 2)
    sink(issued(1))
    trail.broken = False
    until(lambda: len(trail.rows) == 2)
    assert heard[0] == ("disk full", 1)
    assert jtis(trail) == [0, 1]
    sink.close()


def test_without_a_reporter_the_log_hears(caplog: pytest.LogCaptureFixture) -> None:
    trail = Trail()
    sink = AuditSink(trail, delay=LONG)
    sink(issued())
    trail.broken = True
    with pytest.raises(OSError, match="disk full"):
        sink.flush()
    sink.close()
    assert "cannot be written, 1 events wait: OSError('disk full')" in caplog.text


def test_after_close_everything_is_written_at_once() -> None:
    trail = Trail()
    sink = AuditSink(trail, delay=LONG)
    sink(issued(0))
    thread = next(t for t in threading.enumerate() if t.name == "audit")
    assert thread.daemon
    sink.close()
    assert not thread.is_alive()
    assert jtis(trail) == [0]
    sink(issued(1))
    assert jtis(trail) == [0, 1]


def test_no_thread_before_it_is_needed() -> None:
    sink = AuditSink(Trail())
    sink(sample(events.CodeReplayed))
    assert "audit" not in {t.name for t in threading.enumerate()}


@pytest.mark.parametrize(("script", "out"), [(FORKED, ""), (ATEXIT, "1\n")])
def test_processes(script: str, out: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, out, "")


def test_a_row_splits_columns_from_detail() -> None:
    assert row(sample(events.FactorRejected, user_id=None)) == AuditRow(
        at=AT,
        event="factor_rejected",
        interaction="<interaction>",
        support_code="<support_code>",
        user_id=None,
        client_id="<client_id>",
        detail={"factor": "<factor>", "reason": "<reason>"},
    )
    assert row(sample(events.KeysRotated)).detail == {
        "kids": ["a", "b"],
        "active_at": "2026-01-01T12:00:00.123Z",
    }
    for kind in leaves():
        json.dumps(row(sample(kind)).detail, allow_nan=False)


def test_no_secret_is_kept() -> None:
    assert "hush" not in repr(row(Leaky(at=AT, nested={"token": "hush", "x": b"hush"})))


def test_rows_that_a_database_would_refuse_are_made_to_fit() -> None:
    nasty = "\x00é\ud800" + "x" * 5000
    made = row(sample(events.TokenRefused, client_id=nasty, detail=nasty, error="\x00"))
    assert made.client_id is not None
    assert made.client_id.startswith("\\x00é\\ud800x")
    assert len(made.client_id) == 128
    assert made.detail["detail"].endswith("x…")
    assert len(made.detail["detail"]) < 1010
    assert made.detail["error"] == "\\x00"
    assert "\x00" not in repr(made.detail)


def test_what_comes_while_a_batch_is_written_gathers_for_the_next() -> None:
    class Slow(Trail):
        def append(self, rows: Sequence[AuditRow]) -> None:
            super().append(rows)
            if len(self.rows) == 1:
                sink(issued(1))
                sink(issued(2))

    trail = Slow()
    sink = AuditSink(trail, delay=LONG)
    sink(issued(0))
    sink.flush()
    assert jtis(trail) == [0]
    sink.flush()
    assert [len(batch) for batch in trail.batches] == [1, 2]
    sink.close()


def test_nobody_has_to_call_for_what_came_while_a_batch_was_written() -> None:
    class Slow(Trail):
        def append(self, rows: Sequence[AuditRow]) -> None:
            super().append(rows)
            if len(self.rows) == 1:
                sink(issued(1))

    trail = Slow()
    sink = AuditSink(trail, delay=timedelta(milliseconds=5))
    sink(issued(0))
    until(lambda: jtis(trail) == [0, 1])
    sink.close()
