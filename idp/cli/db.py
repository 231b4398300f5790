"""`idp db`: the schema; and how every other command gets at the stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from idp.cli.output import document, json_option, note, say

if TYPE_CHECKING:
    from idp.core import Core
    from idp.settings import Settings

ACTOR = "cli"


@contextmanager
def opened(config_file: Path | None) -> Iterator["Core"]:
    """What the services need, closed at the end so that every event has reached the audit trail.

    The embedded database gets its schema here, as `idp serve` does it; PostgreSQL says what to
    run. Raises ConfigError.
    """
    from idp import settings
    from idp.core import create_core
    from idp.storage.open import schema_current, upgrade

    read = settings.read(config_file)
    if not read.storage.database_url and not schema_current(read):
        upgrade(read)
    core = create_core(read)
    try:
        yield core
    finally:
        core.close()


def location(settings: "Settings") -> str:
    """The database in words, without any password."""
    url = settings.storage.database_url
    if not url:
        return f"SQLite in {settings.state_dir}"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@click.group("db")
def command() -> None:
    """Bring the database's schema up to date.

    \b
    Example:
      idp --config idp.toml db upgrade
    """


@command.command("upgrade")
@json_option
@click.pass_obj
def upgrade_command(config_file: Path | None, as_json: bool) -> None:
    """Bring the schema to this version, whole or not at all. Safe to run again.

    \b
    Example:
      idp --config idp.toml db upgrade
    """
    from idp import settings
    from idp.storage.open import schema_current, upgrade

    read = settings.read(config_file)
    current = schema_current(read)
    if not current:
        note(f"upgrading {location(read)} ...")
        upgrade(read)
    if as_json:
        document({"database": location(read), "upgraded": not current, "current": True})
    else:
        say("already up to date" if current else "done: the schema is up to date")


@command.command("status")
@json_option
@click.pass_obj
def status(config_file: Path | None, as_json: bool) -> None:
    """Say whether the schema is this version's. Exit code 4 when it is not.

    \b
    Example:
      idp --config idp.toml db status --json
    """
    from idp import settings
    from idp.cli.output import PROBLEMS
    from idp.storage.open import schema_current

    read = settings.read(config_file)
    current = schema_current(read)
    if as_json:
        document({"database": location(read), "current": current})
    else:
        say(f"{location(read)}: " + ("up to date" if current else "run `idp db upgrade`"))
    if not current:
        raise SystemExit(PROBLEMS)
