"""What the record of a user may hold besides its names, whoever writes it: a number, a language,
the claims of OIDC Core section 5.1 that have no field of their own.

Claims with a field of their own are refused here: an address in `claims` would be told to relying
parties without ever having been verified, or being anybody's alone.
"""

import re
from collections.abc import Mapping
from typing import Any

from idp.errors import Refused
from idp.oidc.claims import SUPPORTED

LONGEST = 1024
OF_THE_RECORD = frozenset(
    {
        *("sub", "preferred_username", "updated_at", "locale"),
        *("email", "email_verified", "phone_number", "phone_number_verified"),
    }
)
CLAIMS = tuple(name for name in SUPPORTED if name not in OF_THE_RECORD)
ADDRESSES = frozenset({"profile", "picture", "website"})
PARTS = frozenset(
    {"formatted", "street_address", "locality", "region", "postal_code", "country"}
)  # OIDC Core section 5.1.1
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,3}")  # RFC 5646, as much as is used


def phone(text: str) -> str:
    """Whether messages may go there is the courier's to say."""
    if not NUMBER.fullmatch(text):
        raise Refused("phone: give the whole number, as +4915123456789", "bad_number")
    return text


def locale(text: str) -> str:
    if not LANGUAGE.fullmatch(text):
        raise Refused("locale: give a language tag such as en or de-AT", "bad_locale")
    return text


def claims(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in given.items():
        if name in OF_THE_RECORD:
            raise Refused(f"claims: {name} is a field of its own", "bad_claim")
        if name not in CLAIMS:
            raise Refused(f"claims: {name!r} is not one of {', '.join(CLAIMS)}", "bad_claim")
        if name == "address":
            _address(value)
        else:
            _text(name, value)
            if name in ADDRESSES and not value.startswith(("https://", "http://")):
                raise Refused(f"claims: {name} is an https address", "bad_claim")
    return given


def _address(value: Any) -> None:
    if not isinstance(value, Mapping) or not value.keys() <= PARTS:
        raise Refused(f"claims: address has {', '.join(sorted(PARTS))}", "bad_claim")
    for name, part in value.items():
        _text(f"address.{name}", part, several_lines=True)


def _text(name: str, value: Any, *, several_lines: bool = False) -> None:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Refused(f"claims: {name} is a text of up to {LONGEST} characters", "bad_claim")
    shown = value.replace("\r", "").replace("\n", "") if several_lines else value
    if not shown.isprintable():
        raise Refused(f"claims: {name} holds control characters", "bad_claim")
