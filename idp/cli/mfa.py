"""`idp mfa`: the second factors of a user. A code is prompted for or read, never an argument."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from idp.cli.admin import user_admin
from idp.cli.authenticators import LONGEST, show_code
from idp.cli.db import ACTOR, opened
from idp.cli.output import clean, document, interactive, json_option, note, say, table

if TYPE_CHECKING:
    from idp.core import Core
    from idp.factors.management import DisableResult, MfaResult, Question, VerificationResult

    Result = MfaResult | VerificationResult | DisableResult

MOST = 65536  # characters of an answer: a WebAuthn credential is a document


@click.group("mfa")
def command() -> None:
    """Enable, verify, list and disable the second factors of a user; issue recovery codes.

    \b
    Example:
      idp mfa enable ana totp
      idp mfa codes ana
      idp mfa rescue ana            one code for somebody who lost the phone
    """


@command.command("enable")
@click.argument("name")
@click.argument("method")
@json_option
@click.pass_obj
def enable(config_file: Path | None, name: str, method: str, as_json: bool) -> None:
    """Bind a second factor: totp, sms, webauthn, recovery_code or that of a plugin.

    On a terminal the code is asked for at once; else `idp mfa verify` takes it. Exit code 1 when
    it is refused.

    \b
    Example:
      idp mfa enable ana totp
      idp mfa enable ana recovery_code --json
    """
    with opened(config_file) as core:
        user_id = _user_id(core, name)
        result: Result = core.management.enable(user_id, method, actor=ACTOR)
        _show(name, result, as_json)
        while not as_json and interactive() and result.status == "pending":
            typed = _typed(result.question)
            result = core.management.verify(user_id, typed, actor=ACTOR)
            _show(name, result, as_json)


@command.command("verify")
@click.argument("name")
@click.option("--ask", is_flag=True, help="Only begin: send a code, or print a challenge.")
@json_option
@click.pass_obj
def verify(config_file: Path | None, name: str, ask: bool, as_json: bool) -> None:
    """Confirm the factor that is being bound; without one, check a code of the user.

    The code is asked for on a terminal, else read from standard input.

    \b
    Example:
      idp mfa verify ana
      echo 123456 | idp mfa verify ana --json
    """
    with opened(config_file) as core:
        user_id = _user_id(core, name)
        typed = "" if ask else _typed(None)
        _show(name, core.management.verify(user_id, typed, actor=ACTOR), as_json)


@command.command("codes")
@click.argument("name")
@json_option
@click.pass_obj
def codes(config_file: Path | None, name: str, as_json: bool) -> None:
    """Issue ten recovery codes. They are shown this once, and the ones before stop working.

    \b
    Example:
      idp mfa codes ana
    """
    with opened(config_file) as core:
        issued = core.management.backup_codes(_user_id(core, name), actor=ACTOR)
    if as_json:
        document({"codes": list(issued)})
    else:
        _print_codes(issued)


@command.command("disable")
@click.argument("name")
@click.option("--ask", is_flag=True, help="Only begin: send a code, or print a challenge.")
@json_option
@click.pass_obj
def disable(config_file: Path | None, name: str, ask: bool, as_json: bool) -> None:
    """Remove every second factor and recovery code, by a code of the user. Sessions end.

    \b
    Example:
      idp mfa disable ana
      echo 123456 | idp mfa disable ana
    """
    with opened(config_file) as core:
        user_id = _user_id(core, name)
        typed = "" if ask else _typed(None)
        result = core.management.disable(user_id, typed, actor=ACTOR)
        _show(name, result, as_json, then="disable")


@command.command("list")
@click.argument("name")
@json_option
@click.pass_obj
def list_command(config_file: Path | None, name: str, as_json: bool) -> None:
    """List what a user signs in with, and how many recovery codes are left.

    \b
    Example:
      idp mfa list ana
    """
    from idp.factors import recovery_code

    with opened(config_file) as core:
        user_id = _user_id(core, name)
        held = core.authenticators.of(user_id)
        left = core.authenticators.codes_left(user_id)
    shown = [a for a in held if a.factor != recovery_code.NAME]
    if as_json:
        listed = [
            {
                "id": a.id,
                "factor": a.factor,
                "name": a.name,
                "created_at": a.created_at,
                "last_used_at": a.last_used_at,
            }
            for a in shown
        ]
        document({"authenticators": listed, "recovery_codes_left": left})
        return
    rows = [(a.id, a.factor, a.name, a.created_at, a.last_used_at) for a in shown]
    table(("ID", "FACTOR", "NAME", "CREATED", "LAST USED"), rows)
    note(f"{left} recovery codes are left")


@command.command("rename")
@click.argument("name")
@click.argument("authenticator_id", metavar="ID")
@click.argument("new_name", metavar="NEW_NAME")
@json_option
@click.pass_obj
def rename(
    config_file: Path | None, name: str, authenticator_id: str, new_name: str, as_json: bool
) -> None:
    """Call an authenticator something else.

    \b
    Example:
      idp mfa rename ana 3f2b... "work phone"
    """
    with opened(config_file) as core:
        user_id = _user_id(core, name)
        named = core.authenticators.rename(user_id, authenticator_id, new_name, actor=ACTOR)
    if as_json:
        document({"id": named.id, "factor": named.factor, "name": named.name})
    else:
        say(f"{named.id}: {clean(named.name)}")


@command.command("remove")
@click.argument("name")
@click.argument("authenticator_id", metavar="ID")
@json_option
@click.pass_obj
def remove(config_file: Path | None, name: str, authenticator_id: str, as_json: bool) -> None:
    """Remove one authenticator, unless the user could not sign in without it (exit code 1).

    What was proven with it counts no more: every session of the user ends.

    \b
    Example:
      idp mfa remove ana 3f2b...
    """
    with opened(config_file) as core:
        user_id = _user_id(core, name)
        core.authenticators.remove(user_id, authenticator_id, actor=ACTOR)
        core.sessions.end_all(user_id, "authenticator removed")
    if as_json:
        document({"id": authenticator_id, "removed": True})
    else:
        say(f"{clean(name)}: removed; every session has ended")


@command.command("rescue")
@click.argument("name")
@json_option
@click.pass_obj
def rescue(config_file: Path | None, name: str, as_json: bool) -> None:
    """Issue one recovery code that expires, to hand to a user who lost the second factor.

    It stands for the second factor once; the password is asked for all the same. Make sure whom
    you give it to. How long it works: recovery.helped_code_ttl.

    \b
    Example:
      idp mfa rescue ana
    """
    with opened(config_file) as core:
        ttl = core.settings.recovery.helped_code_ttl
        code = core.authenticators.issue_rescue(_user_id(core, name), ttl, actor=ACTOR)
        until = core.clock() + ttl
    if as_json:
        document({"code": code, "expires_at": until})
    else:
        note(f"works once, until {clean(until)}:")
        say(code)


def _user_id(core: "Core", name: str) -> str:
    return user_admin(core).get(name).id


def _typed(question: "Question | None") -> str:
    """What was asked for: prompted for on a terminal, else one line of standard input."""
    if not interactive():
        return sys.stdin.readline(MOST).rstrip("\r\n")
    label = "Code" if question is None else {"number": "Number"}.get(question.asks, "Code")
    typed: str = click.prompt(label, err=True)
    return typed[:LONGEST]


def _show(name: str, result: "Result", as_json: bool, then: str = "verify") -> None:
    """`then` is the command that takes an answer. Exit code 1 for what was refused."""
    if as_json:
        document(asdict(result))
    elif result.status == "refused":
        later = f" (from {clean(result.retry_at)} on)" if result.retry_at else ""
        click.echo(f"error: {result.public}{later}", err=True)
    else:
        say(f"{clean(name)}: {result.status}")
        if result.question is not None:
            _show_question(name, result.question, then)
        _print_codes(getattr(result, "codes", ()))
    if result.status == "refused":
        raise SystemExit(1)


def _show_question(name: str, question: "Question", then: str) -> None:
    if question.provisioning_uri:
        show_code(question.provisioning_uri)
    elif question.options:
        document(question.options)
    elif question.masked_number:
        say(f"sent to {question.masked_number}")
    note(question.text)
    if not interactive():
        note(f"next: `idp mfa {then} {clean(name)}` with the {question.asks}")


def _print_codes(issued: tuple[str, ...]) -> None:
    if not issued:
        return
    note("Each works once. They are shown this once: print them or write them down.")
    for code in issued:
        say(code)
