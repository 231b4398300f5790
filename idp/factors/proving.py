"""Taking an answer, on every surface: the pages, the API, the commands.

An attempt is counted before a factor looks at it, what changed is saved after it, the time is
limited, and any exception but `Rejected` is a refusal (DESIGN section 3).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from idp.errors import Busy, Conflict, NotFound, cause
from idp.factors.base import N_, Answer, Challenge, Context, Factor, Further, Rejected, uses
from idp.model import Authenticator, User, fold
from idp.ports import Attempts, Authenticators, Ephemeral

Taken = Callable[[Context, Challenge, Answer], Authenticator]
Spent = Callable[[Authenticator], None]
TAKEN = N_("This one was added before. Use another one.")
BOUND_FOR = timedelta(hours=1)  # longer than any binding is under way


@dataclass(frozen=True, slots=True)
class Proven:
    """The answer was right; `authenticator` is what proved it, as it is stored now."""

    authenticator: Authenticator


@dataclass(frozen=True, slots=True)
class NotProven:
    """`wrong`: looked at and refused. `wait`: not looked at before `retry_at`. `broken`: the factor
    raised or took too long. `detail` is for the operator."""

    kind: Literal["wrong", "wait", "broken"]
    detail: str
    failures: int
    retry_at: datetime | None = None
    public: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Of a binding: the answer was taken, and this is asked next."""

    challenge: Challenge


Verdict = Proven | NotProven


class Prover:
    def __init__(
        self,
        factors: Mapping[str, Factor],
        authenticators: Authenticators,
        attempts: Attempts,
        ephemeral: Ephemeral,
        issuer: str,
        timeout: timedelta,
        initializer: Callable[[], None] | None = None,
        spent: Spent | None = None,
        threads: int = 64,
    ) -> None:
        """`threads`: most answers that are looked at at once; as many as there are requests, so
        that none waits unseen. `initializer` runs once in each of them. `spent` is told of a proof
        that used its authenticator up."""
        self.factors = factors
        self._authenticators = authenticators
        self._attempts = attempts
        self._once = ephemeral.once
        self._issuer = issuer
        self._timeout = timeout
        self._spent = spent
        self._pool = ThreadPoolExecutor(
            max_workers=threads, thread_name_prefix="factor", initializer=initializer
        )

    def held(self, user: User | None) -> tuple[Authenticator, ...]:
        """What the user has and may use, of every factor."""
        return tuple(a for a in self.bound(user) if a.disabled_at is None)

    def bound(self, user: User | None) -> tuple[Authenticator, ...]:
        """The same with what was used up or disabled."""
        return () if user is None else tuple(self._authenticators.of(user.id))

    def context(
        self,
        factor: Factor,
        user: User | None,
        held: Sequence[Authenticator],
        now: datetime,
        peer: bytes | None = None,
    ) -> Context:
        """What `factor` may know: of `held`, what it works with."""
        own = uses(factor)
        mine = tuple(a for a in held if a.factor == own)
        return Context(now, self._issuer, user, mine, self._once, peer)

    def verify(
        self,
        factor: Factor,
        ctx: Context,
        asked: Challenge,
        answer: Answer,
        typed: str = "",
        *,
        against: str = "",
    ) -> Verdict:
        """`typed` is the name that was given where nobody has it: failures count against it, or
        against what is said to be meant (`against`), whoever has it.

        Raises Busy when nobody could look at it; nothing is counted then.
        """
        subject = against or subject_of(ctx.user, typed)
        verdict = self._take(factor.name, factor.verify, ctx, asked, answer, subject)
        if isinstance(verdict, NotProven):
            return verdict
        proven = verdict.authenticator
        if ctx.user is None or proven.user_id != ctx.user.id:
            return NotProven("broken", "proof of another user", 0)
        used = replace(proven, last_used_at=ctx.now)
        try:
            self._authenticators.save(used)
        except NotFound:
            return NotProven("broken", "the authenticator was removed meanwhile", 0)
        self._attempts.reset(subject, factor.name)
        if used.disabled_at is not None and self._spent is not None:
            self._spent(used)
        return Proven(used)

    def confirm(
        self, factor: Factor, ctx: Context, asked: Challenge, answer: Answer, binding: str = ""
    ) -> Verdict | Unfinished:
        """Bind a new authenticator. Counted apart from sign-ins. A `binding` is completed once, by
        however many requests at the same time. Raises Busy."""
        name = f"enroll {factor.name}"[:64]
        subject = subject_of(ctx.user, "")
        try:
            verdict = self._take(name, factor.confirm, ctx, asked, answer, subject)
        except Further as more:
            self._attempts.forgive(subject, name)
            return Unfinished(more.challenge)
        if isinstance(verdict, NotProven):
            return verdict
        bound = verdict.authenticator
        if ctx.user is None or bound.user_id != ctx.user.id:
            return NotProven("broken", "bound to another user", 0)
        if binding and not self._once(f"bound:{binding}", BOUND_FOR):
            return NotProven("wrong", "the binding was completed by another request", 0)
        try:
            self._authenticators.add(bound)
        except Conflict:  # WebAuthn section 7.1: one credential is never registered twice
            return NotProven("wrong", "the authenticator is bound already", 0, public=TAKEN)
        self._attempts.reset(subject, name)
        return verdict

    def _take(
        self,
        counted: str,
        take: Taken,
        ctx: Context,
        asked: Challenge,
        answer: Answer,
        subject: str,
    ) -> Verdict:
        attempt = self._attempts.count(subject, counted, ctx.now)
        if not attempt.allowed:
            return NotProven("wait", "too many failures", attempt.failures, attempt.retry_at)
        try:
            return Proven(self._timed(take, ctx, asked, answer))
        except Busy:
            self._attempts.forgive(subject, counted)
            raise
        except Further:
            raise
        except Rejected as refusal:
            self._mark(ctx, refusal.marked)
            wait = attempt.retry_at if attempt.retry_at > ctx.now else None
            return NotProven("wrong", refusal.detail, attempt.failures, wait, refusal.public)
        except Exception as problem:  # noqa: BLE001 - whatever a plugin raises is a refusal
            return NotProven("broken", cause(problem), attempt.failures)

    def _mark(self, ctx: Context, marked: Authenticator | None) -> None:
        if marked is not None and ctx.user is not None and marked.user_id == ctx.user.id:
            with suppress(NotFound):
                self._authenticators.save(marked)

    def _timed(self, take: Taken, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        future = self._pool.submit(take, ctx, asked, answer)
        try:
            return future.result(timeout=self._timeout.total_seconds())
        except FutureTimeout:
            future.cancel()
            raise TimeoutError(f"took longer than {self._timeout}") from None


def subject_of(user: User | None, typed: str) -> str:
    """Whom failures are counted against; names that nobody has are counted alike."""
    if user is not None:
        return user.id
    return "?" + hashlib.sha256(fold(typed).encode("utf-8", "replace")).hexdigest()[:32]
