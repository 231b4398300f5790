"""The engine: moves an interaction one step, and answers with a value.

It takes answers through the prover, sends messages through the courier, emits the events, and
leads through enrolment where the policy demands what a person does not hold. It knows no HTTP:
pages, JSON and tests share one path.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from idp import events
from idp.errors import PageError
from idp.factors.base import N_, Answer, Challenge, Factor, Form, one_answer
from idp.factors.proving import NotProven, Unfinished
from idp.flow.asking import Asking, Situation
from idp.flow.courier import Courier
from idp.flow.enrolling import Enrolling
from idp.flow.interactions import support_code
from idp.flow.policy import Ask, Reached, Requirement, Unreachable
from idp.flow.steps import Asked, Done, Refused, Step, Visit
from idp.model import Achieved, Authenticator, Interaction, User
from idp.ports import Clock

WRITERS = 100  # requests that may write to one interaction at the same time
QUIET: dict[str, Any] = {"notice": None, "retry_at": None}
WRONG = N_("That did not match. Check what you typed and try again.")
WAIT = N_("Too many attempts. Wait a moment, then try again.")
BROKEN = N_("This way of signing in does not work right now. Try another way, or try again later.")
STALE = N_("This page was out of date. Please answer again.")


class Engine:
    def __init__(
        self,
        asking: Asking,
        enrolling: Enrolling,
        courier: Courier,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self._asking = asking
        self._enrolling = enrolling
        self._courier = courier
        self._interactions = asking.interactions
        self._factors = asking.factors
        self._prover = asking.prover
        self._bus = bus
        self._clock = clock

    def step(self, visit: Visit) -> Step:
        """Where the interaction stands now: what to ask, or the end."""
        at = self._asking.situation(visit, self._clock())
        if at.user is not None and at.user.disabled_at is not None:
            return Refused(visit.stored, "access_denied", "the account is disabled", at.user)
        result = self._asking.outstanding(at, self._asking.requirements(at))
        if isinstance(result, Ask):
            return self._ask(at, result)
        if at.user is None:
            return Refused(
                visit.stored, "unmet_authentication_requirements", "nobody identified", None
            )
        if isinstance(result, Unreachable):
            return self._enroll(at, result.requirement)
        if visit.request.hint_sub not in (None, at.user.id):
            return Refused(
                visit.stored, "login_required", "another user than id_token_hint", at.user
            )
        lost = self._enrolling.lost(at, result)
        if lost is not None:
            return self._enroll(at, lost)
        return Done(at.visit.stored, at.user, self._named(result))

    def opening(self, visit: Visit) -> Interaction:
        """The new interaction with its first question, so that one write stores both."""
        at = self._asking.situation(visit, self._clock())
        result = self._asking.outstanding(at, self._asking.requirements(at))
        names = self._asking.askable(at, result.factors) if isinstance(result, Ask) else ()
        return self._asking.opening(at, names) if names else visit.interaction

    def reached(self, visit: Visit) -> Done | None:
        """Whether everything already holds, without asking anything of anybody."""
        at = self._asking.situation(visit, self._clock())
        if at.user is None or at.user.disabled_at is not None:
            return None
        if visit.request.hint_sub not in (None, at.user.id):
            return None
        result = self._asking.outstanding(at, self._asking.requirements(at))
        if not isinstance(result, Reached):
            return None
        return Done(at.visit.stored, at.user, self._named(result))

    def answer(self, visit: Visit, factor_name: str, answer: Answer) -> Step:
        """Take the answer to a pending challenge, and say where the interaction stands then."""
        at = self._asking.situation(visit, self._clock())
        pending = next((p for p in visit.interaction.pending if p.factor == factor_name), None)
        if pending is None or factor_name not in self._factors:
            return self._moved(visit, replace(visit.interaction, notice=STALE))
        factor = self._factors[factor_name]
        claimed = self._asking.claimed(at, factor, answer)
        user = claimed.user
        about = replace(at, user=user, held=self._prover.held(user))
        verdict = self._prover.verify(
            factor,
            self._asking.context(about, factor),
            Challenge(Form("", ()), pending.public, pending.private),
            answer,
            claimed.typed,
            against=claimed.authenticator_id,
        )
        if isinstance(verdict, NotProven):
            return self._refused(visit, user, factor, verdict, claimed.typed)
        if user is None:  # the prover refuses it; said once more for the types
            return self._retry(visit, factor, claimed.typed, BROKEN)
        self._courier.verified(pending.receipt)
        self._emit(events.FactorVerified, visit, user, factor=factor.name)
        return self._achieved(visit, user, factor, verdict.authenticator, at.now)

    def enroll(self, visit: Visit, factor_name: str, answer: Answer) -> Step:
        """Take the answer that binds a new authenticator. It counts as a proof of it."""
        at = self._asking.situation(visit, self._clock())
        begun = visit.interaction.enrolling
        stale = begun is None or begun.factor != factor_name or factor_name not in self._factors
        if begun is None or stale or at.user is None or not self._enrolling.may_begin(at):
            return self._moved(visit, replace(visit.interaction, notice=STALE, enrolling=None))
        factor = self._factors[factor_name]
        verdict = self._prover.confirm(
            factor,
            self._asking.context(at, factor),
            Challenge(Form("", ()), begun.public, begun.private),
            answer,
            begun.id,
        )
        if isinstance(verdict, NotProven):
            return self._refused(visit, at.user, factor, verdict, "")
        if isinstance(verdict, Unfinished):
            return self._sent(visit, self._asking.go_on(at, factor.name, verdict.challenge))
        self._courier.verified(begun.receipt)
        self._bus.emit(
            events.AuthenticatorAdded(
                at=at.now,
                user_id=at.user.id,
                factor=verdict.authenticator.factor,
                authenticator_id=verdict.authenticator.id,
                actor=at.user.id,
            )
        )
        return self._achieved(visit, at.user, factor, verdict.authenticator, at.now)

    def defer(self, visit: Visit) -> Step:
        """Put a demanded enrolment off, where the operator's grace allows it."""
        at = self._asking.situation(visit, self._clock())
        result = self._asking.outstanding(at, self._asking.requirements(at))
        if not isinstance(result, Unreachable) or not self._enrolling.may_begin(at):
            return self.step(visit)
        after = self._enrolling.deferred(at, result.requirement)
        if after is None:
            return self.step(visit)
        acr = " ".join(result.requirement.acrs)
        self._emit(events.EnrollmentDeferred, visit, at.user, acr=acr)
        return self._moved(visit, after)

    def choose(self, visit: Visit, factor_name: str) -> Step:
        """Another way: prefer this factor, if the policy allows it here."""
        chosen = replace(visit.interaction, chosen=factor_name, pending=(), enrolling=None, **QUIET)
        return self._moved(visit, chosen)

    def resend(self, visit: Visit) -> Step:
        """Send the challenge's message again: a new code in place of the old one, unless a limit
        says not now; the old one then goes on."""
        at = self._asking.situation(visit, self._clock())
        carried = visit.interaction.enrolling or next(iter(visit.interaction.pending), None)
        if carried is None or carried.factor not in self._factors:
            return self.step(visit)
        return self._sent(visit, self._asking.again(at, carried))

    def restart(self, visit: Visit) -> Step:
        """Not you? Forget who was signing in and everything proven in this interaction."""
        cleared = replace(
            visit.interaction,
            user_id=None,
            identifier=None,
            achieved=(),
            pending=(),
            enrolling=None,
            deferred=False,
            chosen=None,
            fresh_user=True,
            **QUIET,
        )
        return self._moved(visit, cleared)

    def _ask(self, at: Situation, ask: Ask) -> Step:
        names = self._asking.askable(at, ask.factors)
        if not names:
            return Refused(
                at.visit.stored, "server_error", "the first step identifies nobody", at.user
            )
        return self._asking.ask(at, names) or self._reload(at.visit)

    def _enroll(self, at: Situation, demand: Requirement) -> Step:
        """Lead to what is demanded, after what is held was proven."""
        names = self._enrolling.offers(at, demand)
        if not names:
            return Refused(
                at.visit.stored, "unmet_authentication_requirements", str(demand), at.user
            )
        first = self._enrolling.proof_first(at)
        if first is not None:
            return self._ask(at, first)
        if not self._enrolling.may_begin(at):
            return Refused(
                at.visit.stored, "unmet_authentication_requirements", str(demand), at.user
            )
        asked: Asked | None = self._enrolling.ask(at, demand, names)
        return asked or self._reload(at.visit)

    def _named(self, result: Reached) -> Reached:
        """RFC 8176: `mfa` when factors of different kinds were proven; two secrets are one kind."""
        kinds = {self._factors[proof.factor].kind for proof in result.proofs}
        if len(kinds) < 2 or "mfa" in result.amr:
            return result
        return replace(result, amr=(*result.amr, "mfa"))

    def _refused(
        self, visit: Visit, user: User | None, factor: Factor, verdict: NotProven, typed: str
    ) -> Step:
        if verdict.kind == "wait":
            self._emit(
                events.AttemptRefused, visit, user, factor=factor.name, failures=verdict.failures
            )
            return self._retry(visit, factor, typed, WAIT, verdict.retry_at)
        if verdict.kind == "wrong":
            self._emit(
                events.FactorRejected, visit, user, factor=factor.name, reason=verdict.detail
            )
            return self._retry(visit, factor, typed, verdict.public or WRONG)
        self._emit(events.FactorFailed, visit, user, factor=factor.name, cause=verdict.detail)
        return self._retry(visit, factor, typed, BROKEN)

    def _achieved(
        self, visit: Visit, user: User, factor: Factor, proof: Authenticator, now: datetime
    ) -> Step:
        """Keep a proof, whatever another request wrote meanwhile: a second click, which is refused
        since the answer was used, must not undo the first."""
        achieved = Achieved(factor.name, tuple(factor.amr), now, proof.id)
        for _ in range(WRITERS):
            saved = self._interactions.save(visit.stored, _with(visit.interaction, achieved, user))
            if saved is not None:
                return self.step(replace(visit, stored=saved))
            stored = self._interactions.get(visit.interaction.id)
            if stored is None or not _same_visit(visit.interaction, stored.interaction, user):
                break
            visit = replace(visit, stored=stored)
        return self._reload(visit)

    def _sent(self, visit: Visit, after: Interaction) -> Step:
        """Keep the question that a message was sent for, whatever notice another request left
        meanwhile: a second click, which no second message was sent for, must not undo the first."""
        before = replace(visit.interaction, **QUIET)
        for _ in range(WRITERS):
            saved = self._interactions.save(visit.stored, after)
            if saved is not None:
                return self.step(replace(visit, stored=saved))
            stored = self._interactions.get(visit.interaction.id)
            if stored is None or replace(stored.interaction, **QUIET) != before:
                break
            visit = replace(visit, stored=stored)
        return self._reload(visit)

    def _moved(self, visit: Visit, after: Interaction) -> Step:
        saved = self._interactions.save(visit.stored, after)
        if saved is None:
            return self._reload(visit)
        return self.step(replace(visit, stored=saved))

    def _reload(self, visit: Visit) -> Step:
        """Another request was faster (a double click, a second tab): show what it made."""
        stored = self._interactions.get(visit.interaction.id)
        if stored is None:
            raise PageError(
                "interaction_finished",
                "This sign-in was already finished.",
                action="Go back to the application.",
                status=409,
            )
        return self.step(replace(visit, stored=stored))

    def _retry(
        self,
        visit: Visit,
        factor: Factor,
        typed: str,
        notice: str,
        retry_at: datetime | None = None,
    ) -> Step:
        """The same question again. The notice stays with the interaction, so that the page that
        shows it can be reloaded and gone back to."""
        interaction = visit.interaction
        after = replace(interaction, notice=notice, retry_at=retry_at)
        if one_answer(factor):
            begun = interaction.enrolling
            after = replace(
                after,
                pending=tuple(p for p in interaction.pending if p.factor != factor.name),
                enrolling=None if begun is None or begun.factor == factor.name else begun,
            )
        if interaction.user_id is None and typed:
            after = replace(after, identifier=typed[:256])
        return self._moved(visit, after)

    def _emit(
        self, kind: type[events.InteractionEvent], visit: Visit, user: User | None, **more: object
    ) -> None:
        self._bus.emit(
            kind(
                at=self._clock(),
                interaction=visit.interaction.id,
                support_code=support_code(visit.interaction.id),
                client_id=visit.client.client_id,
                user_id=None if user is None else user.id,
                **more,
            )
        )


def _with(interaction: Interaction, achieved: Achieved, user: User) -> Interaction:
    return replace(
        interaction,
        user_id=user.id,
        identifier=user.username,
        achieved=(*interaction.achieved, achieved),
        # A clock that went back must not make a proof older than the question.
        created_at=min(interaction.created_at, achieved.at),
        pending=(),
        enrolling=None,
        chosen=None,
        **QUIET,
    )


def _same_visit(before: Interaction, after: Interaction, user: User) -> bool:
    """Nobody asked for another account meanwhile, and nobody else was proven."""
    return before.fresh_user == after.fresh_user and after.user_id in (None, user.id)
