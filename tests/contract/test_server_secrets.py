"""The server's own secrets: made on first use, the same for everyone, sealed."""

import pytest
from sqlalchemy import select

from idp.storage import tables
from idp.storage.database import Database
from idp.storage.seal import Sealer
from idp.storage.server_secrets import SqlServerSecrets
from tests.contract.race import race


def test_it_is_256_bits_and_stays(database: Database, sealer: Sealer) -> None:
    made = SqlServerSecrets(database, sealer).get("refresh")
    assert len(made) == 32
    assert SqlServerSecrets(database, sealer).get("refresh") == made


def test_each_name_has_its_own(database: Database, sealer: Sealer) -> None:
    held = SqlServerSecrets(database, sealer)
    assert held.get("refresh") != held.get("csrf")


def test_fifty_processes_get_one(database: Database, sealer: Sealer) -> None:
    assert len(set(race(lambda _: SqlServerSecrets(database, sealer).get("refresh")))) == 1


def test_it_is_read_once(
    database: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = SqlServerSecrets(database, sealer)
    made = held.get("refresh")
    with database.read() as connection:
        connection.execute(tables.server_secret.delete())
    assert held.get("refresh") == made


def test_the_row_does_not_hold_it(database: Database, sealer: Sealer) -> None:
    made = SqlServerSecrets(database, sealer).get("refresh")
    with database.read() as connection:
        stored = bytes(connection.scalars(select(tables.server_secret.c.value)).one())
    assert made not in stored
    assert sealer.open(stored, table="server_secret", column="value", row="refresh") == made
