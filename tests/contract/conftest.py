"""The engines under every suite: a new SQLite file, or this worker's PostgreSQL, emptied."""

from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import cast

import pytest
from sqlalchemy import text

from idp.storage import schema
from idp.storage.database import Database
from idp.storage.seal import Keyring, Sealer
from idp.storage.tables import metadata
from tests.contract.race import THREADS


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture
def database(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """With the schema and no rows. Every thread of a race gets its own connection."""
    if engine == "postgres":
        yield _emptied(request.getfixturevalue("postgres_database"))
        return
    opened = Database(f"sqlite:///{tmp_path}/idp.db", pool_size=THREADS)
    schema.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url, pool_size=THREADS)
    schema.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def empty_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of this test's own, without any table."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path}/own.db"
    from tests.services import fresh_database

    return fresh_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(Keyring.parse(Keyring.generate("k1")))


def _emptied(database: Database) -> Database:
    names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with database.read() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return database


@pytest.fixture
def unused_port() -> int:
    """Nobody listens there."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
