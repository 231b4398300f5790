"""What scopes mean, in words for the person who allows them."""

from collections.abc import Iterable
from dataclasses import dataclass

from flask_babel import gettext as _

from idp.factors.base import N_

_TEXTS = {
    "openid": (N_("Know who you are"), N_("A stable identifier of your account.")),
    "profile": (N_("See your profile"), N_("Your name, picture, language and the like.")),
    "email": (N_("See your email address"), N_("And whether it was verified.")),
    "phone": (N_("See your phone number"), N_("And whether it was verified.")),
    "address": (N_("See your postal address"), None),
    "offline_access": (
        N_("Keep this access while you are away"),
        N_("Until you withdraw it here."),
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    name: str
    title: str
    detail: str | None


def words(scope: str) -> Words:
    """In the language of the page; a scope that we do not know is its own name."""
    title, detail = _TEXTS.get(scope, (scope, None))
    return Words(scope, _(title), _(detail) if detail else None)


def in_order(scopes: Iterable[str]) -> list[Words]:
    """Those that we know first, in their usual order."""
    order = list(_TEXTS)
    ranked = sorted(scopes, key=lambda s: (order.index(s) if s in _TEXTS else len(order), s))
    return [words(scope) for scope in ranked]
