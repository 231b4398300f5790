"""Taking an answer: counted first, limited in time, fail closed, saved afterwards."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from idp.errors import Busy, NotFound
from idp.factors.base import (
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Further,
    Kind,
    Rejected,
)
from idp.factors.proving import TAKEN, NotProven, Proven, Prover, Unfinished, subject_of
from idp.model import Authenticator, User
from tests.house import START, House

CHALLENGE = Challenge(Form("Number", (Field("code", "Code"),)))
Behaviour = Callable[[Context], Authenticator]


@dataclass
class Scripted:
    """A factor that does what the test says."""

    behave: Behaviour
    name: str = "scripted"
    label: str = "Scripted"
    amr: tuple[str, ...] = ("x",)
    kind: Kind = Kind.HAS
    phishing_resistant: bool = False
    identifies: bool = False
    seen: list[int] = field(default_factory=list)

    def available(self, ctx: Context) -> Available:
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        return CHALLENGE

    def enroll(self, ctx: Context) -> Challenge:
        return CHALLENGE

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        self.seen.append(1)
        return self.behave(ctx)

    confirm = verify


def reject(_: Context) -> Authenticator:
    raise Rejected("no match", "Look again.")


def explode(_: Context) -> Authenticator:
    raise ZeroDivisionError("the seed is 123")


def busy(_: Context) -> Authenticator:
    raise Busy(timedelta(seconds=1))


def further(_: Context) -> Authenticator:
    raise Further(CHALLENGE)


def held(ctx: Context) -> Authenticator:
    return ctx.held[0]


@pytest.fixture
def user(house: House) -> User:
    return house.user_admin.get("ben")


@pytest.fixture
def bound(house: House, user: User) -> Authenticator:
    found = Authenticator("a1", user.id, "scripted", START)
    house.app.stores.authenticators.add(found)
    return found


@pytest.fixture
def prove(house: House, user: User) -> Callable[..., object]:
    def run(factor: Scripted, *, who: User | None = user, typed: str = "", bind: bool = False):  # type: ignore[no-untyped-def]
        stores = house.app.stores
        prover = Prover(
            {"scripted": factor},
            stores.authenticators,
            stores.attempts,
            stores.ephemeral,
            house.issuer,
            timedelta(seconds=2),
        )
        ctx = prover.context(factor, who, prover.held(who), house.clock())
        if bind:
            return prover.confirm(factor, ctx, CHALLENGE, {})
        return prover.verify(factor, ctx, CHALLENGE, {}, typed)

    return run


Prove = Callable[..., object]


def failures(house: House, subject: str, name: str = "scripted") -> int:
    """How many were counted: one more is counted by looking."""
    return house.app.stores.attempts.count(subject, name, house.clock()).failures - 1


def test_a_right_answer_is_saved_with_its_time_and_clears_the_count(
    house: House, prove: Prove, user: User, bound: Authenticator
) -> None:
    prove(Scripted(reject))
    verdict = prove(Scripted(lambda ctx: replace(ctx.held[0], data={"n": 1})))
    assert verdict == Proven(replace(bound, data={"n": 1}, last_used_at=house.clock()))
    held = {a.id: a for a in house.app.stores.authenticators.of(user.id)}
    assert held[bound.id].data == {"n": 1}
    assert failures(house, user.id) == 0


def test_a_wrong_answer_is_counted_and_says_what_a_person_may_read(
    house: House, prove: Prove, user: User
) -> None:
    verdict = prove(Scripted(reject))
    assert isinstance(verdict, NotProven)
    assert (verdict.kind, verdict.detail, verdict.public) == ("wrong", "no match", "Look again.")
    assert failures(house, user.id) == 1


def test_any_other_exception_is_a_refusal_that_does_not_repeat_its_text(prove: Prove) -> None:
    verdict = prove(Scripted(explode))
    assert isinstance(verdict, NotProven)
    assert verdict.kind == "broken"
    assert "123" not in verdict.public


def test_too_many_failures_are_not_even_looked_at(
    house: House, prove: Prove, bound: Authenticator
) -> None:
    factor = Scripted(reject)
    verdict = prove(factor)
    while isinstance(verdict, NotProven) and verdict.kind == "wrong":
        verdict = prove(factor)
    assert isinstance(verdict, NotProven)
    assert verdict.kind == "wait"
    assert verdict.retry_at is not None
    assert verdict.retry_at > house.clock()
    looked = len(factor.seen)
    refused = prove(Scripted(held, seen=factor.seen))  # the right answer, too early
    assert isinstance(refused, NotProven)
    assert len(factor.seen) == looked


def test_nobody_looked_so_nothing_is_counted(house: House, prove: Prove, user: User) -> None:
    with pytest.raises(Busy):
        prove(Scripted(busy))
    assert failures(house, user.id) == 0


def test_a_factor_that_takes_too_long_is_broken(house: House, user: User) -> None:
    gate = threading.Event()

    def hang(ctx: Context) -> Authenticator:
        gate.wait(10)
        return ctx.held[0]

    stores = house.app.stores
    factor = Scripted(hang)
    prover = Prover(
        {"scripted": factor},
        stores.authenticators,
        stores.attempts,
        stores.ephemeral,
        house.issuer,
        timedelta(milliseconds=1),
    )
    ctx = prover.context(factor, user, (), house.clock())
    verdict = prover.verify(factor, ctx, CHALLENGE, {})
    gate.set()
    assert isinstance(verdict, NotProven)
    assert verdict.kind == "broken"


def test_the_proof_of_another_user_is_refused(
    house: House, prove: Prove, bound: Authenticator
) -> None:
    other = house.user_admin.get("amy")
    verdict = prove(Scripted(lambda ctx: replace(ctx.held[0], user_id=other.id)))
    assert isinstance(verdict, NotProven)
    assert verdict.kind == "broken"


def test_an_authenticator_removed_meanwhile_proves_nothing(
    house: House, prove: Prove, bound: Authenticator
) -> None:
    def removed(ctx: Context) -> Authenticator:
        house.app.stores.authenticators.remove(bound.id)
        return ctx.held[0]

    verdict = prove(Scripted(removed))
    assert isinstance(verdict, NotProven)
    assert verdict.detail == "the authenticator was removed meanwhile"


def test_a_disabled_authenticator_is_not_held(
    house: House, prove: Prove, bound: Authenticator
) -> None:
    house.app.stores.authenticators.save(replace(bound, disabled_at=START))
    verdict = prove(Scripted(held))
    assert isinstance(verdict, NotProven)
    assert verdict.kind == "broken"


def test_names_that_nobody_has_are_counted_in_one_spelling(house: House, prove: Prove) -> None:
    for name in ("Nobody", "nobody ", "\uff2e\uff2f\uff22\uff2f\uff24\uff39"):
        prove(Scripted(reject), who=None, typed=name)
    assert failures(house, subject_of(None, "nobody")) == 3


def test_binding_stores_what_was_confirmed_and_counts_apart(
    house: House, prove: Prove, user: User
) -> None:
    prove(Scripted(reject), bind=True)
    assert failures(house, user.id, "enroll scripted") == 1
    fresh = Authenticator("a2", user.id, "scripted", START)
    assert prove(Scripted(lambda _: fresh), bind=True) == Proven(fresh)
    assert fresh in house.app.stores.authenticators.of(user.id)
    assert failures(house, user.id) == 0


def test_a_second_question_is_no_failure(house: House, prove: Prove, user: User) -> None:
    assert prove(Scripted(further), bind=True) == Unfinished(CHALLENGE)
    assert failures(house, user.id, "enroll scripted") == 0


def test_nothing_is_bound_to_another_user(house: House, prove: Prove) -> None:
    other = house.user_admin.get("amy")
    foreign = Authenticator("a3", other.id, "scripted", START)
    verdict = prove(Scripted(lambda _: foreign), bind=True)
    assert isinstance(verdict, NotProven)
    assert foreign not in house.app.stores.authenticators.of(other.id)


def test_saving_what_was_removed_is_an_error_of_the_store(house: House) -> None:
    """The prover relies on it."""
    with pytest.raises(NotFound):
        house.app.stores.authenticators.save(Authenticator("gone", "u", "scripted", START))


def test_a_refusal_may_leave_a_mark(house: House, prove: Prove, bound: Authenticator) -> None:
    def mark(ctx: Context) -> Authenticator:
        raise Rejected("copied", marked=replace(ctx.held[0], data={"copied_at": "now"}))

    verdict = prove(Scripted(mark))
    assert isinstance(verdict, NotProven)
    (stored,) = [a for a in house.app.stores.authenticators.of(bound.user_id) if a.id == bound.id]
    assert (stored.data, stored.last_used_at) == ({"copied_at": "now"}, None)


def test_nobody_marks_what_is_anothers(house: House, prove: Prove, bound: Authenticator) -> None:
    other = house.user_admin.get("cyd")

    def mark(ctx: Context) -> Authenticator:
        raise Rejected("copied", marked=replace(bound, data={"copied_at": "now"}))

    prove(Scripted(mark), who=other)
    (stored,) = [a for a in house.app.stores.authenticators.of(bound.user_id) if a.id == bound.id]
    assert stored.data == {}


def test_what_is_bound_already_is_not_bound_again(
    house: House, prove: Prove, bound: Authenticator
) -> None:
    other = house.user_admin.get("cyd")
    again = replace(bound, user_id=other.id)
    verdict = prove(Scripted(lambda _: again), who=other, bind=True)
    assert isinstance(verdict, NotProven)
    assert (verdict.kind, verdict.public) == ("wrong", TAKEN)
    assert bound.id not in {a.id for a in house.app.stores.authenticators.of(other.id)}
