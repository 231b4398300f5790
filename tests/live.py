"""A running provider for tests: `idp dev` as its users start it, in a process of its own."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import requests

from idp.testing.process import started


@dataclass
class Provider:
    """What `idp dev --json` printed, and the process behind it."""

    described: Mapping[str, Any]
    process: subprocess.Popen[str]
    stderr: Path
    advanced: float = 0.0

    @property
    def issuer(self) -> str:
        return str(self.described["issuer"])

    def user(self, username: str) -> Mapping[str, Any]:
        return next(u for u in self.described["users"] if u["username"] == username)

    def client(self, client_id: str) -> Mapping[str, Any]:
        return next(c for c in self.described["clients"] if c["client_id"] == client_id)

    def now(self) -> float:
        """The provider's time in seconds since the epoch."""
        from time import time

        return time() + self.advanced

    def advance(self, seconds: float) -> None:
        answer = requests.post(self.described["clock_url"], json={"advance": seconds}, timeout=10)
        answer.raise_for_status()
        self.advanced += seconds

    def totp(self, username: str) -> str:
        """A code that was not used yet: the clock moves one step on."""
        self.advance(30)
        return pyotp.TOTP(self.user(username)["totp_secret"]).at(int(self.now()))


@contextmanager
def provider(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Iterator[Provider]:
    """Start it, wait for its first line, stop it with its process group."""
    with started(folder, *arguments, environment=environment, config=config) as found:
        yield Provider(found.described, found.process, found.stderr)
