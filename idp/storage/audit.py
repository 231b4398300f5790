"""The audit trail. It is appended to and read; there is no other verb."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from idp.model import AuditRow
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import MAPPING, Mapped, fitting
from idp.storage.tables import audit

_mapped = Mapped(AuditRow, audit, detail=MAPPING)
_STRANGERS = ("interaction", "client_id", "user_id")  # columns that a request may have filled


class SqlAuditTrail:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._append = Command(database, audit.insert(), [c.name for c in _mapped.columns])
        page = (
            select(audit.c.seq, *_mapped.columns)
            .where(audit.c.seq > bindparam("after"))
            .order_by(audit.c.seq)
            .limit(bindparam("limit"))
        )
        self._page = Prepared(database, page)
        self._about = Prepared(
            database, page.where(audit.c.support_code == bindparam("support_code"))
        )

    def append(self, rows: Sequence[AuditRow]) -> None:
        """All of them or none, in this order."""
        if not rows:
            return
        with self._database.driver() as driver:
            self._append.many(driver, [_dump(row) for row in rows])

    def read(
        self, *, after: int = 0, support_code: str | None = None, limit: int = 100
    ) -> Sequence[tuple[int, AuditRow]]:
        """Rows with their numbers, oldest first."""
        if support_code is None:
            found = self._page.all(after=after, limit=limit)
        else:
            found = self._about.all(after=after, limit=limit, support_code=support_code)
        return [(row[0], _mapped.load(row[1:])) for row in found]


def _dump(row: AuditRow) -> dict[str, Any]:
    """What a stranger sent is cut to its column: it must not keep the row from being written."""
    values = _mapped.dump(row)
    for name in _STRANGERS:
        values[name] = fitting(values[name], audit.c[name])
    return values
