"""Migrations and the tables' own definition are one schema, on both engines."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text

from idp.errors import ConfigError
from idp.storage import migrations, schema
from idp.storage.database import Database
from idp.storage.tables import metadata, revoked_token
from tests.contract.samples import NOW


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.dispose()


def _migrate(database: Database) -> None:
    """By Alembic alone, without the short cut."""
    with database.write() as connection:
        schema.migrate(connection)


def _differences(database: Database) -> list[Any]:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, metadata))


def _shape(database: Database) -> dict[str, Any]:
    """Everything about the tables that the database itself can tell."""
    if database.is_sqlite:
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        with database.read() as connection:
            return {
                str(name): " ".join(sql.replace('"', "").split())
                for name, sql in connection.execute(text(query))
            }
    with database.read() as connection:
        looked = inspect(connection)
        return {
            table: (
                [{**column, "type": str(column["type"])} for column in looked.get_columns(table)],
                looked.get_pk_constraint(table),
                sorted(map(str, looked.get_foreign_keys(table))),
                sorted(map(str, looked.get_unique_constraints(table))),
                sorted(map(str, looked.get_indexes(table))),
            )
            for table in looked.get_table_names()
        }


def test_migrations_give_exactly_the_tables(empty: Database) -> None:
    _migrate(empty)
    assert _differences(empty) == []
    assert schema.is_current(empty)


def test_upgrade_gives_exactly_the_tables(empty: Database) -> None:
    assert not schema.is_current(empty)
    schema.upgrade(empty)
    assert _differences(empty) == []
    assert schema.is_current(empty)
    schema.require_current(empty)


def test_both_ways_end_in_the_same_schema(tmp_path: Path) -> None:
    short, long = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in ("short", "long"))
    schema.upgrade(short)
    _migrate(long)
    shapes = _shape(short), _shape(long)
    short.dispose()
    long.dispose()
    assert shapes[0] == shapes[1]
    assert "user" in shapes[0]


def test_the_short_cut_loads_no_alembic(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/idp.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "migrate", _must_not_be_called)
        schema.upgrade(database)
    assert schema.is_current(database)
    database.dispose()


def test_a_second_upgrade_has_nothing_to_do(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(empty)
    before = _shape(empty)
    monkeypatch.setattr(schema, "migrate", _must_not_be_called)
    schema.upgrade(empty)
    assert _shape(empty) == before


def test_upgrade_keeps_the_rows(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.read() as connection:
        connection.execute(revoked_token.insert().values(jti="a", expires_at=NOW))
    schema.upgrade(empty)
    with empty.read() as connection:
        assert connection.scalar(select(func.count()).select_from(revoked_token)) == 1


def test_several_upgrades_at_once_are_harmless(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(8)]
    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(schema.upgrade, databases))
    assert _differences(databases[0]) == []
    for database in databases:
        database.dispose()


def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    with empty.read() as connection:  # in the way of the migration's last tables
        connection.execute(text("CREATE TABLE session (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        schema.upgrade(empty)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["session"]
    assert not schema.is_current(empty)


def test_foreign_keys_are_on_again_after_an_upgrade(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/idp.db", pool_size=1)
    schema.upgrade(database)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    database.dispose()


def test_a_database_without_tables(empty: Database) -> None:
    with pytest.raises(ConfigError, match="idp db upgrade"):
        schema.require_current(empty)


def test_an_older_schema(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(empty)
    monkeypatch.setattr(migrations, "HEAD", "9998")
    assert not schema.is_current(empty)
    with pytest.raises(ConfigError, match=r"older schema \(0002\): run `idp db upgrade`"):
        schema.require_current(empty)


def test_a_newer_schema(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.read() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not schema.is_current(empty)
    for call in (schema.require_current, schema.upgrade):
        with pytest.raises(ConfigError, match="9999 of a newer version"):
            call(empty)


def test_head_is_the_end_of_the_history() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == migrations.HEAD
    assert all(migrations.knows(script.revision) for script in scripts.walk_revisions())
    assert not migrations.knows("9999")


def _must_not_be_called(_: object) -> None:
    raise AssertionError
