"""The record of a client from the options of `idp client add`."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from idp.model import Client
from idp.oidc.claims import SCOPES

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def described(given: Mapping[str, Any], now: datetime) -> Client:
    """The record that the options describe, with what a client of its kind usually needs."""
    interactive_client = bool(given["redirect_uri"])
    keys = given["jwks_file"] or given["jwks_uri"]
    usual_method = "private_key_jwt" if keys else "none" if given["native"] else ""
    usual_grants = (
        ("authorization_code", "refresh_token") if interactive_client else ("client_credentials",)
    )
    return Client(
        client_id=given["client_id"],
        name=given["name"] or given["client_id"],
        created_at=now,
        redirect_uris=given["redirect_uri"],
        post_logout_redirect_uris=given["post_logout_redirect_uri"],
        grant_types=given["grant_type"] or usual_grants,
        scopes=given["scope"] or (tuple(SCOPES) if interactive_client else ()),
        resources=given["resource"],
        token_endpoint_auth_method=given["auth_method"] or usual_method or "client_secret_basic",
        jwks=_public_keys(given["jwks_file"]) if given["jwks_file"] else None,
        jwks_uri=given["jwks_uri"],
        application_type="native" if given["native"] else "web",
        id_token_alg=given["id_token_alg"],
        access_token_alg=given["access_token_alg"],
        require_acr=given["require_acr"],
        require_pkce=not given["no_pkce"],
        require_consent=not given["no_consent"],
        policy_uri=given["policy_uri"],
        tos_uri=given["tos_uri"],
    )


def _public_keys(path: Path) -> dict[str, Any]:
    """A JWKS without anything private. The refusal names the file, never its content."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise click.BadParameter(f"{path} is not JSON", param_hint="--jwks") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise click.BadParameter(f'{path} is not {{"keys": [...]}}', param_hint="--jwks")
    if any(PRIVATE_MEMBERS & key.keys() for key in keys):
        raise click.BadParameter(
            f"{path} holds private keys; give the public ones", param_hint="--jwks"
        )
    return {"keys": keys}
