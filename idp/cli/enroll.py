"""`idp user enroll`: bind an authenticator of any installed factor, by its own form."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from idp.cli.admin import user_admin
from idp.cli.authenticators import LONGEST
from idp.cli.db import ACTOR, opened
from idp.cli.output import clean, document, interactive, json_option, note, say

if TYPE_CHECKING:
    from idp.factors.base import Challenge


@click.command("enroll")
@click.argument("name")
@click.argument("factor")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read one line per field from stdin.")
@json_option
@click.pass_obj
def enroll(
    config_file: Path | None, name: str, factor: str, from_stdin: bool, as_json: bool
) -> None:
    """Bind an authenticator to a user: what the factor shows is printed, what it asks is asked.

    A second factor is better enabled by `idp mfa enable`: from then on the user is asked for it.

    \b
    Example:
      idp user enroll ben totp
      echo 4711 | idp user enroll ben pin --stdin
    """
    from idp.factors.base import Challenge

    with opened(config_file) as core:
        user = user_admin(core).get(name)
        admin = core.authenticators
        asked = admin.begin(user.id, factor, by_operator=True)
        while True:
            for label, value in asked.public.items():
                note(f"{label}: {clean(value)}")
            answers = _answers(asked, from_stdin)
            bound = admin.confirm(user.id, factor, answers, actor=ACTOR)
            if not isinstance(bound, Challenge):
                break
            asked = bound
    if as_json:
        document({"username": user.username, "factor": factor, "created_at": bound.created_at})
    else:
        say(f"{clean(user.username)}: {factor} enrolled")


def _answers(asked: "Challenge", from_stdin: bool) -> Mapping[str, str]:
    if not from_stdin and not interactive():
        raise click.UsageError("there is no terminal to ask on: give --stdin")
    answers = {}
    for field in asked.form.fields:
        if from_stdin:
            answers[field.name] = sys.stdin.readline(LONGEST).rstrip("\r\n")
        else:
            hidden = field.type == "password"
            answers[field.name] = click.prompt(field.label, hide_input=hidden, err=True)
    return answers
