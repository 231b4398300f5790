"""The conformance kit: what the provider relies on in every factor, as tests for its author.

    TestPin = factor_suite(Pin, answers=({"pin": "471147"}, {"pin": "852963"}))

Everything passes through what the provider does to it: challenges are stored as JSON between the
question and the answer, forms are drawn from plain values, time and `once` come from outside.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from types import MappingProxyType
from typing import Any

from idp.factors.base import (
    Answer,
    Available,
    Challenge,
    Context,
    Factor,
    Further,
    Kind,
    Rejected,
    drawn,
    enrollable,
    kept,
    lifetime,
    sends,
    uses,
)
from idp.model import Authenticator, User
from idp.testing.answers import (
    MEGABYTE,
    Answering,
    Once,
    by_person,
    hidden,
    not_now,
    odd,
    rejection,
    short,
    stored,
    variants,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PEOPLE = 8  # who sign in at the same time
QUESTIONS = 8  # of one enrolment
TYPES = {"text", "password", "code", "tel", "hidden"}
RESERVED = {
    "csrf",
    "factor",
    "decision",
    "choose",
    "restart",
    "cancel",
    "enroll",
    "defer",
    "resend",
}


class FactorSuite:
    """One test for each thing that the provider relies on. `factor_suite` fills in the rest."""

    make: Callable[[Mapping[str, Any]], Factor]
    settings: Mapping[str, Any]
    answering: Answering
    issued: Callable[[Context], Authenticator] | None
    issuer: str
    now: datetime
    peer: bytes | None

    # What it says of itself

    def test_it_says_what_it_is(self) -> None:
        factor = self._factor()
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", factor.name), "name: a word in lower case"
        assert isinstance(factor.label, str), "label: what a person calls it"
        assert factor.label, "label: what a person calls it"
        assert isinstance(factor.amr, tuple), "amr: a tuple of names (RFC 8176)"
        assert factor.amr, "amr: at least one name (RFC 8176)"
        assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in factor.amr), "amr: names"
        assert isinstance(factor.kind, Kind), "kind: Kind.KNOWS, Kind.HAS or Kind.IS"
        assert isinstance(factor.phishing_resistant, bool), "phishing_resistant: True or False"
        assert isinstance(factor.identifies, bool), "identifies: True or False"
        assert sends(factor) in {"", "sms", "mail"}, "sends: sms, mail or nothing"
        life = lifetime(factor)
        assert life is None or life > timedelta(0), "lifetime: a time to answer in, or None"

    def test_it_refuses_settings_that_it_does_not_know(self) -> None:
        """A typing error in the configuration must not be a setting at its default."""
        try:
            type(self).make({**self.settings, "no_such_setting": 1})
        except ValueError:
            return
        raise AssertionError("settings: refuse an unknown key with ValueError")

    def test_its_forms_are_plain_fields(self) -> None:
        factor, ctx = self._factor(), self._context(0)
        held = self._bound(factor, ctx)
        forms = [factor.begin(self._with(ctx, held)).form]
        if self.issued is None:
            forms.append(factor.enroll(ctx).form)
        for form in forms:
            assert form.title, "Form.title: what the person is asked to do"
            names = [field.name for field in form.fields]
            assert len(names) == len(set(names)), "each field has a name of its own"
            assert not set(names) & RESERVED, f"the provider's own fields: {sorted(RESERVED)}"
            for field in form.fields:
                assert re.fullmatch(r"[a-z][a-z0-9_]*", field.name), "Field.name: a word"
                assert field.type in TYPES, f"Field.type: one of {sorted(TYPES)}"
                assert field.label or field.type == "hidden", "Field.label: what to type"
            assert drawn(json.loads(json.dumps(kept(form)))) == form, "a form is plain values"

    def test_whether_it_is_available_is_only_looked_at(self) -> None:
        """It is asked at every step: nothing may be used up, sent or remembered by it."""
        factor, ctx = self._factor(), self._context(0)
        held = self._bound(factor, ctx)
        for seen in (ctx, self._with(ctx, held)):
            looking = replace(seen, once=not_now)
            found = [factor.available(looking) for _ in range(3)]
            assert found == found[:1] * 3, "available: the same answer each time"
            assert isinstance(found[0], Available), "available: an Available"
            assert found[0] or found[0].reason, "available: no, with a reason"
        assert factor.available(self._with(ctx, held)), "available: yes for what was just bound"

    # Binding one and proving it

    def test_what_was_bound_is_what_is_proven(self) -> None:
        self._round_trip(self._factor(), self._context(0))

    def test_time_is_what_it_is_told(self) -> None:
        """Never the machine's clock: tests move time, and two machines disagree about it."""
        later = replace(self._context(0), now=self.now + timedelta(days=400))
        self._round_trip(self._factor(), later)

    def test_people_at_the_same_time_do_not_disturb_each_other(self) -> None:
        """One object serves every thread: nothing of a question may be kept in it."""
        factor, together = self._factor(), Barrier(PEOPLE, timeout=60)
        with ThreadPoolExecutor(PEOPLE) as pool:
            contexts = [self._context(number) for number in range(PEOPLE)]
            list(pool.map(lambda ctx: self._round_trip(factor, ctx, together.wait), contexts))

    def test_what_it_is_given_stays_as_it_was(self) -> None:
        factor, ctx = self._factor(), self._context(0)
        seen = self._with(ctx, self._bound(factor, ctx))
        before = copy.deepcopy(seen.held)
        asked = factor.begin(seen)
        factor.verify(seen, stored(asked), self._answer(seen, asked))
        assert seen.held == before, "return a changed authenticator; never change what is held"

    def test_a_used_proof_is_refused_and_nothing_else(self) -> None:
        """What `ctx.once` says was used is used: by another process, a moment ago."""
        factor, ctx = self._factor(), self._context(0)
        seen = replace(self._with(ctx, self._bound(factor, ctx)), once=lambda key, ttl: False)
        asked = factor.begin(seen)
        with suppress(Rejected):
            factor.verify(seen, stored(asked), self._answer(seen, asked))

    # Answers that are not right

    def test_a_wrong_answer_is_rejected(self) -> None:
        factor, ctx = self._factor(), self._context(0)
        seen = self._with(ctx, self._bound(factor, ctx))
        for what, wrong in self._wrong(factor, seen):
            asked = factor.begin(seen)
            refused = rejection(factor.verify, seen, stored(asked), wrong)
            assert refused is not None, f"verify accepts {what}"

    def test_an_odd_answer_raises_nothing_else(self) -> None:
        factor, ctx = self._factor(), self._context(0)
        seen = self._with(ctx, self._bound(factor, ctx))
        for answer in odd(self._answer(seen, factor.begin(seen))):
            rejection(factor.verify, seen, stored(factor.begin(seen)), answer)
        if self.issued is None:
            right = self._answer(ctx, factor.enroll(ctx))
            for answer in [*odd(right), *(wrong for _, wrong in variants(right))]:
                with suppress(Further):
                    rejection(factor.confirm, ctx, stored(factor.enroll(ctx)), answer)

    def test_nothing_is_bound_by_nothing_or_by_a_megabyte(self) -> None:
        factor, ctx = self._factor(), self._context(0)
        if self.issued is not None or not factor.enroll(ctx).form.fields:
            return
        right = self._answer(ctx, factor.enroll(ctx))
        for answer in ({}, dict.fromkeys(right, ""), dict.fromkeys(right, MEGABYTE)):
            refused = rejection(factor.confirm, ctx, stored(factor.enroll(ctx)), answer)
            assert refused is not None, f"confirm accepts {short(answer)}"

    def test_somebody_elses_answer_is_rejected(self) -> None:
        """The answer to another person's challenge, given to mine and to theirs."""
        factor, mine, theirs = self._factor(), self._context(0), self._context(1)
        my, their = self._bound(factor, mine), self._bound(factor, theirs)
        seen, other = self._with(mine, my), self._with(theirs, their)
        asked = factor.begin(other)
        answer = self._answer(other, asked)
        if not answer:
            return  # nothing is typed: what the connection shows is in the context
        for challenge in (factor.begin(seen), asked):
            refused = rejection(factor.verify, seen, stored(challenge), answer)
            assert refused is not None, "verify accepts the answer of another person"

    def test_who_has_nothing_proves_nothing(self) -> None:
        """A user that is not there is refused as one who is."""
        factor, ctx = self._factor(), self._context(0)
        seen = self._with(ctx, self._bound(factor, ctx))
        asked = factor.begin(seen)
        answer = self._answer(seen, asked)
        empty = [replace(ctx, held=())]
        if factor.identifies:
            nobody = replace(ctx, user=None, held=())
            assert factor.begin(nobody).form.title, "begin: asks who it is, too"
            empty.append(nobody)
        for unknown in empty:
            refused = rejection(factor.verify, unknown, stored(asked), answer)
            assert refused is not None, "verify accepts an answer without an authenticator"

    # What shows

    def test_no_secret_shows(self) -> None:
        """In a log, an error, an audit trail, a page: what was typed and what is kept."""
        factor, ctx = self._factor(), self._context(0)
        held = self._bound(factor, ctx)
        seen = self._with(ctx, held)
        asked = factor.begin(seen)
        right = self._answer(seen, asked)
        shown = {
            "repr of the factor": repr(factor),
            "repr of the challenge": repr(replace(asked, send=None)),
            "Challenge.public": json.dumps(dict(asked.public)),
            "repr of the authenticator": repr(held),
        }
        for what, wrong in self._wrong(factor, seen):
            refused = rejection(factor.verify, seen, stored(factor.begin(seen)), wrong)
            if refused is not None:
                told = f"{refused} {refused.detail} {refused.public}"
                shown[f"Rejected for {what}"] = told
                hidden(told, wrong.values(), f"Rejected for {what}")
        for where, text in shown.items():
            hidden(text, [*right.values(), held.secret.decode("latin-1")], where)

    # What the tests stand on

    def _factor(self) -> Factor:
        return type(self).make(MappingProxyType(dict(self.settings)))

    def _context(self, number: int) -> Context:
        """Of one of several people, who have nothing yet."""
        user = User(
            f"user-{number}",
            f"person{number}",
            self.now,
            self.now,
            email=f"person{number}@example.com",
            email_verified=True,
            phone=f"+49151230000{number:02}",
            phone_verified=True,
        )
        return Context(self.now, self.issuer, user, (), Once(), self.peer)

    def _with(self, ctx: Context, held: Authenticator) -> Context:
        """An hour later, with what was bound."""
        return replace(ctx, held=(held,), now=ctx.now + timedelta(hours=1))

    def _answer(self, ctx: Context, asked: Challenge) -> Answer:
        return dict(type(self).answering(ctx, asked))

    def _bound(self, factor: Factor, ctx: Context) -> Authenticator:
        if self.issued is not None:
            return type(self).issued(ctx)  # type: ignore[misc]
        assert enrollable(factor), "enrollable is False: give `issued`"
        asked = factor.enroll(ctx)
        for _ in range(QUESTIONS):
            try:
                return factor.confirm(ctx, stored(asked), self._answer(ctx, asked))
            except Further as more:
                asked = more.challenge
            except Rejected as refused:
                raise AssertionError(
                    f"confirm refuses the right answer: {refused.detail}"
                ) from None
        raise AssertionError(f"confirm asks more than {QUESTIONS} questions")

    def _round_trip(
        self, factor: Factor, ctx: Context, wait: Callable[[], object] = lambda: None
    ) -> None:
        """`wait` is called between a question and its answer."""
        held = self._bound(factor, ctx)
        assert ctx.user is not None
        assert held.id, "Authenticator.id: an id"
        assert held.user_id == ctx.user.id, "Authenticator.user_id: the user's"
        assert held.factor == uses(factor), "Authenticator.factor: the factor's name"
        assert held.created_at == ctx.now, "Authenticator.created_at: ctx.now"
        assert held.disabled_at is None, "Authenticator.disabled_at: of use"
        json.dumps(dict(held.data))
        seen = self._with(ctx, held)
        asked = factor.begin(seen)
        wait()
        try:
            proven = factor.verify(seen, stored(asked), self._answer(seen, asked))
        except Rejected as refused:
            raise AssertionError(f"verify refuses the right answer: {refused.detail}") from None
        same = (proven.id, proven.user_id, proven.factor, proven.created_at)
        assert same == (held.id, held.user_id, held.factor, held.created_at), "what was bound"
        json.dumps(dict(proven.data))

    def _wrong(self, factor: Factor, seen: Context) -> Iterator[tuple[str, Answer]]:
        """Answers that nobody may get in with. Of a form without fields there are none."""
        right = self._answer(seen, factor.begin(seen))
        if right:
            yield "no answer", {}
            yield from variants(right)


def factor_suite(
    factor: Callable[[Mapping[str, Any]], Factor],
    settings: Mapping[str, Any] | None = None,
    *,
    answers: Answering | tuple[Answer, Answer],
    issued: Callable[[Context], Authenticator] | None = None,
    issuer: str = "https://login.example.com",
    now: datetime = NOW,
    peer: bytes | None = None,
) -> type[FactorSuite]:
    """Tests for `factor`, to be named `Test...` in a module that pytest collects.

    `answers` is what people answer, in enrolment and later: two secrets for two people, or a
    function of context and challenge where the answer follows from those (`ctx.held` is empty while
    enrolling). `issued` makes the authenticator of a factor that nobody can enroll. `peer` is the
    certificate of the connection.
    """
    known = answers if callable(answers) else by_person(answers)
    return type(
        f"Test{getattr(factor, '__name__', 'Factor')}",
        (FactorSuite,),
        {
            "make": staticmethod(factor),
            "settings": MappingProxyType(dict(settings or {})),
            "answering": staticmethod(known),
            "issued": None if issued is None else staticmethod(issued),
            "issuer": issuer,
            "now": now,
            "peer": peer,
        },
    )
