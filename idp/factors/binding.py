"""Binding a new authenticator: what is under way, as a value and, outside a sign-in, at rest.

A sign-in keeps it in its interaction; the account pages, the API and the commands keep it here,
sealed, one per user and factor, for as long as it may take.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from pydantic import TypeAdapter

from idp.factors.base import Challenge, Context, Factor, Form, drawn, kept, lifetime
from idp.model import Pending
from idp.ports import Ephemeral, Sealing

TTL = timedelta(minutes=10)
_codec = TypeAdapter(Pending)


def begun(factor: Factor, challenge: Challenge, now: datetime) -> Pending:
    """A binding that has just been asked for."""
    form = kept(challenge.form)
    return Pending(factor.name, challenge.public, challenge.private, now, form=form, id=uuid4().hex)


def shown(pending: Pending) -> Challenge:
    """What is asked of the person, drawn again; nothing is sent."""
    form = Form("", ()) if pending.form is None else drawn(pending.form)
    return Challenge(form, pending.public, pending.private)


def stands(factor: Factor, pending: Pending, now: datetime) -> bool:
    """Whether a page drawn now may show this challenge again: it has half its life before it, for
    the person to answer in."""
    life = lifetime(factor)
    return life is None or now - pending.asked_at <= life / 2


def again(factor: Factor, ctx: Context, pending: Pending) -> Challenge:
    """The challenge anew, with what it sends. A factor that asked for a second thing meanwhile
    offers it by `resend(ctx, asked)`; else binding begins anew."""
    resend = getattr(factor, "resend", None)
    if resend is not None:
        fresh: Challenge = resend(ctx, shown(pending))
        return fresh
    return factor.enroll(ctx)


@dataclass(frozen=True, slots=True)
class Bindings:
    """Bindings under way outside a sign-in; of another `purpose`, proofs that are."""

    ephemeral: Ephemeral
    sealing: Sealing
    purpose: str = "binding"

    def put(self, user_id: str, pending: Pending) -> None:
        key = self._key(user_id, pending.factor)
        self.ephemeral.put(key, self.sealing.seal(_codec.dump_json(pending), key), TTL)

    def get(self, user_id: str, factor: str) -> Pending | None:
        key = self._key(user_id, factor)
        raw = self.ephemeral.get(key)
        return None if raw is None else _codec.validate_json(self.sealing.open(raw, key))

    def drop(self, user_id: str, factor: str) -> bool:
        """True for the caller who ended it: a binding is completed once."""
        return self.ephemeral.take(self._key(user_id, factor)) is not None

    def noted(self, user_id: str, pending: Pending, receipt: str) -> Pending:
        """With the receipt of the message that carried it."""
        sent = replace(pending, receipt=receipt)
        self.put(user_id, sent)
        return sent

    def _key(self, user_id: str, factor: str) -> str:
        return f"{self.purpose}:{user_id}:{factor}"
