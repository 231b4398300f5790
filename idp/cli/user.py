"""`idp user`: people with an account. A password is prompted for or read, never an argument."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.admin import user_admin
from idp.cli.db import ACTOR, opened
from idp.cli.enroll import enroll
from idp.cli.invite import invite
from idp.cli.output import clean, document, facts, json_option, note, pages, say, table

if TYPE_CHECKING:
    from idp.model import Authenticator, User

stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@click.group("user")
def command() -> None:
    """Add, list, show, disable and enable users; set passwords.

    \b
    Example:
      idp user add ana --email ana@example.com --totp
      idp user list
    """


command.add_command(enroll)
command.add_command(invite)


@command.command("add")
@click.argument("name")
@stdin_option
@click.option("--email", help="Mail address.")
@click.option("--email-verified", is_flag=True, help="It is known to be theirs.")
@click.option("--phone", help="Telephone number, +491510000000.")
@click.option("--require-acr", help="Ask the user for this acr at every sign-in.")
@click.option("--totp", is_flag=True, help="Enroll an authenticator app too; prints its QR code.")
@json_option
@click.pass_obj
def add(
    config_file: Path | None,
    name: str,
    password_stdin: bool,
    email: str | None,
    email_verified: bool,
    phone: str | None,
    require_acr: str | None,
    totp: bool,
    as_json: bool,
) -> None:
    """Add a user. On a terminal the password is asked for; without one the user has none yet.

    \b
    Example:
      idp user add ana --email ana@example.com
      pwgen 20 1 | idp user add ana --password-stdin --totp --json
    """
    from idp.cli.authenticators import enroll_totp, read_password, show_code

    if email_verified and not email:
        raise click.UsageError("--email-verified: there is no --email")
    with opened(config_file) as core:
        admin = user_admin(core)
        if totp and "totp" not in core.factors:
            raise click.UsageError("no acr uses the factor `totp`, so --totp would be of no use")
        user = admin.add(
            name,
            password=read_password(password_stdin),
            actor=ACTOR,
            email=email,
            email_verified=email_verified,
            phone=phone,
            require_acr=require_acr,
        )
        uri = enroll_totp(core, user) if totp else None
        described = _described(user, core.stores.authenticators.of(user.id))
    if as_json:
        document(described | ({"totp": {"provisioning_uri": uri}} if uri else {}))
        return
    say(f"added {clean(user.username)} (sub {user.id})")
    if not described["authenticators"]:
        note(f"no password is set: `idp user password {clean(user.username)}` sets one")
    if uri:
        show_code(uri)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="All of them, not just the first 100.")
@json_option
@click.pass_obj
def list_command(config_file: Path | None, everything: bool, as_json: bool) -> None:
    """List users.

    \b
    Example:
      idp user list --all --json
    """
    with opened(config_file) as core:
        users, more = pages(core.stores.users.list, lambda u: u.id, everything=everything)
    if as_json:
        document({"users": [_account(user) for user in users], "more": more})
        return
    rows = [(u.username, u.id, u.email, u.require_acr, _state(u)) for u in users]
    table(("USERNAME", "SUB", "EMAIL", "REQUIRE_ACR", "STATE"), rows)
    if not users:
        note("no users yet: `idp user add NAME` adds one")
    if more:
        note("there are more: --all lists them")


@command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(config_file: Path | None, name: str, as_json: bool) -> None:
    """Show a user, by name or sub, and what they sign in with.

    \b
    Example:
      idp user show ana
    """
    with opened(config_file) as core:
        user = user_admin(core).get(name)
        held = core.stores.authenticators.of(user.id)
    if as_json:
        document(_described(user, held))
        return
    facts((*_account(user).items(), ("claims", ", ".join(sorted(user.claims)))))
    say()
    table(
        ("FACTOR", "CREATED", "LAST USED", "STATE"),
        [(a.factor, a.created_at, a.last_used_at, _state(a)) for a in held],
    )


@command.command("disable")
@click.argument("name")
@json_option
@click.pass_obj
def disable(config_file: Path | None, name: str, as_json: bool) -> None:
    """Issue nothing more to a user, and end every session of theirs.

    \b
    Example:
      idp user disable ana
    """
    with opened(config_file) as core:
        user = user_admin(core).disable(name, actor=ACTOR)
    _changed(user, "disabled; every session has ended", as_json)


@command.command("enable")
@click.argument("name")
@json_option
@click.pass_obj
def enable(config_file: Path | None, name: str, as_json: bool) -> None:
    """Let a disabled user sign in again.

    \b
    Example:
      idp user enable ana
    """
    with opened(config_file) as core:
        user = user_admin(core).enable(name, actor=ACTOR)
    _changed(user, "enabled", as_json)


@command.command("password")
@click.argument("name")
@stdin_option
@json_option
@click.pass_obj
def password_command(
    config_file: Path | None, name: str, password_stdin: bool, as_json: bool
) -> None:
    """Set a user's password. Every session of the user ends.

    \b
    Example:
      idp user password ana
      pwgen 20 1 | idp user password ana --password-stdin
    """
    from idp.cli.authenticators import read_password

    with opened(config_file) as core:
        admin = user_admin(core)
        admin.get(name)  # an unknown name is said before anything is asked for
        password = read_password(password_stdin)
        if password is None:
            raise click.UsageError("there is no terminal to ask on: give --password-stdin")
        user = admin.set_password(name, password, actor=ACTOR)
    _changed(user, "password set; every session has ended", as_json)


def _account(user: "User") -> dict[str, Any]:
    return {
        "username": user.username,
        "sub": user.id,
        "email": user.email,
        "phone": user.phone,
        "require_acr": user.require_acr,
        "state": _state(user),
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def _described(user: "User", held: "Sequence[Authenticator]") -> dict[str, Any]:
    return {
        **_account(user),
        "claims": dict(user.claims),
        "authenticators": [
            {
                "factor": a.factor,
                "created_at": a.created_at,
                "last_used_at": a.last_used_at,
                "state": _state(a),
            }
            for a in held
        ],
    }


def _state(record: "User | Authenticator") -> str:
    return "active" if record.disabled_at is None else "disabled"


def _changed(user: "User", what: str, as_json: bool) -> None:
    if as_json:
        document(_account(user))
    else:
        say(f"{clean(user.username)}: {what}")
