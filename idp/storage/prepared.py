"""A read that is compiled once: SQLAlchemy writes the statement, the driver runs it.

What SQLAlchemy does at each execution costs more than SQLite's answer. This keeps its pool and
its types and leaves out the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Select
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeEngine

from idp.storage.database import Database

Row: TypeAlias = Sequence[Any]
Convert: TypeAlias = Callable[[Any], Any]


class _Compiled:
    """A statement with its SQL, its parameters' order and their conversions, made once."""

    def __init__(
        self, database: Database, statement: Any, columns: Any, keys: Sequence[str] = ()
    ) -> None:
        dialect = database.engine.dialect
        compiled = statement.compile(dialect=dialect, column_keys=list(keys) or None)
        self._engine = database.engine
        self._sql = str(compiled)
        self._names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._constants = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._binds = _converters(
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in compiled.binds.items()
        )
        self._results = _converters(
            (position, _result(column.type, dialect)) for position, column in enumerate(columns)
        )

    def _arguments(self, values: dict[str, Any]) -> Any:
        parameters = {**self._constants, **values} if self._constants else values
        for name, convert in self._binds:
            parameters[name] = convert(parameters[name])
        if self._names is None:
            return parameters
        return [parameters[name] for name in self._names]

    def _convert(self, row: Row) -> Row:
        values = list(row)
        for position, convert in self._results:
            values[position] = convert(values[position])
        return values


class Prepared(_Compiled):
    """A SELECT whose parameters are its `bindparam`s, called by name."""

    def __init__(self, database: Database, statement: Select[*tuple[Any, ...]]) -> None:
        super().__init__(database, statement, statement.selected_columns)

    def one(self, **values: Any) -> Row | None:
        """The first row."""
        rows = self.all(**values)
        return rows[0] if rows else None

    def all(self, **values: Any) -> Sequence[Row]:
        """Every row. Holds the connection no longer than the driver needs it."""
        connection = self._engine.raw_connection()
        try:
            rows = self.on(connection.driver_connection, **values)
        finally:
            connection.close()
        return rows

    def on(self, driver: Any, **values: Any) -> Sequence[Row]:
        """Inside the caller's transaction (`Database.driver`)."""
        rows: Sequence[Row] = driver.execute(self._sql, self._arguments(values)).fetchall()
        return [self._convert(row) for row in rows] if self._results else rows


class Command(_Compiled):
    """An INSERT, UPDATE or DELETE. `keys` names the columns of an INSERT without own values."""

    def __init__(self, database: Database, statement: Any, keys: Sequence[str] = ()) -> None:
        self._returns = tuple(statement.exported_columns)
        super().__init__(database, statement, self._returns, keys)

    def run(self, **values: Any) -> int:
        """As a transaction of its own; how many rows it touched."""
        connection = self._engine.raw_connection()
        try:
            touched = self.touched(connection.driver_connection, **values)
        finally:
            connection.close()
        return touched

    def touched(self, driver: Any, **values: Any) -> int:
        """Inside the caller's transaction; how many rows it touched."""
        count: int = driver.execute(self._sql, self._arguments(values)).rowcount
        return count

    def one(self, **values: Any) -> Row | None:
        """As a transaction of its own; the row that RETURNING gives."""
        connection = self._engine.raw_connection()
        try:
            row = self.on(connection.driver_connection, **values)
        finally:
            connection.close()
        return row

    def on(self, driver: Any, **values: Any) -> Row | None:
        """Inside the caller's transaction (`Database.driver`); the row that RETURNING gives."""
        cursor = driver.execute(self._sql, self._arguments(values))
        if not self._returns:
            return None
        rows = cursor.fetchall()
        return self._convert(rows[0]) if rows else None


def _converters(found: Any) -> list[tuple[Any, Convert]]:
    return [(where, convert) for where, convert in found if convert is not None]


def _result(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return type_.dialect_impl(dialect).result_processor(dialect, None)
