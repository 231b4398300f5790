"""`idp ...`: one file per command group, thin over the services.

Exit codes: 0 done; 1 refused or failed, with the reason on stderr; 2 wrong usage; 3 the
configuration cannot be used; 4 a check found problems.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from idp import __version__
from idp.cli.memory import tune
from idp.errors import ConfigError, IdpError

COMMANDS = {
    "audit": "Read the audit trail: from a support code to the cause.",
    "client": "Add, list, show and remove OAuth clients, and rotate their secrets.",
    "config": "Check the configuration; generate its reference.",
    "db": "Bring the database's schema up to date.",
    "dev": "Run everything with throw-away state, for development and tests.",
    "flow": "Check the sign-in policy; explain what a sign-in would ask.",
    "keys": "List and rotate the signing keys.",
    "mail": "See whether mail goes out.",
    "mfa": "Enable, verify, list and disable second factors; issue recovery codes.",
    "serve": "Run the provider.",
    "user": "Add, list, show, disable and enable users; set passwords; enroll.",
}


class Lazy(click.Group):
    """Commands are imported when they are used: `idp --help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        found: Any = importlib.import_module(f"idp.cli.{name}").command
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            known = ", ".join(sorted(COMMANDS))
            raise click.UsageError(f"{error.format_message()} There are: {known}.", ctx) from None


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="idp")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="IDP_CONFIG",
    help="Configuration file (TOML). Default: $IDP_CONFIG, else built-in defaults.",
)
@click.pass_context
def group(ctx: click.Context, config_file: Path | None) -> None:
    """An identity provider on OAuth 2 and OpenID Connect.

    \b
    Example:
      idp dev                     everything on one port, with throw-away state
      idp --config idp.toml serve
    """
    ctx.obj = config_file


def main() -> None:
    """The entry point. Every expected error is one line, without traceback."""
    tune(sys.orig_argv)
    try:
        sys.exit(group(prog_name="idp", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        click.echo(f"configuration: {error.public}", err=True)
        sys.exit(3)
    except IdpError as error:
        click.echo(f"error: {error.public}", err=True)
        sys.exit(1)
