"""`idp config`: check the configuration; generate its reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import idp
from idp.cli.db import location
from idp.cli.flow import findings, report
from idp.cli.output import UNREADABLE, document, json_option, note, say

if TYPE_CHECKING:
    from idp.flow.check import Finding
    from idp.settings import Settings

ROOT = Path(idp.__file__).parents[1]
TOML = Path("config/idp.toml")
MARKDOWN = Path("docs/reference/settings.md")
API = Path("docs/reference/admin-api.json")


@click.group("config")
def command() -> None:
    """Check the configuration; generate its reference.

    \b
    Example:
      idp config check idp.toml
      idp config docs
    """


@command.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def check_command(config_file: Path | None, file: Path | None, as_json: bool) -> None:
    """Read the configuration and everything that it names, and report what is wrong.

    Nothing is written. Exit code 3 when the configuration cannot be read, 4 when there is an
    error; warnings alone are 0.

    \b
    Example:
      idp config check idp.toml
    """
    from idp import settings
    from idp.errors import ConfigError

    try:
        read = settings.read(file or config_file)
    except ConfigError as problem:
        if not as_json:
            raise
        document({"ok": False, "error": problem.public, "findings": []})
        raise SystemExit(UNREADABLE) from None
    if not as_json:
        note(f"issuer {read.issuer}, {location(read)}")
    report(_all(read), as_json, issuer=read.issuer, database=location(read))


@command.command("docs")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if stale.")
def docs(only_check: bool) -> None:
    """Write config/idp.toml, and the settings and admin-api in docs/reference, from the sources.

    An installed package has no such folders: there the reference goes to standard output.

    \b
    Example:
      idp config docs
      idp config docs --check
      idp config docs > idp.toml      from an installed package
    """
    from idp.cli import reference
    from idp.web.admin.build import description

    rendered = {
        TOML: reference.toml(),
        MARKDOWN: reference.markdown(),
        API: description(reference.ISSUER).decode() + "\n",
    }
    if not (ROOT / "pyproject.toml").is_file():
        say(rendered[TOML].rstrip("\n"))
        return
    stale = [path for path, text in rendered.items() if _content(ROOT / path) != text]
    if only_check:
        for path in stale:
            note(f"{path} is stale: run `idp config docs`")
        if stale:
            raise SystemExit(1)
        return
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(rendered[path], encoding="utf-8")
        note(f"wrote {path}")


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _all(settings: "Settings") -> "Iterator[Finding]":
    """Every problem as a finding: one hides the next only where the next depends on it."""
    from idp.errors import ConfigError
    from idp.factors import registry
    from idp.flow.check import check
    from idp.flow.requirements import build

    yield from _beside(settings)
    try:
        policy = build(settings)
        factors = registry.load(policy.factors, settings.factors, settings.issuer)
    except ConfigError as problem:
        yield _error("acr", problem.public, "install the factor, or change the acr or its section")
        return
    if _absent(settings):
        yield from check(policy, factors)
    else:
        yield from _with_stores(settings)


def _beside(settings: "Settings") -> "Iterator[Finding]":
    """What the settings say of files, processes and factors."""
    from idp.factors import registry

    offered = registry.installed()
    for name in settings.factors:
        if name not in offered:
            advice = f"install it, or remove the section; there are: {', '.join(sorted(offered))}"
            yield _error(f"factors.{name}", "no installed package offers this factor", advice)
    if settings.server.workers > 1 and not settings.storage.database_url:
        yield _error(
            "server.workers",
            "more than one worker on the embedded database",
            "set storage.database_url to a PostgreSQL database, or workers to 1",
        )
    for name, path, kind in (
        ("seal_key_file", settings.seal_key_file, Path.is_file),
        ("web.theme", settings.web.theme, Path.is_dir),
        ("outbound.ca_bundle", settings.outbound.ca_bundle, Path.is_file),
    ):
        if path is not None and not kind(path):
            yield _error(name, f"{path} is not there", "correct the path")


def _with_stores(settings: "Settings") -> "Iterator[Finding]":
    from idp.core import create_core
    from idp.errors import ConfigError
    from idp.flow.check import Finding
    from idp.storage.open import schema_current

    try:
        if not settings.storage.database_url and not schema_current(settings):
            advice = "run `idp db upgrade`, or start the provider, which does it"
            yield Finding("warning", "storage", "the database has another schema", advice)
            return
        core = create_core(settings)
    except ConfigError as problem:
        yield _error("storage", problem.public, "correct what it names")
        return
    try:
        yield from findings(core)
    finally:
        core.close()


def _absent(settings: "Settings") -> bool:
    """The embedded database is made at the first start: a check does not make it."""
    return not settings.storage.database_url and not (settings.state_dir / "idp.db").exists()


def _error(where: str, message: str, advice: str) -> "Finding":
    from idp.flow.check import Finding

    return Finding("error", where, message, advice)
