"""Which claims a scope or the `claims` parameter releases (OIDC Core 5.1, 5.4, 5.5)."""

from collections.abc import Iterable, Mapping
from typing import Any

from idp.model import User

SCOPES: Mapping[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
    "offline_access": (),
}
SUPPORTED = tuple(dict.fromkeys(name for names in SCOPES.values() for name in names))


def user_claims(user: User, scopes: Iterable[str], requested: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of `user` that these scopes and requests release; absent ones are left out."""
    names = {name for scope in scopes for name in SCOPES.get(scope, ())}
    names.update(name for name in requested if name in SUPPORTED)
    known = _known(user)
    return {name: known[name] for name in SUPPORTED if name in names and name in known}


def requested(claims: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The `userinfo` or `id_token` member of a validated `claims` parameter."""
    found = claims.get(where)
    return found if isinstance(found, Mapping) else {}


def _known(user: User) -> dict[str, Any]:
    found: dict[str, Any] = {
        **user.claims,
        "sub": user.id,
        "preferred_username": user.username,
        "updated_at": int(user.updated_at.timestamp()),
    }
    if user.locale:
        found["locale"] = user.locale
    if user.email:
        found["email"] = user.email
        found["email_verified"] = user.email_verified
    if user.phone:
        found["phone_number"] = user.phone
        found["phone_number_verified"] = user.phone_verified
    return found
