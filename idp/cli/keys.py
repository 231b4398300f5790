"""`idp keys`: the signing key ring, and the keys that seal what is stored."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.db import opened
from idp.cli.output import document, instant, json_option, note, say, table

if TYPE_CHECKING:
    from idp.model import SigningKey


@click.group("keys")
def command() -> None:
    """List and rotate the signing keys; seal stored secrets under a new key.

    \b
    Example:
      idp keys rotate
      idp keys list --json
    """


@command.command("list")
@json_option
@click.pass_obj
def list_command(config_file: Path | None, as_json: bool) -> None:
    """List the keys that are in the JWKS, oldest first.

    \b
    Example:
      idp keys list
    """
    with opened(config_file) as core:
        now = core.clock()
        keys = core.ring.published()
    if as_json:
        document({"keys": [_described(key, now) for key in keys]})
        return
    table(
        ("KID", "ALG", "STATE", "ACTIVE AT", "RETIRED AT"),
        [(k.kid, k.alg, _state(k, now), k.active_at, k.retired_at) for k in keys],
    )
    if not keys:
        note("no keys yet: the provider makes them at its first start")


@command.command("rotate")
@click.option("--now", "at_once", is_flag=True, help="Sign with the new keys at once.")
@json_option
@click.pass_obj
def rotate(config_file: Path | None, at_once: bool, as_json: bool) -> None:
    """Publish a new key per algorithm; it signs after keys.publish_ahead.

    The present keys leave the JWKS when the last token that they signed has expired.

    \b
    Example:
      idp keys rotate
      idp keys rotate --now      after a key was exposed
    """
    with opened(config_file) as core:
        fresh, gone = core.ring.rotate(
            publish_ahead=timedelta(0) if at_once else core.settings.keys.publish_ahead
        )
        now = core.clock()
    if at_once:
        note(
            "WARNING: verifiers cache the JWKS. Until they read it again they may refuse tokens "
            "that the new keys signed.\nThe old keys stay in the JWKS until their last token has "
            "expired."
        )
    if as_json:
        document({"keys": [_described(key, now) for key in fresh], "removed": gone})
        return
    for key in fresh:
        say(f"{key.alg}  {key.kid}  signs from {instant(key.active_at)}")
    if gone:
        say(f"removed {gone} keys whose last token has expired")


@command.command("reseal")
@json_option
@click.pass_obj
def reseal_command(config_file: Path | None, as_json: bool) -> None:
    """Wrap every stored secret under the first key of the seal keyring.

    To rotate: put a new line first in the keyring file, restart every process, run this, and
    only then remove the old line.

    \b
    Example:
      idp keys reseal
    """
    from idp import settings
    from idp.storage.open import reseal

    read = settings.read(config_file)
    note("sealing stored secrets under the first key of the keyring ...")
    changed = reseal(read)
    if as_json:
        document({"resealed": changed})
    else:
        say(f"done: {changed} values were under another key" if changed else "nothing to do")


def _state(key: "SigningKey", now: datetime) -> str:
    from idp.oidc.keys import signs

    if signs(key, now):
        return "active"
    return "next" if key.retired_at is None or key.retired_at > now else "retired"


def _described(key: "SigningKey", now: datetime) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": _state(key, now),
        "created_at": key.created_at,
        "active_at": key.active_at,
        "retired_at": key.retired_at,
    }
