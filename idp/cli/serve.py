"""`idp serve`: the public listener on granian."""

import os
import tempfile
from pathlib import Path

import click

from idp import settings


@click.command("serve")
@click.option("--upgrade", is_flag=True, help="Bring the schema up to date first.")
@click.pass_obj
def command(config_file: Path | None, upgrade: bool) -> None:
    """Run the provider with the workers and threads of the configuration.

    \b
    Example:
      idp --config idp.toml serve --upgrade
    """
    chosen = settings.read(config_file)
    with tempfile.TemporaryDirectory(prefix="idp-metrics-") as folder:
        # The metrics library decides at import whether several processes share its counters.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from idp.serve import serve

        serve(chosen, upgrade_first=upgrade)
