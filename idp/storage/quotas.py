"""Budgets over a window of time, kept in SQL: a restart, or losing Redis, refills none."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, or_, select

from idp.model import Spent
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import storable
from idp.storage.tables import Instant, quota

LONGEST_KEY = 256


class SqlQuotas:
    def __init__(self, database: Database) -> None:
        now = bindparam("now", type_=Instant)
        over = quota.c.ends_at <= now
        insert = database.insert(quota)
        spend = insert.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((over, 1), else_=quota.c.count + 1),
                "ends_at": case((over, insert.excluded.ends_at), else_=quota.c.ends_at),
            },
            where=or_(over, quota.c.count < bindparam("most")),
        ).returning(quota.c.count, quota.c.ends_at)
        self._spend = Command(database, spend, quota.c.keys())
        self._now = Prepared(
            database,
            select(quota.c.count, quota.c.ends_at).where(quota.c.key == bindparam("k")),
        )

    def spend(self, key: str, limit: int, window: timedelta, now: datetime) -> Spent:
        """One unit of the budget `key`, of which there are `limit` in `window` from the first on.

        What is refused is not counted. A limit below 1 refuses everything.
        """
        if limit < 1 or not _possible(key):
            return Spent(False, 0, now + window)
        row = self._spend.one(key=key, count=1, ends_at=now + window, now=now, most=limit)
        if row is not None:
            return Spent(True, int(row[0]), row[1])
        held = self._now.one(k=key)
        count, ends_at = (limit, now + window) if held is None else held
        return Spent(False, int(count), ends_at)

    def used(self, key: str, now: datetime) -> int:
        """How much of it is spent in the window that is running."""
        row = self._now.one(k=key) if _possible(key) else None
        return 0 if row is None or row[1] <= now else int(row[0])


def _possible(key: str) -> bool:
    """Whether the column can hold it: a budget that cannot be kept is spent."""
    return len(key) <= LONGEST_KEY and storable(key)
