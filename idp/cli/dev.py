"""`idp dev`: the whole system in one command with throw-away state."""

from pathlib import Path

import click


@click.command("dev")
@click.option("--port", default=8000, show_default=True, help="Port; 0 picks a free one.")
@click.option("--json", "as_json", is_flag=True, help="First line on stdout: everything as JSON.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep state in this folder. Default: a temporary one, removed at the end.",
)
@click.option(
    "--relying-party",
    default="http://localhost:8001",
    show_default=True,
    help="Where the demo's relying party runs: the clients may return there.",
)
@click.pass_obj
def command(
    config_file: Path | None, port: int, as_json: bool, state: Path | None, relying_party: str
) -> None:
    """Run everything with throw-away state: seeded users and clients, an outbox, a movable clock.

    \b
    Example:
      idp dev
      idp dev --json --port 0
    """
    from idp.dev.server import run

    run(config_file, port=port, as_json=as_json, state=state, relying_party=relying_party)
