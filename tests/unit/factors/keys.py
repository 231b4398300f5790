"""A person, a device in software, and the two factors under test."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from idp.factors.base import Answer, Challenge, Context
from idp.factors.passkey import Passkey
from idp.factors.webauthn import WebAuthn
from idp.model import Authenticator, User
from idp.testing.passkey import VirtualPasskey

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ISSUER = "https://login.example.com"
USER = User("u1", "alice", NOW, NOW, claims={"name": "Alice Example"})
OTHER = User("u2", "bob", NOW, NOW)
Factor = WebAuthn | Passkey


def context(
    *held: Authenticator,
    now: datetime = NOW,
    user: User | None = USER,
    issuer: str = ISSUER,
    once: Callable[[str, timedelta], bool] = lambda key, ttl: True,
) -> Context:
    return Context(now, issuer, user, held, once)


def device(**more: Any) -> VirtualPasskey:
    return VirtualPasskey(ISSUER, **more)


def options(asked: Challenge) -> Mapping[str, Any]:
    found: Mapping[str, Any] = asked.public["publicKey"]
    return found


def answer(credential: Mapping[str, Any]) -> Answer:
    return {"credential": json.dumps(credential)}


def register(
    key: VirtualPasskey, factor: Factor | None = None, ctx: Context | None = None, **more: Any
) -> Authenticator:
    factor, ctx = factor or WebAuthn({}), ctx or context()
    asked = factor.enroll(ctx)
    return factor.confirm(ctx, asked, answer(key.create(options(asked), **more)))


def prove(key: VirtualPasskey, factor: Factor, ctx: Context) -> Authenticator:
    asked = factor.begin(ctx)
    return factor.verify(ctx, asked, answer(key.get(options(asked))))
