"""Our own factors, by the same suite that the authors of other factors run."""

import json
from collections.abc import Mapping
from tempfile import NamedTemporaryFile
from typing import Any

import pyotp

from idp.factors import recovery_code
from idp.factors.base import Answer, Challenge, Context
from idp.factors.client_certificate import ClientCertificate
from idp.factors.passkey import Passkey
from idp.factors.password import Password
from idp.factors.recovery_code import RecoveryCode
from idp.factors.sms import Sms
from idp.factors.totp import Totp
from idp.factors.webauthn import WebAuthn
from idp.model import Authenticator
from idp.testing import factor_suite
from idp.testing.passkey import VirtualPasskey
from tests.certificates import authority

ISSUER = "https://login.example.com"
PEOPLE = authority()


def totp(ctx: Context, asked: Challenge) -> Answer:
    seed = ctx.held[0].secret.decode() if ctx.held else asked.public["secret"]
    return {"code": pyotp.TOTP(seed).at(ctx.now)}


TestPassword = factor_suite(
    Password,
    {"memory_kib": 8192, "iterations": 1, "hash_admitted": 64},
    answers=({"password": "correct horse 42"}, {"password": "battery staple 17"}),
)
TestTotp = factor_suite(Totp, answers=totp)


printed: dict[str, str] = {}  # by the id of the authenticator: what is on the person's paper


def issued(ctx: Context) -> Authenticator:
    assert ctx.user is not None
    made = recovery_code.issue(ctx.user.id, ctx.now, 1)
    printed[made.authenticators[0].id] = made.codes[0]
    return made.authenticators[0]


TestRecoveryCode = factor_suite(
    RecoveryCode, answers=lambda ctx, asked: {"code": printed[ctx.held[0].id]}, issued=issued
)

devices: dict[str, VirtualPasskey] = {}


def signed(ctx: Context, asked: Challenge) -> Answer:
    """Everybody has a device of their own."""
    assert ctx.user is not None
    device = devices.setdefault(ctx.user.id, VirtualPasskey(ISSUER))
    options = asked.public["publicKey"]
    found = device.get(options) if ctx.held else device.create(options)
    return {"credential": json.dumps(found)}


TestWebAuthn = factor_suite(WebAuthn, answers=signed)
TestPasskey = factor_suite(Passkey, answers=signed)


def certificates(settings: Mapping[str, Any]) -> ClientCertificate:
    """From an authority of these tests; the file is there while one is made."""
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(PEOPLE.pem)
        file.flush()
        return ClientCertificate({"authorities": file.name, **settings})


TestClientCertificate = factor_suite(
    certificates, answers=({}, {}), peer=PEOPLE.issue("Ana Example").der
)


def texted(ctx: Context, asked: Challenge) -> Answer:
    """The number first, then the code that went to it."""
    assert ctx.user is not None
    if asked.send is None:
        return {"number": ctx.user.phone or ""}
    return {"code": asked.send.values["code"]}


TestSms = factor_suite(Sms, answers=texted)
