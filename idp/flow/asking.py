"""What one visit is asked: whom it is about, what holds, which challenges are shown.

Reads, begins challenges and sends what carries them; nothing here takes an answer.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.errors import NotSent
from idp.factors.base import Answer as Given
from idp.factors.base import (
    Challenge,
    Context,
    Factor,
    ambient,
    claim,
    covered,
    holds,
    resendable,
    sends,
    uses,
)
from idp.factors.binding import again, begun, stands
from idp.factors.proving import Prover
from idp.flow.courier import Courier
from idp.flow.interactions import Interactions
from idp.flow.policy import Outstanding, Policy, Requirement, outstanding
from idp.flow.requirements import relaxed, requirements
from idp.flow.steps import Asked, Beside, Choice, Visit
from idp.model import Achieved, Authenticator, Interaction, Message, Pending, User
from idp.ports import Users


@dataclass(frozen=True, slots=True)
class Situation:
    """Where one visit stands: who it is about, what that person has, and when it is."""

    visit: Visit
    user: User | None
    held: tuple[Authenticator, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom an answer is about: the name that was typed, or the authenticator that it names."""

    user: User | None
    typed: str = ""
    authenticator_id: str = ""


class Asking:
    def __init__(
        self,
        policy: Policy,
        prover: Prover,
        interactions: Interactions,
        users: Users,
        courier: Courier,
    ) -> None:
        self.policy = policy
        self.prover = prover
        self.factors: Mapping[str, Factor] = prover.factors
        self.interactions = interactions
        self._users = users
        self._courier = courier

    def situation(self, visit: Visit, now: datetime) -> Situation:
        """A proof by what was removed since is none: who began with a password that was changed
        meanwhile does not end with it."""
        user = self._user(visit)
        bound = self.prover.bound(user)
        held = tuple(a for a in bound if a.disabled_at is None)
        return Situation(_standing(visit, {a.id for a in bound}), user, held, now)

    def requirements(self, at: Situation) -> tuple[Requirement, ...]:
        visit = at.visit
        found = requirements(
            self.policy, visit.request, visit.client, at.user, visit.interaction.created_at
        )
        if visit.interaction.deferred and in_grace(at):
            return relaxed(self.policy, found)
        return found

    def outstanding(self, at: Situation, demands: Sequence[Requirement]) -> Outstanding:
        return outstanding(
            self.policy,
            demands,
            self.proofs(at),
            lambda name: self.available(at, name),
            at.now,
        )

    def proofs(self, at: Situation) -> tuple[Achieved, ...]:
        """What was proven here, and in the live session if it is the same person's."""
        visit, session = at.visit, at.visit.session
        if at.user is None or session is None or session.user_id != at.user.id:
            return visit.interaction.achieved
        if visit.interaction.fresh_user or "login" in visit.request.prompts:
            return visit.interaction.achieved
        return (*visit.interaction.achieved, *session.achieved)

    def available(self, at: Situation, name: str) -> bool:
        factor = self.factors.get(name)
        if factor is None or not self.deliverable(factor):
            return False
        if at.user is None:
            return True  # nobody yet: later steps are decided once somebody is identified
        return bool(factor.available(self.context(at, factor)))

    def holds(self, at: Situation, name: str) -> bool:
        """Whether the person has it, of use in this visit or not."""
        factor = self.factors.get(name)
        return factor is not None and holds(factor, self.context(at, factor))

    def deliverable(self, factor: Factor) -> bool:
        kind = sends(factor)
        return not kind or self._courier.delivers(kind)

    def context(self, at: Situation, factor: Factor) -> Context:
        return self.prover.context(factor, at.user, at.held, at.now, at.visit.peer)

    def askable(self, at: Situation, names: Sequence[str]) -> tuple[str, ...]:
        """While nobody is known, only what identifies somebody can be asked, and what is shown
        beside any other comes last; of somebody who is, the one used last comes first."""
        if at.user is None:
            identifying = [name for name in names if self.factors[name].identifies]
            return tuple(sorted(identifying, key=lambda name: ambient(self.factors[name])))
        last = {a.factor: a.last_used_at for a in at.held if a.last_used_at is not None}
        used = {name: last[own] for name in names if (own := uses(self.factors[name])) in last}
        return tuple(
            sorted(names, key=lambda name: -used[name].timestamp() if name in used else 0.0)
        )

    def claimed(self, at: Situation, factor: Factor, answer: Given) -> Claimed:
        """The user an answer is about. Disabled and unknown are one case until a proof."""
        if at.user is not None or not factor.identifies:
            return Claimed(at.user)
        said = claim(factor, answer)
        if said.user_id is not None:
            found = self._users.get(said.user_id)
        else:
            found = self._users.find(said.username)
        known = None if found is None or found.disabled_at is not None else found
        return Claimed(known, said.username, said.authenticator_id)

    def opening(self, at: Situation, names: Sequence[str]) -> Interaction:
        """The interaction with its first question, so that one write stores both. A question that
        sends a message waits until it is shown."""
        opened = self._opened(at, self._shown(at, names))
        if any(challenge.send is not None for _, challenge in opened):
            return at.visit.interaction
        return replace(at.visit.interaction, pending=tuple(p for p, _ in opened))

    def ask(self, at: Situation, names: Sequence[str]) -> Asked | None:
        """None when another request was faster."""
        interaction = at.visit.interaction
        opened = self._opened(at, self._shown(at, names))
        pending = tuple(p for p, _ in opened)
        if pending == interaction.pending:
            return self._asked(at.visit, at, names, opened)
        visit = self._store(at.visit, replace(interaction, pending=pending))
        if visit is None:
            return None
        first = opened[0][1]
        if first.send is not None:
            visit = self._deliver(visit, at, first)
            if visit is None:
                return None
        return self._asked(visit, at, names, opened)

    def deliver(self, at: Situation, challenge: Challenge) -> Interaction:
        """Send what a challenge asks to be sent; the interaction that knows how that went."""
        if challenge.send is None:
            return at.visit.interaction
        return _told(at.visit.interaction, self._sent(at, challenge.send))

    def again(self, at: Situation, carried: Pending) -> Interaction:
        """A new challenge of the same factor, sent; or the old one, with why it was not."""
        interaction, factor = at.visit.interaction, self.factors[carried.factor]
        if not resendable(factor):
            return interaction
        if interaction.enrolling is not None:
            challenge = again(factor, self.context(at, factor), carried)
            after = replace(interaction, enrolling=begun(factor, challenge, at.now))
        else:
            challenge = factor.begin(self.context(at, factor))
            fresh = Pending(factor.name, challenge.public, challenge.private, at.now)
            after = replace(interaction, pending=(fresh, *interaction.pending[1:]))
        return self._instead(at, challenge, replace(after, notice=None, retry_at=None))

    def go_on(self, at: Situation, factor: str, challenge: Challenge) -> Interaction:
        """A binding with its next question, sent where it has to be; or the question before, with
        why it was not: another number may do."""
        fresh = begun(self.factors[factor], challenge, at.now)
        after = replace(at.visit.interaction, enrolling=fresh, notice=None, retry_at=None)
        return self._instead(at, challenge, after)

    def _instead(self, at: Situation, challenge: Challenge, after: Interaction) -> Interaction:
        """`after`, unless its message surely did not go out."""
        if challenge.send is None:
            return after
        went = self._sent(at, challenge.send)
        if isinstance(went, NotSent) and not went.receipt:
            return _told(at.visit.interaction, went)
        return _told(after, went)

    def _sent(self, at: Situation, message: Message) -> str | NotSent:
        try:
            return self._courier.send(message, at.user, at.visit.address)
        except NotSent as problem:
            return problem

    def wait(self, interaction: Interaction, now: datetime) -> tuple[str | None, timedelta | None]:
        """What was wrong with the last answer, and how long the next one has to wait."""
        if interaction.retry_at is None:
            return interaction.notice, None
        left = interaction.retry_at - now
        return (interaction.notice, left) if left > timedelta(0) else (None, None)

    def _shown(self, at: Situation, names: Sequence[str]) -> tuple[str, ...]:
        """The one that is asked, then those that need not be chosen."""
        chosen = at.visit.interaction.chosen
        first = next((n for n in names if n == chosen), names[0])
        if at.user is not None:
            return (first,)
        return (first, *(n for n in names if n != first and ambient(self.factors[n])))

    def stands(self, pending: Pending, now: datetime) -> bool:
        return stands(self.factors[pending.factor], pending, now)

    def _opened(self, at: Situation, names: Sequence[str]) -> list[tuple[Pending, Challenge]]:
        """The challenge of each: the one that is under way, while it stands, or a new one."""
        under_way = {p.factor: p for p in at.visit.interaction.pending if p.factor in names}
        found = []
        for name in names:
            pending = under_way.get(name)
            if pending is not None and self.stands(pending, at.now):
                found.append((pending, self._drawn(at, pending)))
                continue
            factor = self.factors[name]
            challenge = factor.begin(self.context(at, factor))
            found.append((Pending(name, challenge.public, challenge.private, at.now), challenge))
        return found

    def _drawn(self, at: Situation, pending: Pending) -> Challenge:
        """The form of a challenge that is under way: drawn anew, nothing sent again."""
        factor = self.factors[pending.factor]
        fresh = factor.begin(self.context(at, factor))
        return replace(fresh, public=pending.public, private=pending.private, send=None)

    def _store(self, visit: Visit, after: Interaction) -> Visit | None:
        saved = self.interactions.save(visit.stored, after)
        return None if saved is None else replace(visit, stored=saved)

    def _deliver(self, visit: Visit, at: Situation, challenge: Challenge) -> Visit | None:
        return self._store(visit, self.deliver(replace(at, visit=visit), challenge))

    def _asked(
        self,
        visit: Visit,
        at: Situation,
        names: Sequence[str],
        opened: Sequence[tuple[Pending, Challenge]],
    ) -> Asked:
        interaction = visit.interaction
        pending, challenge = opened[0]
        first = pending.factor
        error, retry_after = self.wait(interaction, at.now)
        return Asked(
            visit.stored,
            first,
            challenge,
            tuple(
                Choice(n, self.factors[n].label)
                for n in names
                if n != first and not covered(self.factors[n], (first,))
            ),
            at.user.username if at.user is not None else interaction.identifier,
            error,
            retry_after,
            tuple(Beside(p.factor, c) for p, c in opened[1:]),
            resendable(self.factors[first]),
        )

    def _user(self, visit: Visit) -> User | None:
        """Who this is about: proven here, or signed in before and not sent away."""
        interaction, session = visit.interaction, visit.session
        if interaction.user_id is not None:
            return self._users.get(interaction.user_id)
        if session is None or interaction.fresh_user:
            return None
        if visit.request.hint_sub not in (None, session.user_id):
            return None
        return self._users.get(session.user_id)


def _told(interaction: Interaction, went: str | NotSent) -> Interaction:
    """The interaction with the receipt of its message, and with why it went wrong."""
    receipt = went.receipt if isinstance(went, NotSent) else went
    if isinstance(went, NotSent):
        interaction = replace(interaction, notice=went.public, retry_at=went.retry_at)
    if not receipt:
        return interaction
    if interaction.enrolling is not None:
        return replace(interaction, enrolling=replace(interaction.enrolling, receipt=receipt))
    first, *rest = interaction.pending
    return replace(interaction, pending=(replace(first, receipt=receipt), *rest))


def _standing(visit: Visit, bound: Set[str]) -> Visit:
    """Without the proofs by what is not bound any more."""
    interaction = visit.interaction
    kept = tuple(p for p in interaction.achieved if p.authenticator_id in bound)
    if kept == interaction.achieved:
        return visit
    return replace(
        visit, stored=replace(visit.stored, interaction=replace(interaction, achieved=kept))
    )


def in_grace(at: Situation) -> bool:
    return at.user is not None and at.user.enroll_by is not None and at.now < at.user.enroll_by
