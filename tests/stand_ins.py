"""Factors that stand in where the real ones are not installed: what they ask and in which steps is
theirs, what they prove is not. `installed` puts them where entry points are looked for."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import EntryPoint
from typing import Any
from uuid import uuid4

from idp.factors import registry
from idp.factors.base import (
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Further,
    Kind,
    Rejected,
)
from idp.model import Authenticator, Message

NAMES = ("sms",)
OWN = registry.installed()


def installed() -> Mapping[str, EntryPoint]:
    """The real entry points, and a stand-in for each name that has none."""
    ours = {name: EntryPoint(name, f"{__name__}:{name.title()}", registry.GROUP) for name in NAMES}
    return {**ours, **OWN}


def real(name: str) -> bool:
    return name in OWN


class Sms:
    name = "sms"
    label = "Text message"
    amr = ("sms",)
    kind = Kind.HAS
    phishing_resistant = False
    identifies = False
    sends = "sms"
    resendable = True

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held), "no number")

    def begin(self, ctx: Context) -> Challenge:
        return _sent(ctx.held[-1].secret.decode())

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        code = str(asked.private["code"])
        if answer.get("code") != code or not ctx.once(f"sms:{code}", timedelta(minutes=5)):
            raise Rejected("wrong code")
        return ctx.held[-1]

    def enroll(self, ctx: Context) -> Challenge:
        return Challenge(Form("Your number", (Field("number", "Number", "tel", inputmode="tel"),)))

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if "code" not in asked.private:
            raise Further(_sent(answer["number"]))
        if answer.get("code") != asked.private["code"]:
            raise Rejected("wrong code")
        return _bound(ctx, self.name, str(asked.private["number"]))


def _sent(number: str) -> Challenge:
    code = f"{secrets.randbelow(10**6):06}"
    field = Field("code", "Code", "code", inputmode="numeric")
    return Challenge(
        Form("Enter the code", (field,)),
        private={"code": code, "number": number},
        send=Message("sms", number, "Your code is %(code)s", values={"code": code}),
    )


def _bound(ctx: Context, factor: str, secret: str) -> Authenticator:
    assert ctx.user is not None
    return Authenticator(uuid4().hex, ctx.user.id, factor, ctx.now, secret.encode())
