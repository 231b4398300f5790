"""A factor of one's own: a PIN. One class; no route, no template, no migration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
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

LONGEST = 8


class Pin:
    name = "pin"
    label = "PIN"
    amr = ("pin",)  # RFC 8176
    kind = Kind.KNOWS
    phishing_resistant = False
    identifies = False

    def __init__(self, settings: Mapping[str, Any]) -> None:
        unknown = set(settings) - {"min_digits"}
        if unknown:
            raise ValueError(f"not a setting of a PIN: {', '.join(sorted(unknown))}")
        self._min_digits = int(settings.get("min_digits", 4))
        if not 4 <= self._min_digits <= LONGEST:
            raise ValueError("min_digits must be between 4 and 8")
        self._hasher = PasswordHasher()

    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held), "" if ctx.held else "no PIN is set")

    def begin(self, ctx: Context) -> Challenge:
        field = Field("pin", "PIN", "password", inputmode="numeric", maxlength=LONGEST)
        return Challenge(Form("Enter your PIN", (field,)))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        pin = typed(answer)
        for held in ctx.held:
            hashed = held.secret.decode()
            if self._matches(hashed, pin):
                if self._hasher.check_needs_rehash(hashed):
                    return replace(held, secret=self._hasher.hash(pin).encode())
                return held
        raise Rejected("wrong PIN")

    def enroll(self, ctx: Context) -> Challenge:
        return self.begin(ctx)

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        pin = typed(answer)
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        if len(pin) < self._min_digits:
            raise Rejected("the PIN is too short", N_("Choose a longer PIN."))
        return Authenticator(
            id=uuid4().hex,
            user_id=ctx.user.id,
            factor=self.name,
            created_at=ctx.now,
            secret=self._hasher.hash(pin).encode(),
        )

    def _matches(self, hashed: str, pin: str) -> bool:
        try:
            return self._hasher.verify(hashed, pin)
        except (VerificationError, InvalidHashError):
            return False


def typed(answer: Answer) -> str:
    """Up to eight ASCII digits. Raises Rejected: nothing else is ever hashed."""
    pin = answer.get("pin", "")
    if not (pin.isascii() and pin.isdigit() and len(pin) <= LONGEST):
        raise Rejected("not a PIN", N_("A PIN is made of up to eight digits."))
    return pin
