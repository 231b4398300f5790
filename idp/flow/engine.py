"""The engine: moves an interaction one step, and answers with a value.

It counts attempts before a factor verifies, saves the authenticator that changed, sends
messages, emits the events, limits the time, and reads any exception but `Rejected` as a
refusal. It knows no HTTP: pages, JSON and tests share one path.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from idp import events
from idp.errors import Busy, PageError, cause
from idp.factors.base import N_, Answer, Challenge, Context, Factor, Form, Rejected
from idp.flow.interactions import Interactions, support_code
from idp.flow.policy import (
    Ask,
    Outstanding,
    Policy,
    Reached,
    Unreachable,
    outstanding,
)
from idp.flow.requirements import requirements
from idp.flow.steps import Asked, Choice, Done, Refused, Step, Visit
from idp.flow.threads import spread
from idp.model import (
    Achieved,
    Authenticator,
    Interaction,
    Pending,
    User,
    fold,
)
from idp.ports import Attempts, Authenticators, Clock, Ephemeral, Messenger, Users

QUIET: dict[str, Any] = {"notice": None, "retry_at": None}
WRONG = N_("That did not match. Check what you typed and try again.")
WAIT = N_("Too many attempts. Wait a moment, then try again.")
BROKEN = N_("This way of signing in does not work right now. Try another way, or try again later.")
STALE = N_("This page was out of date. Please answer again.")


class Engine:
    def __init__(
        self,
        policy: Policy,
        factors: Mapping[str, Factor],
        interactions: Interactions,
        users: Users,
        authenticators: Authenticators,
        attempts: Attempts,
        ephemeral: Ephemeral,
        messenger: Messenger,
        bus: events.Bus,
        clock: Clock,
        issuer: str,
        factor_timeout: timedelta,
    ) -> None:
        self._policy = policy
        self._factors = factors
        self._interactions = interactions
        self._users = users
        self._authenticators = authenticators
        self._attempts = attempts
        self._once = ephemeral.once
        self._messenger = messenger
        self._bus = bus
        self._clock = clock
        self._issuer = issuer
        self._timeout = factor_timeout
        self._pool = ThreadPoolExecutor(
            max_workers=64, thread_name_prefix="factor", initializer=spread
        )

    def step(self, visit: Visit) -> Step:
        """Where the interaction stands now: what to ask, or the end."""
        user = self._user(visit)
        if user is not None and user.disabled_at is not None:
            return Refused(visit.stored, "access_denied", "the account is disabled", user)
        now = self._clock()
        held = self._held(user)
        result = self._outstanding(visit, user, held, now)
        if isinstance(result, Ask):
            names = self._askable(result, user)
            if names:
                return self._ask(visit, user, held, names, now)
            return Refused(visit.stored, "server_error", "the first step identifies nobody", user)
        if isinstance(result, Unreachable) or user is None:
            why = result.requirement if isinstance(result, Unreachable) else "nobody identified"
            return Refused(visit.stored, "unmet_authentication_requirements", str(why), user)
        if visit.request.hint_sub not in (None, user.id):
            return Refused(visit.stored, "login_required", "another user than id_token_hint", user)
        return Done(visit.stored, user, self._named(result))

    def opening(self, visit: Visit) -> Interaction:
        """The new interaction with its first question, so that one write stores both. A question
        that sends a message waits until it is shown."""
        user, now = self._user(visit), self._clock()
        held = self._held(user)
        result = self._outstanding(visit, user, held, now)
        names = self._askable(result, user) if isinstance(result, Ask) else ()
        if not names:
            return visit.interaction
        ctx = self._context(visit, user, _only(held, names[0]), now)
        challenge = self._factors[names[0]].begin(ctx)
        if challenge.send is not None:
            return visit.interaction
        pending = Pending(names[0], challenge.public, challenge.private, now)
        return replace(visit.interaction, pending=pending)

    def _askable(self, ask: Ask, user: User | None) -> tuple[str, ...]:
        """While nobody is known, only what identifies somebody can be asked."""
        return tuple(
            name for name in ask.factors if user is not None or self._factors[name].identifies
        )

    def reached(self, visit: Visit) -> Done | None:
        """Whether everything already holds, without asking anything of anybody."""
        user = self._user(visit)
        if user is None or user.disabled_at is not None:
            return None
        if visit.request.hint_sub not in (None, user.id):
            return None
        now = self._clock()
        result = self._outstanding(visit, user, self._held(user), now)
        if not isinstance(result, Reached):
            return None
        return Done(visit.stored, user, self._named(result))

    def _named(self, result: Reached) -> Reached:
        """RFC 8176: `mfa` when factors of different kinds were proven; two secrets are one kind."""
        kinds = {self._factors[proof.factor].kind for proof in result.proofs}
        if len(kinds) < 2 or "mfa" in result.amr:
            return result
        return replace(result, amr=(*result.amr, "mfa"))

    def _outstanding(
        self, visit: Visit, user: User | None, held: Sequence[Authenticator], now: datetime
    ) -> Outstanding:
        return outstanding(
            self._policy,
            requirements(
                self._policy, visit.request, visit.client, user, visit.interaction.created_at
            ),
            self._proofs(visit, user),
            lambda name: self._available(name, visit, user, held, now),
            now,
        )

    def answer(self, visit: Visit, factor_name: str, answer: Answer) -> Step:
        """Take the answer to the pending challenge, and say where the interaction stands then."""
        now = self._clock()
        pending = visit.interaction.pending
        if pending is None or pending.factor != factor_name or factor_name not in self._factors:
            return self._moved(visit, replace(visit.interaction, notice=STALE))
        factor = self._factors[factor_name]
        user, typed = self._claimed(visit, factor, answer)
        attempt = self._attempts.count(_subject(user, typed), factor_name, now)
        if not attempt.allowed:
            self._emit(
                events.AttemptRefused, visit, user, factor=factor_name, failures=attempt.failures
            )
            return self._retry(visit, typed, WAIT, attempt.retry_at)
        ctx = self._context(visit, user, _only(self._held(user), factor_name), now)
        asked = Challenge(Form("", ()), pending.public, pending.private)
        try:
            proven = self._verify(factor, ctx, asked, answer)
        except Rejected as refusal:
            self._emit(
                events.FactorRejected, visit, user, factor=factor_name, reason=refusal.detail
            )
            return self._retry(visit, typed, WRONG)
        except Busy:
            self._attempts.forgive(_subject(user, typed), factor_name)
            raise
        except Exception as problem:  # noqa: BLE001 - any exception of a plugin is a refusal
            self._emit(events.FactorFailed, visit, user, factor=factor_name, cause=cause(problem))
            return self._retry(visit, typed, BROKEN)
        return self._accept(visit, user, factor, proven, now)

    def choose(self, visit: Visit, factor_name: str) -> Step:
        """Another way: prefer this factor, if the policy allows it here."""
        chosen = replace(visit.interaction, chosen=factor_name, pending=None, **QUIET)
        return self._moved(visit, chosen)

    def restart(self, visit: Visit) -> Step:
        """Not you? Forget who was signing in and everything proven in this interaction."""
        cleared = replace(
            visit.interaction,
            user_id=None,
            identifier=None,
            achieved=(),
            pending=None,
            chosen=None,
            fresh_user=True,
            **QUIET,
        )
        return self._moved(visit, cleared)

    def _accept(
        self,
        visit: Visit,
        user: User | None,
        factor: Factor,
        proven: Authenticator,
        now: datetime,
    ) -> Step:
        if user is None or proven.user_id != user.id:
            self._emit(
                events.FactorFailed, visit, user, factor=factor.name, cause="proof of another user"
            )
            return self._retry(visit, None, BROKEN)
        self._authenticators.save(replace(proven, last_used_at=now))
        self._attempts.reset(_subject(user, None), factor.name)
        self._emit(events.FactorVerified, visit, user, factor=factor.name)
        proof = Achieved(factor.name, tuple(factor.amr), now, proven.id)
        return self._moved(
            visit,
            replace(
                visit.interaction,
                user_id=user.id,
                identifier=user.username,
                achieved=(*visit.interaction.achieved, proof),
                # A clock that went back must not make a proof older than the question.
                created_at=min(visit.interaction.created_at, now),
                pending=None,
                chosen=None,
                **QUIET,
            ),
        )

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
        self, visit: Visit, typed: str | None, notice: str, retry_at: datetime | None = None
    ) -> Step:
        """The same question again. The notice stays with the interaction, so that the page that
        shows it can be reloaded and gone back to."""
        interaction = visit.interaction
        after = replace(interaction, notice=notice, retry_at=retry_at)
        if interaction.user_id is None and typed is not None:
            after = replace(after, identifier=typed[:256])
        return self._moved(visit, after)

    def _ask(
        self,
        visit: Visit,
        user: User | None,
        held: Sequence[Authenticator],
        names: Sequence[str],
        now: datetime,
    ) -> Step:
        interaction = visit.interaction
        name = next((n for n in names if n == interaction.chosen), names[0])
        pending = interaction.pending
        if pending is not None and pending.factor == name:
            challenge = self._begun(visit, user, held, pending, now)
            stored = visit.stored
        else:
            factor = self._factors[name]
            challenge = factor.begin(self._context(visit, user, _only(held, name), now))
            pending = Pending(name, challenge.public, challenge.private, now)
            saved = self._interactions.save(visit.stored, replace(interaction, pending=pending))
            if saved is None:
                return self._reload(visit)
            stored = saved
            if challenge.send is not None:
                self._messenger.send(challenge.send)
        others = tuple(Choice(n, self._factors[n].label) for n in names if n != name)
        username = user.username if user is not None else interaction.identifier
        wait = None if interaction.retry_at is None else interaction.retry_at - now
        if wait is not None and wait <= timedelta(0):
            return Asked(stored, name, challenge, others, username)
        return Asked(stored, name, challenge, others, username, interaction.notice, wait)

    def _begun(
        self,
        visit: Visit,
        user: User | None,
        held: Sequence[Authenticator],
        pending: Pending,
        now: datetime,
    ) -> Challenge:
        """The form of a challenge that is under way: drawn anew, nothing sent again."""
        fresh = self._factors[pending.factor].begin(
            self._context(visit, user, _only(held, pending.factor), now)
        )
        return replace(fresh, public=pending.public, private=pending.private, send=None)

    def _verify(
        self, factor: Factor, ctx: Context, asked: Challenge, answer: Answer
    ) -> Authenticator:
        future = self._pool.submit(factor.verify, ctx, asked, answer)
        try:
            return future.result(timeout=self._timeout.total_seconds())
        except FutureTimeout:
            future.cancel()
            raise TimeoutError(f"{factor.name} took longer than {self._timeout}") from None

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

    def _claimed(
        self, visit: Visit, factor: Factor, answer: Answer
    ) -> tuple[User | None, str | None]:
        """The user an answer is about. Disabled and unknown are one case until a proof."""
        user = self._user(visit)
        if user is not None:
            return user, None
        if not factor.identifies:
            return None, ""
        typed = answer.get("username", "")
        found = self._users.find(typed)
        return (None if found is None or found.disabled_at is not None else found), typed

    def _proofs(self, visit: Visit, user: User | None) -> tuple[Achieved, ...]:
        """What was proven here, and in the live session if it is the same person's."""
        session = visit.session
        if user is None or session is None or session.user_id != user.id:
            return visit.interaction.achieved
        if visit.interaction.fresh_user or "login" in visit.request.prompts:
            return visit.interaction.achieved
        return (*visit.interaction.achieved, *session.achieved)

    def _available(
        self,
        name: str,
        visit: Visit,
        user: User | None,
        held: Sequence[Authenticator],
        now: datetime,
    ) -> bool:
        factor = self._factors.get(name)
        if factor is None:
            return False
        if user is None:
            return True  # nobody yet: later steps are decided once somebody is identified
        return bool(factor.available(self._context(visit, user, _only(held, name), now)))

    def _context(
        self, visit: Visit, user: User | None, held: Sequence[Authenticator], now: datetime
    ) -> Context:
        return Context(now, self._issuer, user, held, self._once, visit.peer)

    def _held(self, user: User | None) -> Sequence[Authenticator]:
        if user is None:
            return ()
        return tuple(a for a in self._authenticators.of(user.id) if a.disabled_at is None)

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


def _subject(user: User | None, typed: str | None) -> str:
    """Whom failures are counted against; names that nobody has are counted alike."""
    if user is not None:
        return user.id
    return "?" + hashlib.sha256(fold(typed or "").encode("utf-8", "replace")).hexdigest()[:32]


def _only(held: Sequence[Authenticator], factor: str) -> tuple[Authenticator, ...]:
    return tuple(a for a in held if a.factor == factor)
