"""Enrolment as part of signing in: the policy demands a factor that the person does not hold.

Binding one needs a fresh proof at the highest level that the person holds (OWASP ASVS 7.5.1): who
has a second factor cannot be given another one by somebody who knows the password alone.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from idp.factors.base import N_, covered, enrollable, expendable
from idp.factors.binding import begun, shown
from idp.flow.asking import Asking, Situation, in_grace
from idp.flow.policy import (
    Ask,
    Outstanding,
    Reached,
    Requirement,
    reachable,
    strongest,
    to_enroll,
)
from idp.flow.requirements import DEFERRABLE
from idp.flow.steps import Asked, Choice
from idp.model import Interaction
from idp.ports import Users

AFRESH = N_("Start again")
RECOVERY = "recovery"  # the source of a demand to bind something after a code


@dataclass(frozen=True, slots=True)
class FlowRules:
    """The settings of the flow that enrolment needs."""

    fresh_for: timedelta
    grace: timedelta | None


class Enrolling:
    def __init__(self, asking: Asking, users: Users, rules: FlowRules) -> None:
        self._asking = asking
        self._users = users
        self._rules = rules

    def proof_first(self, at: Situation) -> Ask | None:
        """What must be proven before anything may be bound; None when it is, or cannot be."""
        strength = self._strength(at)
        return strength if isinstance(strength, Ask) else None

    def may_begin(self, at: Situation) -> bool:
        """Somebody who proved something, at the highest level held."""
        if at.user is None or not self._asking.proofs(at):
            return False
        return isinstance(self._strength(at), Reached)

    def _strength(self, at: Situation) -> Outstanding | None:
        """How far the proofs are from the highest level that the person holds, available here and
        now or not. None: nothing that is held reaches any level."""
        level = strongest(self._asking.policy, lambda name: self._asking.holds(at, name))
        if level is None:
            return None
        since = at.visit.interaction.created_at - self._rules.fresh_for
        return self._asking.outstanding(at, (Requirement((level,), "enrollment", since),))

    def lost(self, at: Situation, result: Reached) -> Requirement | None:
        """Who came this far by a recovery code, and holds nothing lasting that leads here, binds
        something first: a code stands in for a lost factor once, not for having none."""
        factors = self._asking.factors
        if not any(expendable(factors[proof.factor]) for proof in result.proofs):
            return None
        if reachable(self._asking.policy, result.acr, lambda name: self._lasting(at, name)):
            return None
        demand = Requirement((result.acr,), RECOVERY)
        return demand if self.offers(at, demand) else None

    def offers(self, at: Situation, demand: Requirement) -> tuple[str, ...]:
        """Factors of which binding one leads to what is demanded."""
        asking, proofs = self._asking, self._asking.proofs(at)
        lasting = demand.source == RECOVERY
        if lasting:
            proofs = tuple(p for p in proofs if not expendable(asking.factors[p.factor]))
        names = to_enroll(
            asking.policy,
            demand,
            proofs,
            lambda name: self._lasting(at, name) if lasting else asking.available(at, name),
            lambda name: self._enrollable(at, name),
            at.now,
        )
        return tuple(name for name in names if not covered(asking.factors[name], names))

    def ask(self, at: Situation, demand: Requirement, names: tuple[str, ...]) -> Asked | None:
        """The page that binds one of `names`. None when another request was faster."""
        asking, visit = self._asking, at.visit
        interaction = visit.interaction
        name = next((n for n in names if n == interaction.chosen), names[0])
        deferrable = self._deferrable(at, demand)
        under_way = interaction.enrolling
        if under_way is not None and under_way.factor == name and asking.stands(under_way, at.now):
            challenge = shown(under_way)
        else:
            factor = asking.factors[name]
            challenge = factor.enroll(asking.context(at, factor))
            under_way = begun(factor, challenge, at.now)
            after = replace(interaction, enrolling=under_way, pending=())
            saved = asking.interactions.save(visit.stored, after)
            if saved is None:
                return None
            visit = replace(visit, stored=saved)
            if challenge.send is not None:
                sent = asking.deliver(replace(at, visit=visit), challenge)
                saved = asking.interactions.save(visit.stored, sent)
                if saved is None:
                    return None
                visit = replace(visit, stored=saved)
        under_way = visit.interaction.enrolling or under_way
        error, wait = asking.wait(visit.interaction, at.now)
        others = tuple(Choice(n, asking.factors[n].label) for n in names if n != name)
        if under_way.receipt:  # to another number, for who mistyped theirs
            others = (*others, Choice(name, AFRESH))
        user = at.user
        return Asked(
            visit.stored,
            name,
            challenge,
            others,
            None if user is None else user.username,
            error,
            wait,
            resendable=under_way.receipt != "",
            enrolling=True,
            deferrable=deferrable,
        )

    def deferred(self, at: Situation, demand: Requirement) -> Interaction | None:
        """The interaction with the enrolment put off, where that is allowed."""
        if not self._deferrable(at, demand):
            return None
        return replace(at.visit.interaction, deferred=True, enrolling=None, pending=())

    def _deferrable(self, at: Situation, demand: Requirement) -> bool:
        """The grace begins when a factor is demanded for the first time."""
        if self._rules.grace is None or at.user is None or demand.source not in DEFERRABLE:
            return False
        if at.user.enroll_by is None:
            until = at.now + self._rules.grace
            self._users.change(at.user.id, lambda user: replace(user, enroll_by=until))
            return True
        return in_grace(at)

    def _lasting(self, at: Situation, name: str) -> bool:
        return self._asking.available(at, name) and not expendable(self._asking.factors[name])

    def _enrollable(self, at: Situation, name: str) -> bool:
        factor = self._asking.factors.get(name)
        return factor is not None and enrollable(factor) and self._asking.deliverable(factor)
