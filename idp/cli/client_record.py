"""The record of a client from the options of `idp client add`."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from idp.errors import Refused
from idp.model import Client
from idp.operate import clients

SAME = (
    *("name", "jwks_uri", "id_token_alg", "access_token_alg", "require_acr"),
    *("policy_uri", "tos_uri"),
)
SEVERAL = {
    "redirect_uri": "redirect_uris",
    "post_logout_redirect_uri": "post_logout_redirect_uris",
    "resource": "resources",
    "grant_type": "grant_types",
    "scope": "scopes",
}


def described(given: Mapping[str, Any], now: datetime) -> Client:
    """The record that the options describe."""
    keys = given["jwks_file"]
    return clients.described(
        given["client_id"],
        now,
        {
            **{name: given[name] for name in SAME},
            **{field: given[option] or None for option, field in SEVERAL.items()},
            "token_endpoint_auth_method": given["auth_method"],
            "jwks": _public_keys(keys) if keys else None,
            "application_type": "native" if given["native"] else "web",
            "require_pkce": not given["no_pkce"],
            "require_consent": not given["no_consent"],
        },
    )


def _public_keys(path: Path) -> dict[str, Any]:
    """A JWKS without anything private. The refusal names the file, never its content."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise click.BadParameter(f"{path} is not JSON", param_hint="--jwks") from None
    try:
        clients.check_jwks(found if isinstance(found, dict) else {})
    except Refused as refused:
        raise click.BadParameter(f"{path}: {refused.public}", param_hint="--jwks") from None
    return {"keys": found["keys"]}
