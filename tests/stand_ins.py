"""Factors that stand in where the real ones are not installed: what they ask and in which steps is
theirs, what they prove is not. `installed` puts them where entry points are looked for."""

import json
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

NAMES = ("sms", "webauthn")
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


class Webauthn:
    name = "webauthn"
    label = "Security key"
    amr = ("pop", "user")
    kind = Kind.HAS
    phishing_resistant = True
    identifies = False
    lifetime = timedelta(minutes=5)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held), "no key")

    def begin(self, ctx: Context) -> Challenge:
        challenge = secrets.token_hex(8)
        return Challenge(
            Form("Use your key", ()), {"challenge": challenge}, {"challenge": challenge}
        )

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        key = _signed(asked, answer)
        found = next((a for a in ctx.held if a.secret.decode() == key), None)
        if found is None:
            raise Rejected("another key")
        return found

    def enroll(self, ctx: Context) -> Challenge:
        return self.begin(ctx)

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        return _bound(ctx, self.name, _signed(asked, answer))


def credential(options: Mapping[str, Any], key: str = "key") -> str:
    """What the browser's script would put into the form."""
    return json.dumps({"challenge": options["challenge"], "key": key})


def _signed(asked: Challenge, answer: Answer) -> str:
    given = json.loads(answer["credential"])
    if given["challenge"] != asked.private["challenge"]:
        raise Rejected("another challenge")
    return str(given["key"])


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
