"""What an operator binds to a user: a password that is read, never an argument, and an
authenticator app whose seed is shown once.
"""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from idp.cli.db import ACTOR
from idp.cli.output import interactive, say

if TYPE_CHECKING:
    from idp.core import Core
    from idp.model import User

LONGEST = 4096  # characters read from standard input; the factor's own limit is below


def read_password(from_stdin: bool) -> str | None:
    """One line of standard input, or what is typed twice; None without either."""
    if from_stdin:
        given = sys.stdin.readline(LONGEST).removesuffix("\n").removesuffix("\r")
        if not given:
            raise click.UsageError("--password-stdin: standard input is empty")
        return given
    if not interactive():
        return None
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def enroll_totp(core: "Core", user: "User") -> str:
    """Bind a new seed with a code of the past, so that every code from now on is unused."""
    import pyotp

    from idp.factors.totp import PERIOD

    past = core.clock() - 3 * PERIOD
    earlier = replace(core.authenticators, clock=lambda: past)
    asked = earlier.begin(user.id, "totp", by_operator=True)
    code = pyotp.TOTP(asked.private["seed"]).at(past)
    earlier.confirm(user.id, "totp", {"code": code}, actor=ACTOR)
    return str(asked.public["provisioning_uri"])


def show_code(uri: str) -> None:
    """As QR code, where the terminal has the characters for it, and as text."""
    import segno

    say("\nScan this with an authenticator app. It is shown this once.\n")
    if "utf" in (sys.stdout.encoding or "").lower():
        segno.make_qr(uri, error="l").terminal(sys.stdout, compact=True)
    say(f"\n{uri}")
