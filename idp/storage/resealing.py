"""After a new key-encryption key: all sealed values are wrapped anew, with others at work."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Column, Table, select

from idp.storage.database import Database
from idp.storage.seal import Sealer
from idp.storage.tables import metadata

BATCH: Final = 500


def sealed_columns() -> list[tuple[Table, Column[Any]]]:
    return [
        (table, column)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.info.get("sealed")
    ]


def reseal(database: Database, sealer: Sealer) -> int:
    """Returns how many values were not under the primary key and now are."""
    return sum(
        _reseal(database, sealer, table, column, batch)
        for table, column in sealed_columns()
        for batch in _batches(database, table, column)
    )


def _batches(
    database: Database, table: Table, column: Column[Any]
) -> Iterator[Sequence[tuple[str, bytes]]]:
    (key,) = table.primary_key.columns
    after = ""
    while True:
        page = select(key, column).where(key > after).order_by(key).limit(BATCH)
        with database.read() as connection:
            rows = [(str(row[0]), bytes(row[1])) for row in connection.execute(page)]
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _reseal(
    database: Database,
    sealer: Sealer,
    table: Table,
    column: Column[Any],
    batch: Sequence[tuple[str, bytes]],
) -> int:
    (key,) = table.primary_key.columns
    done = 0
    with database.write() as connection:
        for row, old in batch:
            new = sealer.rewrap(old, table=table.name, column=column.name, row=row)
            if new is not None:
                # Only over what was read: a value that was saved meanwhile is newer.
                same = table.update().where(key == row, column == old)
                done += connection.execute(same.values({column.name: new})).rowcount
    return done
