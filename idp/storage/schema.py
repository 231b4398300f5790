"""Whether the database's schema is this code's, and how it becomes so.

Migrations make every schema, but for one short cut: an empty SQLite file gets all tables at once,
without Alembic. A contract test proves that both ways end in the same schema.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from idp.errors import ConfigError
from idp.storage import migrations
from idp.storage.database import Database
from idp.storage.tables import metadata

UPGRADE_LOCK: Final = 0x1D95C4E3A  # of PostgreSQL's advisory locks, the one for migrations

# Alembic's own table, as Alembic makes it.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_CURRENT = select(_version.c.version_num)


def is_current(database: Database) -> bool:
    with database.read() as connection:
        return _revision(connection) == migrations.HEAD


def answers(database: Database) -> bool:
    """Whether something can be read now; the schema may be a newer one by then."""
    try:
        with database.read() as connection:
            return connection.scalar(_CURRENT) is not None
    except SQLAlchemyError:
        return False


def require_current(database: Database) -> None:
    """Raises ConfigError that says what to do when the schema is not this code's."""
    with database.read() as connection:
        found = _revision(connection)
    if found == migrations.HEAD:
        return
    if found is None:
        raise ConfigError(f"{database!r} has no tables yet: run `idp db upgrade`")
    if migrations.knows(found):
        raise ConfigError(f"{database!r} has an older schema ({found}): run `idp db upgrade`")
    raise ConfigError(f"{database!r} has the schema {found} of a newer version: install that one")


def upgrade(database: Database) -> None:
    """To this code's schema, whole or not at all; of processes that try at once, one does it."""
    with _alone(database) as connection:
        found = _revision(connection)
        if found == migrations.HEAD:
            return
        if found is not None and not migrations.knows(found):
            raise ConfigError(f"{database!r} has the schema {found} of a newer version")
        if database.is_sqlite and not inspect(connection).get_table_names():
            metadata.create_all(connection)
            _version.create(connection)
            connection.execute(_version.insert().values(version_num=migrations.HEAD))
        else:
            migrate(connection)


def migrate(connection: Connection) -> None:
    """Run Alembic inside the transaction of this connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(migrations.__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.scalar(_CURRENT)


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    with database.read() as connection:
        if database.is_sqlite:
            # A migration that rebuilds a table drops the old one, which must not cascade. This
            # setting cannot change inside a transaction.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        try:
            with database.transaction(connection):
                if not database.is_sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
                yield connection
        finally:
            if database.is_sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")
