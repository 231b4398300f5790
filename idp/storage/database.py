"""One database and its connections: the only place that knows how SQLite and PostgreSQL differ
in opening, in beginning a transaction and in `INSERT .. ON CONFLICT`.

Every connection is in autocommit: one statement is atomic by itself. Several that belong together
run inside `write()`.
"""

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import URL, Connection, QueuePool, Table, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError

from idp.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert

WAIT_SECONDS: Final = 10  # for a lock or for a connection of the pool
CONNECT_SECONDS: Final = 5
PRAGMAS: Final = (
    f"busy_timeout={WAIT_SECONDS * 1000}",  # first: the next one may have to wait
    "journal_mode=WAL",
    "synchronous=FULL",  # a used code must not be unused after a power cut
    "foreign_keys=ON",
)


class Database:
    """A pool of connections. Nothing is opened before the first use.

    What is not `durable` survives a killed process and may lose its last moments with the power.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        pool_size: int = 10,
        durable: bool = True,
    ) -> None:
        parsed = _parse(url, password)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _prepare_file(parsed)
        self._begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        self.engine = create_engine(
            parsed,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_reset_on_return=None,  # autocommit: a transaction ends itself, nothing is left
            connect_args=(
                {"check_same_thread": False}
                if self.is_sqlite
                else {"connect_timeout": CONNECT_SECONDS, "application_name": "idp"}
            ),
        )
        if self.is_sqlite:
            pragmas = PRAGMAS if durable else (*PRAGMAS, "synchronous=NORMAL")
            event.listen(self.engine, "connect", partial(_set_pragmas, pragmas))
        else:
            event.listen(self.engine, "checkout", _refuse_dead)

    def __repr__(self) -> str:
        return f"Database({self.engine.url.render_as_string(hide_password=True)!r})"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose every statement is a transaction of its own."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection inside one transaction: committed at the end, or rolled back whole."""
        with self.engine.connect() as connection, self.transaction(connection):
            yield connection

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """On SQLite the write lock is taken at once: nobody finds out late that he waited."""
        connection.exec_driver_sql(self._begin)
        try:
            yield
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            if not connection.invalidated:
                connection.connection.rollback()
            raise

    @contextmanager
    def driver(self) -> Iterator[Any]:
        """The driver's connection inside one transaction, for commands compiled beforehand."""
        pooled = self.engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            driver.execute(self._begin)
            try:
                yield driver
                driver.execute("COMMIT")
            except BaseException:
                driver.rollback()
                raise
        finally:
            pooled.close()

    def insert(self, table: Table) -> "Insert":
        """An INSERT of this database's dialect, for its ON CONFLICT clauses.

        PostgreSQL's class has the same methods; the type is SQLite's for both.
        """
        if self.is_sqlite:
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return cast("Insert", postgresql.insert(table))

    def integrity_errors(self) -> type[Exception]:
        """What the driver raises for a key that is taken, where commands are run on it."""
        error: type[Exception] = self.engine.dialect.dbapi.IntegrityError  # type: ignore[union-attr]
        return error

    def require_reachable(self) -> None:
        """Raises ConfigError, with the driver's own words, when no statement gets through."""
        try:
            with self.read() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DBAPIError as problem:
            raise ConfigError(f"{self!r} cannot be used: {problem.orig}") from None

    def dispose(self) -> None:
        self.engine.dispose()


def _parse(url: str, password: str | None) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("storage.database_url: this is not a database URL") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigError("storage.database_url: SQLite needs a file, sqlite:///<path>")
        return parsed.set(drivername="sqlite")
    if backend == "postgresql":
        secret = parsed.password if password is None else password
        return parsed.set(drivername="postgresql+psycopg", password=secret)
    raise ConfigError(
        f"storage.database_url: {backend} is not supported; PostgreSQL and SQLite are"
    )


def _prepare_file(url: URL) -> None:
    """The file is made with its owner's rights alone; SQLite gives its journals the same."""
    path = Path(cast("str", url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never opened when it is there: closing a file drops the locks that this process, by
        # another connection, holds on it (POSIX), and SQLite would lose writes.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as problem:
        raise ConfigError(f"the database {path} cannot be opened: {problem.strerror}") from None


def _set_pragmas(pragmas: Sequence[str], connection: Any, _record: object) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()


def _refuse_dead(connection: Any, _record: object, _proxy: object) -> None:
    """Replace a connection that the server closed while it lay in the pool.

    An idle connection has nothing to say: only one that does is asked, so that the check costs
    no round trip.
    """
    if not connection.closed:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return
        try:
            connection.execute("SELECT 1")
            return
        except connection_errors():
            pass
    raise DisconnectionError("closed by the server")


def connection_errors() -> type[Exception]:
    """What psycopg raises for a lost connection; imported only where PostgreSQL is used."""
    from psycopg import OperationalError

    return OperationalError
