"""`idp dev` in a process of its own, with throw-away state."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Started:
    """What `idp dev --json` said, and the process behind it."""

    described: Mapping[str, Any]
    process: "subprocess.Popen[str]"
    stderr: Path


@contextmanager
def started(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Iterator[Started]:
    """Start it, wait for its first line, stop it with its process group. Its log is in `folder`.
    Settings in this process's own environment do not reach it."""
    inherited = {name: value for name, value in os.environ.items() if name[:4] != "IDP_"}
    log = folder / "idp-dev.log"
    chosen = [] if config is None else ["--config", str(config)]
    command = [sys.executable, "-m", "idp.cli", *chosen, "dev", "--json", "--port", "0"]
    with log.open("w") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**inherited, **(environment or {})},
            start_new_session=True,
        )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise AssertionError(f"idp dev did not start:\n{log.read_text()[-4000:]}")
        yield Started(json.loads(line), process, log)
    finally:
        stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=STOP_SECONDS)
    if process.stdout is not None:
        process.stdout.close()
