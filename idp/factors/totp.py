"""TOTP (RFC 6238): 30 s, 6 digits, SHA-1, a 160-bit seed; replay-safe.

Steps t and t-1 are accepted: one step of drift into the past (RFC 6238 section 5.2). The last
accepted step is stored and must increase, and `once` closes the gap between two processes.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pyotp
from pydantic import BaseModel, ConfigDict

from idp.factors.base import (
    N_,
    Answer,
    Available,
    Challenge,
    Context,
    Form,
    Kind,
    Rejected,
)
from idp.factors.codes import DIGITS, code_field, digits
from idp.model import Authenticator

PERIOD = timedelta(seconds=30)
SEED_CHARACTERS = 32  # base32 of 160 bits, RFC 4226 section 4 R6


class TotpSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    issuer_name: str = "idp"
    """Name that an authenticator app shows for this provider."""


class Totp:
    name = "totp"
    label = N_("Authenticator app")
    amr = ("otp",)
    kind = Kind.HAS
    phishing_resistant = False
    identifies = False
    Settings = TotpSettings

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = TotpSettings.model_validate(dict(settings))

    def available(self, ctx: Context) -> Available:
        if not ctx.held:
            return Available(False, "no authenticator app is enrolled")
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        return Challenge(
            Form(
                N_("Enter your code"),
                (code_field(),),
                text=N_("Open your authenticator app and type the six digits that it shows."),
            )
        )

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        code = digits(answer.get("code", ""))
        for held in ctx.held:
            step = _matching_step(held.secret, code, ctx.now)
            if step is not None:
                return _use(held, step, ctx)
        raise Rejected("wrong code")

    def enroll(self, ctx: Context) -> Challenge:
        """A new seed: the URI for the app goes to the person, the seed stays with the flow."""
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        seed = pyotp.random_base32(SEED_CHARACTERS)
        uri = pyotp.TOTP(seed).provisioning_uri(
            name=ctx.user.username, issuer_name=self._settings.issuer_name
        )
        return Challenge(
            Form(N_("Add your authenticator app"), (code_field(),)),
            public={"provisioning_uri": uri, "secret": seed},
            private={"seed": seed},
        )

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        seed = str(asked.private["seed"]).encode()
        step = _matching_step(seed, digits(answer.get("code", "")), ctx.now)
        if step is None:
            raise Rejected("wrong code")
        fresh = Authenticator(
            id=uuid4().hex,
            user_id=ctx.user.id,
            factor=self.name,
            created_at=ctx.now,
            secret=seed,
            name=self.label,
        )
        return _use(fresh, step, ctx)


def _matching_step(seed: bytes, code: str, now: datetime) -> int | None:
    totp = pyotp.TOTP(seed.decode(), digits=DIGITS, interval=int(PERIOD.total_seconds()))
    current = int(now.timestamp() // PERIOD.total_seconds())
    matched = [
        step
        for step in (current, current - 1)
        if hmac.compare_digest(totp.generate_otp(step), code)
    ]
    return matched[0] if matched else None


def _use(held: Authenticator, step: int, ctx: Context) -> Authenticator:
    """RFC 6238 section 5.2: a step is accepted once. Raises Rejected for a replay."""
    if step <= int(held.data.get("last_step", -1)):
        raise Rejected("the code was used before")
    if not ctx.once(f"totp:{held.id}:{step}", PERIOD * 4):
        raise Rejected("the code was used before")
    return replace(held, data={**held.data, "last_step": step})
