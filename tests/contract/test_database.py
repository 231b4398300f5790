"""Connections and transactions: all or nothing, usable afterwards, and found dead in time."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import IntegrityError

from idp.errors import ConfigError
from idp.storage import schema
from idp.storage.database import Database
from idp.storage.prepared import Prepared
from idp.storage.tables import revoked_token
from tests.contract.race import THREADS, race
from tests.contract.samples import NOW

COUNT = select(func.count()).select_from(revoked_token)


class Interrupted(BaseException):
    """Not an Exception, as KeyboardInterrupt is not."""


def _insert(connection: Connection, *jtis: str) -> None:
    for jti in jtis:
        connection.execute(revoked_token.insert().values(jti=jti, expires_at=NOW))


def _add(database: Database, *jtis: str) -> None:
    with database.write() as connection:
        _insert(connection, *jtis)


def _add_and_fail(database: Database, problem: type[BaseException]) -> None:
    with database.write() as connection:
        _insert(connection, "a")
        raise problem


def _count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(COUNT) or 0


def test_write_commits(database: Database) -> None:
    _add(database, "a")
    assert _count(database) == 1


def _begin_and_fail(
    database: Database, connection: Connection, problem: type[BaseException]
) -> None:
    with database.transaction(connection):
        _insert(connection, "a")
        raise problem


@pytest.mark.parametrize("problem", [RuntimeError, Interrupted])
def test_an_exception_inside_write_leaves_nothing(
    engine: str, empty_url: str, problem: type[BaseException]
) -> None:
    database = Database(empty_url, pool_size=1)
    schema.upgrade(database)
    with pytest.raises(problem):
        _add_and_fail(database, problem)
    assert _count(database) == 0
    _add(database, "b")  # the one connection of this pool is usable
    assert _count(database) == 1
    database.dispose()


@pytest.mark.parametrize("problem", [RuntimeError, Interrupted])
def test_the_connection_itself_is_out_of_the_transaction(
    database: Database, problem: type[BaseException]
) -> None:
    with database.read() as connection:
        with pytest.raises(problem):
            _begin_and_fail(database, connection, problem)
        assert connection.scalar(COUNT) == 0
        _insert(connection, "b")
    assert _count(database) == 1


def test_a_failed_statement_leaves_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        _add(database, "a", "b", "a")
    assert _count(database) == 0
    _add(database, "c")


def test_nobody_sees_a_transaction_before_it_commits(database: Database) -> None:
    with database.write() as connection:
        _insert(connection, "a")
        assert _count(database) == 0
    assert _count(database) == 1


def test_outside_of_write_each_statement_stands_for_itself(database: Database) -> None:
    with database.read() as connection:
        _insert(connection, "a")
        assert _count(database) == 1
        connection.rollback()
    assert _count(database) == 1


def test_transactions_of_fifty_do_not_lose_each_other(tmp_path: Path) -> None:
    """A read, then a write that depends on it: SQLite's lock is taken before the read."""
    database = Database(f"sqlite:///{tmp_path}/idp.db", pool_size=THREADS)
    schema.upgrade(database)

    def add(_: int) -> None:
        with database.write() as connection:
            number = connection.scalar(COUNT)
            _insert(connection, f"t{number}")

    race(add)
    assert _count(database) == THREADS
    database.dispose()


def test_a_closed_connection_of_the_pool_is_replaced(postgres_url: str) -> None:
    victim, killer = Database(postgres_url, pool_size=1), Database(postgres_url)
    prepared = Prepared(victim, select(func.pg_backend_pid()))
    first = prepared.one()
    assert first is not None
    with killer.read() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({first[0]}, 5000)")
    second = prepared.one()
    assert second is not None
    assert second != first
    assert prepared.one() == second  # and a live one is kept
    victim.dispose()
    killer.dispose()


def test_a_connection_with_news_is_kept(postgres_url: str) -> None:
    listener, notifier = Database(postgres_url, pool_size=1), Database(postgres_url)
    prepared = Prepared(listener, select(func.pg_backend_pid()))
    with listener.read() as connection:
        connection.exec_driver_sql("LISTEN news")
    before = prepared.one()
    with notifier.read() as connection:
        connection.exec_driver_sql("NOTIFY news")
    assert prepared.one() == before
    listener.dispose()
    notifier.dispose()


# --- SQLite's file


def test_sqlite_is_durable_and_keeps_its_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/idp.db")
    with database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 10000,
    }


def test_sqlite_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/idp.db")
    schema.upgrade(database)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    database.dispose()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert modes["idp.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_fifty_connections_open_a_new_file_at_once(tmp_path: Path) -> None:
    def connect(_: int) -> object:
        database = Database(f"sqlite:///{tmp_path}/idp.db")
        with database.read() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        database.dispose()
        return mode

    assert race(connect) == ["wal"] * THREADS


def test_more_threads_than_connections_wait_their_turn(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/idp.db", pool_size=2)
    opened: list[object] = []
    event.listen(database.engine, "connect", lambda *_: opened.append(1))
    schema.upgrade(database)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: _add(database, str(n)), range(40)))
    assert _count(database) == 40
    assert len(opened) == 2
    database.dispose()


# --- what cannot be used


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "oracle+x://h/d"]
)
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.database_url"):
        Database(url)


def test_a_server_that_is_not_there(unused_port: int) -> None:
    url = f"postgresql://idp@127.0.0.1:{unused_port}/idp"
    database = Database(url, password="never-shown")
    with pytest.raises(ConfigError, match="refused") as caught:
        database.require_reachable()
    assert "never-shown" not in caught.value.public
    assert "never-shown" not in repr(database)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/file/idp.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "idp.db").write_bytes(b"something else" * 100)
    database = Database(f"sqlite:///{tmp_path}/idp.db")
    with pytest.raises(ConfigError, match="cannot be used"):
        database.require_reachable()
    database.dispose()
