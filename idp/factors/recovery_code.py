"""Recovery codes: look-up secrets (NIST SP 800-63B-4 section 3.1.2) for when a factor is lost.

`SSSS-XXXX-XXXX-XXXX-XXXX` in Crockford's base32: the selector finds the row, so that one hash is
computed and not ten; the other 80 bits are the secret. Look-up secrets below 112 bits are to be
salted and hashed as passwords are; since they are random, the cost can be low (section 3.1.2.2).
One authenticator per code, so that two codes used at once lose no update. What is printed on paper
is something the person has, and proves itself once: RFC 8176 has `otp` for it.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from idp.factors.base import (
    N_,
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Kind,
    Rejected,
)
from idp.model import Authenticator

NAME = "recovery_code"
CODES = 10
SELECTOR = 4  # characters of 5 bits
GROUPS = 5
CHARACTERS = 4 * GROUPS
LONGEST = 128  # characters that are looked at: a code with whatever was typed between
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
SEPARATORS = frozenset(" -_\t\r\n\u00a0\u2010\u2011\u2012\u2013\u2014\u2212")
ONCE_FOR = timedelta(days=1)  # far longer than between reading the codes held and saving one used

_hasher = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1, type=Type.ID)
_decoy = _hasher.hash(uuid4().hex)


class RecoveryCode:
    name = NAME
    label = N_("Recovery code")
    amr = ("otp",)
    kind = Kind.HAS
    phishing_resistant = False
    identifies = False
    enrollable = False  # issued as a set, which is shown once
    expendable = True

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if settings:
            raise ValueError("it has no settings")

    def available(self, ctx: Context) -> Available:
        if not live(ctx.held, ctx.now):
            return Available(False, "no unused recovery code")
        return Available(True)

    def holds(self, ctx: Context) -> bool:
        return bool(live(ctx.held, ctx.now))

    def begin(self, ctx: Context) -> Challenge:
        field = Field("code", N_("Recovery code"), autocomplete="off", maxlength=LONGEST)
        text = N_("Type one of the recovery codes that you kept. Each works once.")
        return Challenge(Form(N_("Use a recovery code"), (field,), text=text))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """Compare in constant work, whether the selector is known or not."""
        selector, secret = parsed(answer.get("code", ""))
        held = next((a for a in live(ctx.held, ctx.now) if a.data["selector"] == selector), None)
        matches = _matches(_decoy if held is None else held.secret.decode(), secret)
        if held is None or not matches:
            raise Rejected("wrong recovery code")
        if not ctx.once(f"{NAME}:{held.id}", ONCE_FOR):
            raise Rejected("the recovery code was used before")
        return replace(held, disabled_at=ctx.now)

    def enroll(self, ctx: Context) -> Challenge:
        raise Rejected("recovery codes are issued, not enrolled", N_("Recovery codes are issued."))

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        raise Rejected("recovery codes are issued, not enrolled")


@dataclass(frozen=True, slots=True)
class Issued:
    """A set of codes: what the person gets to see this once, and what is kept of it."""

    id: str
    codes: tuple[str, ...] = ()
    authenticators: tuple[Authenticator, ...] = ()

    def __repr__(self) -> str:
        return f"Issued({self.id!r}, {len(self.codes)} codes)"


def issue(
    user_id: str,
    now: datetime,
    count: int = CODES,
    *,
    expires_at: datetime | None = None,
    randbits: Callable[[int], int] = secrets.randbits,
) -> Issued:
    """A new set. With `expires_at` it is what a helpdesk hands out, beside the person's own."""
    found: dict[str, str] = {}
    while len(found) < count:
        text = _base32(randbits(5 * CHARACTERS))
        found.setdefault(text[:SELECTOR], text[SELECTOR:])
    set_id = uuid4().hex
    data = {"set": set_id} | ({} if expires_at is None else {"expires_at": expires_at.isoformat()})
    return Issued(
        set_id,
        tuple(_grouped(selector + secret) for selector, secret in found.items()),
        tuple(
            Authenticator(
                id=uuid4().hex,
                user_id=user_id,
                factor=NAME,
                created_at=now,
                secret=_hasher.hash(secret).encode(),
                data={**data, "selector": selector},
                name=RecoveryCode.label,
            )
            for selector, secret in found.items()
        ),
    )


def live(held: Sequence[Authenticator], now: datetime) -> tuple[Authenticator, ...]:
    """The unused codes of the newest set of each sort: those of an older set are dead, whether
    they were cleared away yet or not."""
    dead = {a.id for a in superseded(held)}
    return tuple(
        a for a in held if a.id not in dead and a.disabled_at is None and not _expired(a, now)
    )


def superseded(codes: Sequence[Authenticator]) -> tuple[Authenticator, ...]:
    """What a newer set of the same sort has put out of use."""
    newest = {
        sort: max(((a.created_at, a.data["set"]) for a in codes if helped(a) is sort), default=None)
        for sort in (True, False)
    }
    return tuple(a for a in codes if (a.created_at, a.data["set"]) != newest[helped(a)])


def parsed(text: str) -> tuple[str, str]:
    """Selector and secret of what was typed: any case, any spacing, O for 0, I and L for 1.
    Raises Rejected."""
    if len(text) > LONGEST:
        raise Rejected("not a recovery code")
    typed = "".join(c for c in text if c not in SEPARATORS)
    code = typed.upper().translate(MISREAD) if typed.isascii() else ""
    if len(code) != CHARACTERS or any(c not in ALPHABET for c in code):
        raise Rejected("not a recovery code")
    return code[:SELECTOR], code[SELECTOR:]


def helped(code: Authenticator) -> bool:
    """Handed out by a helpdesk: it expires."""
    return "expires_at" in code.data


def _expired(code: Authenticator, now: datetime) -> bool:
    return helped(code) and now >= datetime.fromisoformat(code.data["expires_at"])


def _matches(known: str, secret: str) -> bool:
    try:
        return _hasher.verify(known, secret)
    except (VerificationError, InvalidHashError):
        return False


def _base32(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(CHARACTERS)))


def _grouped(code: str) -> str:
    return "-".join(code[at : at + 4] for at in range(0, CHARACTERS, 4))
