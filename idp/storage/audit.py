"""The audit trail. It is appended to and read; there is no other verb.

Rows are written many to a statement: a driver gives the interpreter up once per statement, and a
thread that does so per row makes every request beside it wait as often.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Insert, bindparam, select

from idp.model import AuditRow
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import MAPPING, Mapped, fitting, storable
from idp.storage.tables import audit

_mapped = Mapped(AuditRow, audit, detail=MAPPING)
_SIZES: Final = (128, 16, 4, 1)  # rows of one statement
_STRANGERS = ("interaction", "client_id", "user_id")  # columns that a request may have filled


class SqlAuditTrail:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._commands: dict[int, Command] = {}
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
        statements = [(len(chunk), _numbered(chunk)) for chunk in _chunks(rows)]
        with self._database.driver() as driver:
            for size, values in statements:
                self._append(size).on(driver, **values)

    def _append(self, size: int) -> Command:
        """Compiled when the first batch of that size comes: the largest has a thousand values."""
        command = self._commands.get(size)
        if command is None:
            command = self._commands[size] = Command(self._database, _insert(size))
        return command

    def read(
        self, *, after: int = 0, support_code: str | None = None, limit: int = 100
    ) -> Sequence[tuple[int, AuditRow]]:
        """Rows with their numbers, oldest first."""
        if support_code is None:
            found = self._page.all(after=after, limit=limit)
        else:
            found = self._about.all(after=after, limit=limit, support_code=support_code)
        return [(row[0], _mapped.load(row[1:])) for row in found]

    def about(self, user_id: str, events: Sequence[str], *, limit: int = 100) -> Sequence[AuditRow]:
        """What happened to a user, of these events; the newest first."""
        if not storable(user_id):
            return []
        found = (
            select(*_mapped.columns)
            .where(audit.c.user_id == user_id, audit.c.event.in_(events))
            .order_by(audit.c.seq.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_mapped.load(tuple(row)) for row in connection.execute(found)]


def _insert(size: int) -> Insert:
    return audit.insert().values(
        [
            {c.name: bindparam(f"{c.name}_{n}", type_=c.type) for c in _mapped.columns}
            for n in range(size)
        ]
    )


def _chunks(rows: Sequence[AuditRow]) -> Iterator[Sequence[AuditRow]]:
    """The largest statements first, until nothing is left."""
    done = 0
    while done < len(rows):
        size = next(size for size in _SIZES if size <= len(rows) - done)
        yield rows[done : done + size]
        done += size


def _numbered(rows: Sequence[AuditRow]) -> dict[str, Any]:
    return {
        f"{name}_{n}": value for n, row in enumerate(rows) for name, value in _dump(row).items()
    }


def _dump(row: AuditRow) -> dict[str, Any]:
    """What a stranger sent is cut to its column: it must not keep the row from being written."""
    values = _mapped.dump(row)
    for name in _STRANGERS:
        values[name] = fitting(values[name], audit.c[name])
    return values
