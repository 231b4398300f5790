"""`idp client`: OAuth clients. A secret is printed once, when it is made."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idp.cli.db import ACTOR, opened
from idp.cli.output import (
    clean,
    document,
    facts,
    interactive,
    json_option,
    note,
    pages,
    say,
    table,
)

if TYPE_CHECKING:
    from idp.core import Core
    from idp.model import Client
    from idp.operate.clients import ClientAdmin, Registered

F = TypeVar("F", bound=Callable[..., Any])
PKCE_WARNING = """\
WARNING: this client is exempt from PKCE. A stolen authorization code can be used by its thief.
         Do this for certification or legacy clients only."""


@click.group("client")
def command() -> None:
    """Add, list, show and remove OAuth clients, and rotate their secrets.

    \b
    Example:
      idp client add shop --redirect-uri https://shop.example.com/callback
      idp client add reports --scope api:read --resource https://api.example.com
    """


def _many(name: str, text: str) -> Callable[[F], F]:
    return click.option(name, multiple=True, help=f"{text} May be repeated.")


@command.command("add")
@click.argument("client_id")
@click.option("--name", help="Name shown to people. Default: the client id.")
@_many("--redirect-uri", "Where the code flow may return to, exactly.")
@_many("--post-logout-redirect-uri", "Where a logout may return to, exactly.")
@_many("--grant-type", "authorization_code, refresh_token, client_credentials.")
@_many("--scope", "What it may ask for.")
@_many("--resource", "What it may ask tokens for (RFC 8707).")
@click.option(
    "--auth-method",
    help="client_secret_basic, client_secret_post, private_key_jwt or none. Default: none for "
    "--native, private_key_jwt with keys, else client_secret_basic.",
)
@click.option("--native", is_flag=True, help="An application on the person's own device.")
@click.option(
    "--jwks",
    "jwks_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with its public keys (JWKS).",
)
@click.option("--jwks-uri", help="Where its public keys are.")
@click.option("--no-pkce", is_flag=True, help="Accept requests without PKCE. Unsafe.")
@click.option("--no-consent", is_flag=True, help="Never ask people for consent.")
@click.option("--require-acr", help="The acr that its sign-ins must reach.")
@click.option("--id-token-alg", default="RS256", show_default=True, help="ES256, RS256, Ed25519.")
@click.option("--access-token-alg", help="Default: tokens.access_token_alg.")
@click.option("--policy-uri", help="Its privacy policy, shown at sign-in.")
@click.option("--tos-uri", help="Its terms of service, shown at sign-in.")
@json_option
@click.pass_obj
def add(config_file: Path | None, /, as_json: bool, **given: Any) -> None:
    """Add a client and print its secret, once.

    With a --redirect-uri it is a client of the code flow with refresh tokens and every OIDC
    scope; without one it gets tokens for itself (client_credentials).

    \b
    Example:
      idp client add shop --name Shop --redirect-uri https://shop.example.com/callback
      idp client add app --native --redirect-uri http://127.0.0.1/callback
      idp client add reports --scope api:read --resource https://api.example.com --json
    """
    from idp.cli.client_record import described

    with opened(config_file) as core:
        registered = _admin(core).add(described(given, core.clock()), actor=ACTOR)
    if not registered.client.require_pkce:
        note(PKCE_WARNING)
    _show_secret(registered, f"added {registered.client.client_id}", as_json)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="All of them, not just the first 100.")
@json_option
@click.pass_obj
def list_command(config_file: Path | None, everything: bool, as_json: bool) -> None:
    """List clients.

    \b
    Example:
      idp client list --json
    """
    with opened(config_file) as core:
        clients, more = pages(
            core.stores.clients.list, lambda c: c.client_id, everything=everything
        )
    if as_json:
        document({"clients": [_described(client) for client in clients], "more": more})
        return
    table(
        ("CLIENT_ID", "NAME", "GRANT TYPES", "AUTH METHOD"),
        [
            (c.client_id, c.name, " ".join(c.grant_types), c.token_endpoint_auth_method)
            for c in clients
        ],
    )
    if not clients:
        note("no clients yet: `idp client add CLIENT_ID` adds one")
    if more:
        note("there are more: --all lists them")


@command.command("show")
@click.argument("client_id")
@json_option
@click.pass_obj
def show(config_file: Path | None, client_id: str, as_json: bool) -> None:
    """Show a client's record, without its secret.

    \b
    Example:
      idp client show shop
    """
    with opened(config_file) as core:
        client = _admin(core).get(client_id)
    described = _described(client)
    if as_json:
        document(described)
        return
    facts(
        (name, " ".join(value) if isinstance(value, tuple) else value)
        for name, value in described.items()
    )


@command.command("remove")
@click.argument("client_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def remove(config_file: Path | None, client_id: str, yes: bool, as_json: bool) -> None:
    """Remove a client. It gets no more tokens from then on.

    \b
    Example:
      idp client remove shop --yes
    """
    with opened(config_file) as core:
        admin = _admin(core)
        client = admin.get(client_id)
        if not yes:
            if not interactive():
                raise click.UsageError("there is no terminal to ask on: give --yes")
            click.confirm(f"Remove {clean(client.name)} ({client_id})?", abort=True, err=True)
        admin.remove(client_id, actor=ACTOR)
    if as_json:
        document({"client_id": client_id, "removed": True})
    else:
        say(f"removed {clean(client_id)}")


@command.command("rotate-secret")
@click.argument("client_id")
@json_option
@click.pass_obj
def rotate_secret(config_file: Path | None, client_id: str, as_json: bool) -> None:
    """Make a new secret and print it, once. The old one stops working.

    \b
    Example:
      idp client rotate-secret shop --json
    """
    with opened(config_file) as core:
        registered = _admin(core).rotate_secret(client_id, actor=ACTOR)
        wait = core.settings.storage.cache_ttl
    note(f"other processes take it within {wait.total_seconds():g} s (storage.cache_ttl)")
    _show_secret(registered, f"new secret for {client_id}", as_json)


def _admin(core: "Core") -> "ClientAdmin":
    from idp.operate.clients import ClientAdmin

    return ClientAdmin(core.stores.clients, core.bus, core.clock, tuple(core.policy.acrs))


def _described(client: "Client") -> dict[str, Any]:
    from dataclasses import fields

    return {
        field.name: getattr(client, field.name)
        for field in fields(client)
        if field.name != "secret_hash"
    }


def _show_secret(registered: "Registered", done: str, as_json: bool) -> None:
    if as_json:
        document({**_described(registered.client), "client_secret": registered.secret})
        return
    say(clean(done))
    if registered.secret is not None:
        note("the secret is shown this once:")
        facts((("client_id", registered.client.client_id), ("client_secret", registered.secret)))
