"""What a person holds, and changing it: the one service behind the account pages, the admin API,
the commands and `management`.

Whether the one who asks may do so (a fresh proof, an operator's authority) is for the surface that
was asked. A notice to the person follows from the events.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from idp import events
from idp.errors import LastWayIn, NotConfirmed, NotFound, NotSent, Refused
from idp.factors import recovery_code
from idp.factors.base import (
    N_,
    Answer,
    Challenge,
    Context,
    Factor,
    Rejected,
    covered,
    enrollable,
    one_answer,
    resendable,
    sends,
    sole,
)
from idp.factors.binding import Bindings, again, begun, shown, stands
from idp.factors.proving import NotProven, Prover, Unfinished
from idp.model import Authenticator, Message, Pending, User
from idp.ports import Authenticators, Clock, Users

LONGEST_NAME = 64
NO_CODES = N_("Recovery codes are not in use here.")
UNKNOWN = N_("This way of signing in is not in use here.")
ONE_IS_ENOUGH = N_("You have one already; change that one instead.")
NOT_BY_PERSONS = N_("This can only be set up by an administrator.")
CANNOT_SEND = N_("Messages of this kind cannot be sent from here at the moment.")
NOT_NOW = N_("This cannot be set up right now.")
BAD_NAME = N_("Choose a name of 1 to 64 printable characters.")
STALE = N_("This was not under way any more. Start again.")
WRONG = N_("That did not match. Check what you typed and try again.")
WAIT = N_("Too many attempts. Wait a moment, then try again.")
BROKEN = N_("This does not work right now. Try again later.")
LAST_WAY_IN = N_("Without it you could not sign in any more as you have to. Add another way first.")


class Carrier(Protocol):
    """What sends messages to people (the courier of the flow): a receipt, or NotSent is raised.
    `address` is where the wish came from."""

    def delivers(self, kind: str) -> bool: ...
    def send(self, message: Message, user: User | None, address: str = "") -> str: ...
    def verified(self, receipt: str) -> None: ...


CanSignIn = Callable[[User, Sequence[Authenticator]], bool]
Strongest = Callable[[User, Sequence[Authenticator]], str | None]


@dataclass(frozen=True, slots=True)
class AuthenticatorAdmin:
    """`can_sign_in` and `strongest` are the policy's: whether somebody who holds this, and nothing
    more, can sign in as they have to; the highest acr that they reach with it."""

    prover: Prover
    bindings: Bindings
    users: Users
    authenticators: Authenticators
    carrier: Carrier
    can_sign_in: CanSignIn
    strongest: Strongest
    bus: events.Bus
    clock: Clock

    def of(self, user_id: str) -> tuple[Authenticator, ...]:
        """What works now, oldest first; each recovery code is one. Raises NotFound."""
        return self.prover.held(self.user(user_id))

    def offers(self, user_id: str) -> tuple[Factor, ...]:
        """What the person may bind now. Raises NotFound."""
        held, factors = self.of(user_id), self.prover.factors
        return tuple(
            factor
            for factor in factors.values()
            if enrollable(factor)
            and not covered(factor, factors)
            and self._refusal(factor, held) is None
        )

    def begin(
        self,
        user_id: str,
        factor: str,
        *,
        by_operator: bool = False,
        peer: bytes | None = None,
        address: str = "",
    ) -> Challenge:
        """Start binding, or start again, and send what it sends. `peer` is the certificate of the
        person's own connection, `address` its other end. Raises NotFound, Refused, NotSent; nothing
        is under way then that was not before."""
        user = self.user(user_id)
        chosen = self.prover.factors.get(factor)
        if chosen is None:
            raise Refused(UNKNOWN, "unknown_method")
        if not enrollable(chosen) and not by_operator:
            raise Refused(NOT_BY_PERSONS, "not_enrollable")
        refusal = self._refusal(chosen, self.of(user_id))
        if refusal is not None:
            raise refusal
        try:
            challenge = chosen.enroll(self._context(user, chosen, peer))
        except Rejected as rejected:
            raise Refused(rejected.public or NOT_NOW, "not_enrollable") from None
        self._ask(user, chosen, challenge, address)
        return challenge

    def under_way(self, user_id: str, factor: str) -> Challenge | None:
        """What is being asked, to be drawn again; None for what would run out while it is
        answered. Sends nothing."""
        pending = self.bindings.get(user_id, factor)
        if pending is None or not stands(self.prover.factors[factor], pending, self.clock()):
            return None
        return shown(pending)

    def resend(self, user_id: str, factor: str, *, address: str = "") -> Challenge:
        """Send again what the binding sent. Raises Refused, NotSent; the old one goes on then."""
        user, chosen, pending = self._under_way(user_id, factor)
        if pending is None or not resendable(chosen):
            raise Refused(STALE, "stale")
        challenge = again(chosen, self._context(user, chosen), pending)
        self._ask(user, chosen, challenge, address)
        return challenge

    def confirm(
        self,
        user_id: str,
        factor: str,
        answer: Answer,
        *,
        actor: str,
        name: str = "",
        peer: bytes | None = None,
        address: str = "",
    ) -> Authenticator | Challenge:
        """What was bound; or another question, sent where it has to be. Raises NotConfirmed,
        NotSent; the binding goes on then, unless its challenge takes one answer."""
        called = _named(name) if name else ""
        user, chosen, pending = self._under_way(user_id, factor)
        if pending is None:
            raise NotConfirmed("stale", STALE)
        ctx = self._context(user, chosen, peer)
        verdict = self.prover.confirm(chosen, ctx, shown(pending), answer, pending.id)
        if isinstance(verdict, NotProven):
            if verdict.kind != "wait" and one_answer(chosen):
                self.bindings.drop(user.id, factor)
            self.bus.emit(
                events.ProofRefused(
                    at=ctx.now, user_id=user.id, factor=factor, reason=verdict.detail
                )
            )
            raise _not_confirmed(verdict)
        if isinstance(verdict, Unfinished):
            self._ask(user, chosen, verdict.challenge, address)
            return verdict.challenge
        self.bindings.drop(user.id, factor)
        self.carrier.verified(pending.receipt)
        bound = verdict.authenticator
        if called:
            bound = replace(bound, name=called)
            self.authenticators.save(bound)
        self._added(bound.factor, user, bound.id, actor)
        return bound

    def rename(
        self,
        user_id: str,
        authenticator_id: str,
        name: str,
        *,
        actor: str,
        seen: Callable[[Authenticator], None] = lambda held: None,
    ) -> Authenticator:
        """`seen` is shown what is renamed, and may raise. Raises NotFound, Refused."""
        called, held = _named(name), self.one(user_id, authenticator_id)

        def how(now: Authenticator) -> Authenticator:
            seen(now)
            return replace(now, name=called)

        named = self.authenticators.change(held.id, how)
        self.bus.emit(
            events.UserChanged(
                at=self.clock(), user_id=user_id, change="authenticator renamed", actor=actor
            )
        )
        return named

    def remove(self, user_id: str, authenticator_id: str, *, actor: str) -> None:
        """Raises NotFound; LastWayIn when the person could not sign in afterwards."""
        user, gone = self.user(user_id), self.one(user_id, authenticator_id)
        self._must_be_able(user, [a for a in self.of(user_id) if a.id != gone.id])
        self.authenticators.remove(gone.id)
        try:  # two that are removed at once, each while the other one was still there
            self._must_be_able(user, self.of(user_id))
        except LastWayIn:
            self.authenticators.add(gone)
            raise
        self._removed(gone.factor, user, gone.id, actor)

    def remove_all(self, user_id: str, factors: Sequence[str], *, actor: str) -> tuple[str, ...]:
        """Everything of these factors, whatever remains: whoever calls has made sure that the
        person can sign in with it. The names of what there was."""
        user = self.user(user_id)
        gone = [a for a in self.authenticators.of(user.id) if a.factor in factors]
        for one in gone:
            self.authenticators.remove(one.id)
        found = tuple(dict.fromkeys(a.factor for a in gone if a.disabled_at is None))
        for factor in found:
            first = next(a for a in gone if a.factor == factor)
            self._removed(factor, user, first.id, actor)
        return found

    def issue_codes(self, user_id: str, *, actor: str) -> tuple[str, ...]:
        """Ten recovery codes, the only time that they are seen; the ones before die."""
        user = self._may_have_codes(user_id)
        return self._issue(user, recovery_code.issue(user.id, self._later(user)), actor)

    def codes_left(self, user_id: str) -> int:
        """Of the person's own set of recovery codes, those that still work. Raises NotFound."""
        codes = [a for a in self.of(user_id) if a.factor == recovery_code.NAME]
        live = recovery_code.live(codes, self.clock())
        return sum(not recovery_code.helped(code) for code in live)

    def issue_rescue(self, user_id: str, ttl: timedelta, *, actor: str) -> str:
        """One recovery code that expires, for a helpdesk to hand to a person who lost a factor. It
        stands for the second factor once, beside the person's own codes; never for a password."""
        user = self._may_have_codes(user_id)
        at = self._later(user)
        issued = recovery_code.issue(user.id, at, 1, expires_at=self.clock() + ttl)
        (code,) = self._issue(user, issued, actor)
        return code

    def user(self, user_id: str) -> User:
        """Raises NotFound."""
        found = self.users.get(user_id)
        if found is None:
            raise NotFound(f"no user {user_id!r}")
        return found

    def _issue(self, user: User, issued: recovery_code.Issued, actor: str) -> tuple[str, ...]:
        """The new ones first: from then on the older ones are dead, and clearing them away may as
        well fail."""
        for code in issued.authenticators:
            self.authenticators.add(code)
        for old in recovery_code.superseded(self._codes(user)):
            self.authenticators.remove(old.id)
        self._added(recovery_code.NAME, user, issued.id, actor)
        return issued.codes

    def _later(self, user: User) -> datetime:
        """Now, or just after the newest codes: a new set is the newer one by any clock."""
        codes = self._codes(user)
        newest = max((code.created_at for code in codes), default=datetime.min.replace(tzinfo=UTC))
        return max(self.clock(), newest + timedelta(microseconds=1))

    def _codes(self, user: User) -> tuple[Authenticator, ...]:
        """Used ones too."""
        held = self.authenticators.of(user.id)
        return tuple(a for a in held if a.factor == recovery_code.NAME)

    def _may_have_codes(self, user_id: str) -> User:
        user = self.user(user_id)
        if recovery_code.NAME not in self.prover.factors:
            raise Refused(NO_CODES, "unknown_method")
        return user

    def _refusal(self, factor: Factor, held: Sequence[Authenticator]) -> Refused | None:
        """Why nobody can bind it now."""
        if sole(factor) and any(a.factor == factor.name for a in held):
            return Refused(ONE_IS_ENOUGH, "already_enrolled")
        if sends(factor) and not self.carrier.delivers(sends(factor)):
            return Refused(CANNOT_SEND, "not_deliverable")
        return None

    def _context(self, user: User, factor: Factor, peer: bytes | None = None) -> Context:
        return self.prover.context(factor, user, self.prover.held(user), self.clock(), peer)

    def _under_way(self, user_id: str, factor: str) -> tuple[User, Factor, Pending | None]:
        user, chosen = self.user(user_id), self.prover.factors.get(factor)
        if chosen is None:
            raise Refused(UNKNOWN, "unknown_method")
        return user, chosen, self.bindings.get(user_id, factor)

    def _ask(self, user: User, factor: Factor, challenge: Challenge, address: str) -> None:
        """Keep what is asked from now on, once it went out or may have."""
        pending = begun(factor, challenge, self.clock())
        if challenge.send is not None:
            try:
                receipt = self.carrier.send(challenge.send, user, address)
                pending = replace(pending, receipt=receipt)
            except NotSent as problem:
                if problem.receipt:
                    self.bindings.put(user.id, replace(pending, receipt=problem.receipt))
                raise
        self.bindings.put(user.id, pending)

    def one(self, user_id: str, authenticator_id: str) -> Authenticator:
        """Raises NotFound, also for what is another's."""
        found = next((a for a in self.of(user_id) if a.id == authenticator_id), None)
        if found is None:
            raise NotFound(f"no authenticator {authenticator_id!r} of this user")
        return found

    def _must_be_able(self, user: User, held: Sequence[Authenticator]) -> None:
        if not self.can_sign_in(user, held):
            raise LastWayIn(LAST_WAY_IN)

    def _added(self, factor: str, user: User, authenticator_id: str, actor: str) -> None:
        self.bus.emit(
            events.AuthenticatorAdded(
                at=self.clock(),
                user_id=user.id,
                factor=factor,
                authenticator_id=authenticator_id,
                actor=actor,
            )
        )

    def _removed(self, factor: str, user: User, authenticator_id: str, actor: str) -> None:
        self.bus.emit(
            events.AuthenticatorRemoved(
                at=self.clock(),
                user_id=user.id,
                factor=factor,
                authenticator_id=authenticator_id,
                actor=actor,
            )
        )


def _named(name: str) -> str:
    cleaned = name.strip()
    if not 0 < len(cleaned) <= LONGEST_NAME or not cleaned.isprintable():
        raise Refused(BAD_NAME, "bad_name")
    return cleaned


def _not_confirmed(verdict: NotProven) -> NotConfirmed:
    public = {"wrong": verdict.public or WRONG, "wait": WAIT, "broken": BROKEN}[verdict.kind]
    return NotConfirmed(verdict.kind, public, verdict.retry_at, verdict.detail)
