"""Failures per subject and factor: counted before the check, in one atomic statement."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, bindparam, case, literal, select
from sqlalchemy.sql.elements import ColumnElement

from idp.model import Attempt
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.tables import EPOCH, MICROSECOND, Instant, attempt

FREE: Final = 4  # failures that cost no wait
FIRST: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(hours=1)


def delay(failures: int) -> timedelta:
    """How long after that many failures the next attempt is refused."""
    if failures <= FREE:
        return timedelta(0)
    doublings: int = 2 ** min(failures - FREE - 1, 32)
    return min(FIRST * doublings, LONGEST)


def _ladder(failures: ColumnElement[int]) -> ColumnElement[int]:
    """`delay` in SQL, in microseconds."""
    steps = []
    count = 1
    while delay(count) < LONGEST:
        steps.append((failures == literal(count), literal(delay(count) // MICROSECOND, BigInteger)))
        count += 1
    return case(*steps, else_=literal(LONGEST // MICROSECOND, BigInteger))


class SqlAttempts:
    def __init__(self, database: Database) -> None:
        row = (
            attempt.c.subject == bindparam("subject"),
            attempt.c.factor == bindparam("factor"),
        )
        self._current = Prepared(
            database, select(attempt.c.failures, attempt.c.not_before).where(*row)
        )
        self._reset = Command(database, attempt.delete().where(*row))
        fewer = attempt.c.failures - 1
        self._forgive = Command(
            database,
            attempt.update()
            .where(*row, attempt.c.failures > 0)
            .values(
                failures=fewer,
                not_before=case(
                    (fewer <= FREE, literal(EPOCH, Instant)), else_=attempt.c.not_before
                ),
            ),
        )
        now = bindparam("now", type_=BigInteger)
        next_failures = attempt.c.failures + 1
        count = (
            database.insert(attempt)
            .values(
                subject=bindparam("subject"),
                factor=bindparam("factor"),
                failures=1,
                not_before=literal(EPOCH, Instant),
            )
            .on_conflict_do_update(
                index_elements=["subject", "factor"],
                set_={
                    "failures": next_failures,
                    # Free ones are free at once: another machine's clock may be behind ours.
                    "not_before": case(
                        (next_failures <= FREE, literal(EPOCH, Instant)),
                        else_=now + _ladder(next_failures),
                    ),
                },
                where=attempt.c.not_before <= bindparam("free_at", type_=Instant),
            )
            .returning(attempt.c.failures, attempt.c.not_before)
        )
        self._count = Command(database, count)

    def count(self, subject: str, factor: str, now: datetime) -> Attempt:
        """Count one attempt as failed, unless it comes too early. A success takes it back."""
        key = {"subject": subject, "factor": factor}
        values = {"free_at": now, "now": (now - EPOCH) // MICROSECOND}
        counted = self._count.one(**key, **values)
        if counted is not None:
            failures, not_before = counted
            return Attempt(True, failures, max(not_before, now))
        refused = self._current.one(**key)
        failures, retry_at = (0, now) if refused is None else refused  # none: reset meanwhile
        return Attempt(False, failures, retry_at)

    def forgive(self, subject: str, factor: str) -> None:
        """Take one count back: the server was too busy to look at the answer. A wait that other
        failures have earned stays."""
        self._forgive.run(subject=subject, factor=factor)

    def reset(self, subject: str, factor: str) -> None:
        self._reset.run(subject=subject, factor=factor)
