"""A factor of one's own: a PIN. One class; no route, no template, no migration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from idp.factors.base import (
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


class Pin:
    name = "pin"
    label = "PIN"
    amr = ("pin",)  # RFC 8176
    kind = Kind.KNOWS
    phishing_resistant = False
    identifies = False

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._min_digits = int(settings.get("min_digits", 4))
        if not 4 <= self._min_digits <= 8:
            raise ValueError("min_digits must be between 4 and 8")
        self._hasher = PasswordHasher()

    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held), "" if ctx.held else "no PIN is set")

    def begin(self, ctx: Context) -> Challenge:
        field = Field("pin", "PIN", "password", inputmode="numeric", maxlength=8)
        return Challenge(Form("Enter your PIN", (field,)))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        pin = answer.get("pin", "")
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
        pin = answer.get("pin", "")
        if ctx.user is None or not (pin.isascii() and pin.isdigit()):
            raise Rejected("a PIN is made of digits")
        if not self._min_digits <= len(pin) <= 8:
            raise Rejected(f"a PIN has {self._min_digits} to 8 digits")
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
