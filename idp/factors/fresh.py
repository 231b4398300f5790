"""A fresh proof outside a sign-in: one text, for whatever the person holds.

Some factors are asked something first (a message that is sent, a WebAuthn challenge); that waits,
sealed, for as long as a binding would. The prover takes the answer and counts it, as in a sign-in.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from idp import events
from idp.factors.admin import Carrier
from idp.factors.base import N_, Answer, Challenge, Context, Factor, Form, one_answer, sends
from idp.factors.binding import Bindings, begun, shown
from idp.factors.proving import NotProven, Proven, Prover, Verdict
from idp.model import Authenticator, User
from idp.ports import Clock

Held = Sequence[Authenticator]

LONGEST_JSON = 65536
LONGEST_NUMBER = 10
ASK_FIRST = N_("Nothing was asked yet. Ask for a code or a challenge first.")
TWICE = N_("That was used already. Ask for another one.")


@dataclass(frozen=True, slots=True)
class Ready:
    """A factor that can look at an answer now; `carried`: by a challenge that waited."""

    factor: Factor
    challenge: Challenge
    receipt: str | None = None

    @property
    def carried(self) -> bool:
        return self.receipt is not None


@dataclass(frozen=True, slots=True)
class FreshProof:
    prover: Prover
    challenges: Bindings
    carrier: Carrier
    bus: events.Bus
    clock: Clock

    def ask(self, user: User, names: Iterable[str]) -> tuple[Factor, Challenge] | None:
        """Begin the challenge of the first factor that needs one; what needs no message goes
        first. None when all can be answered without. Raises NotSent."""
        factors = sorted((self.prover.factors[name] for name in names), key=sends)
        held = self.prover.held(user)
        for factor in factors:
            ctx = self._context(user, factor, held)
            if not factor.available(ctx):
                continue
            challenge = factor.begin(ctx)
            if _needs_asking(challenge):
                pending = begun(factor, challenge, ctx.now)
                if challenge.send is not None:
                    pending = replace(pending, receipt=self.carrier.send(challenge.send, user))
                self.challenges.put(user.id, pending)
                return factor, challenge
        return None

    def take(self, user: User, names: Iterable[str], text: str) -> Verdict:
        """Whether it proves any of these factors. It is shown to those whose question it can be
        the answer to, what was asked first; to at least one, so that it is counted. Raises Busy."""
        held = self.prover.held(user)
        ready = self._ready(user, names, held)
        fitting = [one for one in ready if fits(one.challenge.form, text)] or ready[:1]
        verdict: Verdict = NotProven("wrong", "nothing was asked", 0, public=ASK_FIRST)
        for one in fitting:
            verdict = self._verify(user, one, text, held)
            if isinstance(verdict, Proven):
                return verdict
        return verdict

    def _verify(self, user: User, ready: Ready, text: str, held: Held) -> Verdict:
        factor, asked = ready.factor, ready.challenge
        ctx = self._context(user, factor, held)
        verdict = self.prover.verify(factor, ctx, asked, answer_of(asked.form, text))
        if isinstance(verdict, Proven) and ready.carried:
            if not self.challenges.drop(user.id, factor.name):
                verdict = NotProven("wrong", "the challenge was used by another", 0, public=TWICE)
            else:
                self.carrier.verified(ready.receipt or "")
        if isinstance(verdict, NotProven):
            if ready.carried and one_answer(factor):
                self.challenges.drop(user.id, factor.name)
            self.bus.emit(
                events.ProofRefused(
                    at=ctx.now, user_id=user.id, factor=factor.name, reason=verdict.detail
                )
            )
        else:
            self.bus.emit(events.ProofTaken(at=ctx.now, user_id=user.id, factor=factor.name))
        return verdict

    def _ready(self, user: User, names: Iterable[str], held: Held) -> list[Ready]:
        found = []
        for name in names:
            factor = self.prover.factors[name]
            waiting = self.challenges.get(user.id, name)
            ctx = self._context(user, factor, held)
            if waiting is not None:
                found.append(Ready(factor, shown(waiting), waiting.receipt))
            elif factor.available(ctx) and not _needs_asking(challenge := factor.begin(ctx)):
                found.append(Ready(factor, challenge))
        return sorted(found, key=lambda one: not one.carried)

    def _context(self, user: User, factor: Factor, held: Held) -> Context:
        return self.prover.context(factor, user, held, self.clock())


def answer_of(form: Form, text: str) -> Answer:
    """What a form gets that is answered by one text: JSON with its fields, or its first field; a
    form without any is filled in by a script, with a credential."""
    values = _values(text)
    required = [field.name for field in form.fields if field.required]
    if values is not None and required and all(name in values for name in required):
        return {name: value for name, value in values.items() if isinstance(value, str)}
    return {form.fields[0].name if form.fields else "credential": text}


def fits(form: Form, text: str) -> bool:
    """Whether it can be meant for this form: a number for a field of digits, JSON for what a
    script fills in, anything else for what is typed."""
    first = form.fields[0] if form.fields else None
    if first is None or first.type == "hidden":
        return _values(text) is not None
    if _values(text) is not None:
        return len(form.fields) > 1
    digits = "".join(c for c in text if not c.isspace() and c != "-")
    number = 0 < len(digits) <= LONGEST_NUMBER and digits.isdigit()
    return number is (first.inputmode in ("numeric", "tel"))


def _values(text: str) -> Mapping[str, object] | None:
    if not text.lstrip().startswith("{") or len(text) > LONGEST_JSON:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _needs_asking(challenge: Challenge) -> bool:
    return bool(challenge.private) or challenge.send is not None
