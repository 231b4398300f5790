"""A credential as a browser answers it, read and judged before any signature is looked at.

The JSON is that of `toJSON()` (WebAuthn Level 3 sections 5.1.8 and 5.1.9).
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

from idp.factors.base import N_, Answer, Challenge, Claim, Context, Rejected

FIELD = "credential"
LONGEST = 65536  # characters of an answer
CREATE, GET = "webauthn.create", "webauthn.get"

NOT_GIVEN = N_("No passkey was used. Press the button on this page, or try another way.")
STALE = N_("This page was open for too long. Try again.")
REFUSED = N_("This passkey could not be verified. Try again, or try another way.")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{1,30}:[A-Za-z0-9./:\[\]_=-]{1,255}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def read(answer: Answer) -> Mapping[str, Any]:
    """The credential as the browser's `toJSON()` gives it. Raises Rejected."""
    text = answer.get(FIELD, "")
    if not text:
        raise Rejected("no credential in the answer", NOT_GIVEN)
    if len(text) > LONGEST:
        raise Rejected(f"longer than {LONGEST} characters", REFUSED)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected("the credential is not JSON", REFUSED) from None
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise Rejected("the credential is not an object with a response", REFUSED)
    return found


def named_user(answer: Answer) -> Claim:
    """The user whom a discoverable credential names, and which it is (section 5.1.1)."""
    with suppress(Rejected, UnicodeDecodeError):
        credential = read(answer)
        handle = decoded(credential["response"].get("userHandle")).decode("ascii")
        return Claim(user_id=handle, authenticator_id=identity(decoded(credential.get("id"))))
    return Claim(user_id="")


def identity(credential_id: bytes) -> str:
    """The authenticator's id follows from the credential's: it cannot be bound twice, to whomever
    (section 7.1 step 26)."""
    return sha256(credential_id).hexdigest()[:32]


def encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(text: object) -> bytes:
    """Base64url without padding. Raises Rejected."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise Rejected("a value is not base64url", REFUSED)
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Rejected("a value is not base64url", REFUSED) from None


def check_client_data(
    credential: Mapping[str, Any],
    kind: str,
    ctx: Context,
    asked: Challenge,
    origins: Collection[str],
) -> None:
    """Steps 7 to 12 of section 7.1, 10 to 14 of section 7.2."""
    try:
        said = json.loads(decoded(credential["response"].get("clientDataJSON")))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Rejected("clientDataJSON is not an object", REFUSED)
    if said.get("type") != kind:
        raise Rejected(f"clientDataJSON is not of the type {kind}", REFUSED)
    if said.get("challenge") != asked.private["challenge"]:
        raise Rejected("the challenge is another one", STALE)
    if ctx.now > datetime.fromisoformat(asked.private["until"]):
        raise Rejected("the challenge has expired", STALE)
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise Rejected("it was made in a frame of another site (crossOrigin)", REFUSED)
    if said.get("origin") not in origins:
        raise Rejected(f"it was made at the origin {_printed(said.get('origin'))}", REFUSED)


def discoverable(credential: Mapping[str, Any], *, otherwise: bool) -> bool:
    """Whether it can be used without being named, as the client says (`credProps`, section
    10.1.3); `otherwise` where it says nothing."""
    results = credential.get("clientExtensionResults")
    properties = results.get("credProps") if isinstance(results, dict) else None
    said = properties.get("rk") if isinstance(properties, dict) else None
    return said if isinstance(said, bool) else otherwise


def transports(credential: Mapping[str, Any]) -> list[str]:
    """Those that the library can give back to a browser."""
    from webauthn.helpers.structs import AuthenticatorTransport

    known = {transport.value for transport in AuthenticatorTransport}
    said = credential["response"].get("transports")
    return sorted(known & {t for t in said if isinstance(t, str)}) if isinstance(said, list) else []


def _printed(origin: object) -> str:
    """An origin for the operator; what is none is not repeated."""
    return origin if isinstance(origin, str) and _ORIGIN.fullmatch(origin) else "(not an origin)"
