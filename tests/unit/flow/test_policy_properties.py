"""The policy, enumerated: no acr without its methods, no dead end, no refusal without cause."""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.flow.policy import (
    SKEW,
    Ask,
    Outstanding,
    Policy,
    Reached,
    Requirement,
    Unreachable,
    outstanding,
)
from idp.model import Achieved
from tests.unit.flow.small import (
    HOUR,
    NOW,
    TICK,
    every_walk_ends,
    holds,
    oracle,
    policy_of,
    proof,
    recipes_over,
    subsets,
    wants,
)

ABC, ABCD = recipes_over("abc"), recipes_over("abcd")
AGES = (-TICK, timedelta(0), TICK, HOUR, HOUR + TICK, 2 * HOUR, 2 * HOUR + TICK)
thorough = settings(max_examples=400, deadline=None, derandomize=True, database=None)

acrs = st.dictionaries(
    st.sampled_from(("x", "y", "z")),
    st.lists(st.sampled_from(ABCD), min_size=1, max_size=3),
    min_size=1,
)
policies = st.builds(policy_of, acrs, st.sampled_from((None, 2 * HOUR)))
proofs = st.lists(
    st.builds(proof, st.sampled_from("abcd"), st.sampled_from(AGES), st.sampled_from("12345")),
    max_size=5,
)
requirement = st.builds(
    lambda names, since, source: Requirement(tuple(names), source, since),
    st.lists(st.sampled_from(("x", "y", "z", "unknown")), min_size=1, max_size=3, unique=True),
    st.sampled_from((None, NOW - HOUR, NOW)),
    st.sampled_from(("default", "client", "request")),
)
demands = st.lists(requirement, min_size=1, max_size=3)
held_factors = st.sets(st.sampled_from("abcd"))


def ask(
    policy: Policy,
    requirements: list[Requirement],
    achieved: list[Achieved],
    held: Collection[str] = (),
    now: datetime = NOW,
) -> Outstanding:
    return outstanding(policy, requirements, achieved, holds(held), now)


def test_the_enumeration_is_whole() -> None:
    assert (len(ABC), len(ABCD)) == (6 + 12, 10 + 42)


def test_every_small_acr_asks_reaches_or_refuses_rightly() -> None:
    """One acr of one or two recipes over three factors, all proofs, all holdings."""
    for recipes in (*((r,) for r in ABC), *combinations(ABC, 2)):
        policy = policy_of({"x": recipes})
        for proven in subsets("abc"):
            achieved = [proof(name) for name in proven]
            for held in subsets("abc"):
                judge(policy, [wants("x")], achieved, held)


def test_every_recipe_over_four_factors() -> None:
    for recipe in ABCD:
        policy = policy_of({"x": (recipe,)})
        for proven in subsets("abcd"):
            achieved = [proof(name) for name in proven]
            for held in subsets("abcd"):
                judge(policy, [wants("x")], achieved, held)


def judge(
    policy: Policy, demand: list[Requirement], achieved: list[Achieved], held: tuple[str, ...]
) -> None:
    case = f"{policy.acrs} {achieved} {held}"
    result = ask(policy, demand, achieved, held)
    possible = oracle(policy, demand[0], [*achieved, *(proof(name) for name in held)])
    if oracle(policy, demand[0], achieved):
        assert isinstance(result, Reached), case
    elif possible:
        assert isinstance(result, Ask), case
        assert len(set(result.factors)) == len(result.factors) > 0, case
        assert every_walk_ends(policy, demand, achieved, held), case
    else:
        assert result == Unreachable(demand[0]), case


@thorough
@given(policies, demands, proofs)
def test_reached_exactly_when_every_requirement_has_a_completed_recipe(
    policy: Policy, requirements: list[Requirement], achieved: list[Achieved]
) -> None:
    result = ask(policy, requirements, achieved, "abcd")
    fresh = [*achieved, *(proof(name) for name in "abcd")]

    def most_wanted(demand: Requirement) -> str | None:
        possible = oracle(policy, demand, fresh)
        return next((name for name in demand.acrs if name in possible), None)

    open_ones = [r for r in requirements if most_wanted(r) not in oracle(policy, r, achieved)]
    hopeless = [r for r in open_ones if most_wanted(r) is None]
    assert isinstance(result, Reached) == (not open_ones)
    if isinstance(result, Reached):
        assert set(result.proofs) <= set(achieved)
        assert any(result.acr in oracle(policy, r, result.proofs) for r in requirements)
        assert result.auth_time == min(p.at for p in result.proofs)
        if all(r.since for r in requirements):
            assert result.auth_time >= min(r.since for r in requirements if r.since)
    else:
        assert result.requirement == next(iter([*hopeless, *open_ones]))


@thorough
@given(policies, requirement, st.lists(st.sampled_from("abcd"), max_size=4), held_factors)
def test_any_offered_choice_ends_in_reached(
    policy: Policy, demand: Requirement, proven: list[str], held: set[str]
) -> None:
    achieved = [proof(name, 2 * HOUR + TICK if i % 2 else TICK) for i, name in enumerate(proven)]
    result = ask(policy, [demand], achieved, held)
    if isinstance(result, Ask):
        assert every_walk_ends(policy, [demand], achieved, held)
    elif isinstance(result, Unreachable):
        assert not oracle(policy, demand, [*achieved, *(proof(name) for name in held)])


def test_nothing_is_asked_when_a_later_requirement_cannot_be_met() -> None:
    policy = policy_of({"x": ((("a",),),), "y": ((("b",),),)})
    assert isinstance(ask(policy, [wants("x"), wants("y")], [], ("a",)), Unreachable)


@thorough
@given(policies, demands, held_factors)
def test_walks_end_when_all_requirements_can_be_met(
    policy: Policy, requirements: list[Requirement], held: set[str]
) -> None:
    everything = [proof(name) for name in held]
    if all(oracle(policy, r, everything) for r in requirements):
        assert every_walk_ends(policy, requirements, [], held)


@thorough
@given(policies, demands, proofs, proofs)
def test_more_proofs_never_take_away(
    policy: Policy, requirements: list[Requirement], some: list[Achieved], more: list[Achieved]
) -> None:
    if isinstance(ask(policy, requirements, some), Reached):
        assert isinstance(ask(policy, requirements, [*more, *some]), Reached)


@thorough
@given(policies, demands, proofs)
def test_future_dated_proofs_change_nothing(
    policy: Policy, requirements: list[Requirement], achieved: list[Achieved]
) -> None:
    past = [p for p in achieved if p.at <= NOW + SKEW]
    future = [proof(name, -SKEW - TICK) for name in "abcd"]
    assert ask(policy, requirements, [*future, *past], "ab") == ask(
        policy, requirements, past, "ab"
    )


@pytest.mark.parametrize(("age", "counts"), [(HOUR, True), (HOUR + TICK, False)])
def test_boundaries_of_age(age: timedelta, counts: bool) -> None:
    by_acr = ask(policy_of({"x": ((("a",),),)}, HOUR), [wants("x")], [proof("a", age)], ("a",))
    by_requirement = ask(
        policy_of({"x": ((("a",),),)}), [wants("x", since=NOW - HOUR)], [proof("a", age)], ("a",)
    )
    assert isinstance(by_acr, Reached) == counts
    assert isinstance(by_requirement, Reached) == counts


def test_a_proof_by_another_machines_clock_counts_within_the_skew() -> None:
    policy = policy_of({"x": ((("a",),),)})
    assert isinstance(ask(policy, [wants("x")], [proof("a", -SKEW)]), Reached)
    assert not isinstance(ask(policy, [wants("x")], [proof("a", -SKEW - TICK)]), Reached)


def test_the_most_wanted_acr_that_can_be_reached_decides() -> None:
    policy = policy_of({"x": ((("a",),),), "y": ((("a",), ("b",)),)})
    demand = wants("y", "x", source="request")
    assert ask(policy, [demand], [proof("a")], "ab") == Ask(("b",), demand)
    alone = ask(policy, [demand], [proof("a")], "a")
    assert isinstance(alone, Reached)
    assert alone.acr == "x"


def test_two_steps_need_two_authenticators() -> None:
    policy = policy_of({"x": ((("a",), ("b",)),)})
    same = [proof("a", authenticator="1"), proof("b", authenticator="1")]
    assert ask(policy, [wants("x")], same, "ab") == Ask(("b",), wants("x"))
    spare = [proof("a", HOUR, "2"), *same]  # the newest `a` would leave `b` without one
    result = ask(policy, [wants("x")], spare)
    assert isinstance(result, Reached)
    assert [p.authenticator_id for p in result.proofs] == ["2", "1"]


def test_no_requirement_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no requirement"):
        ask(policy_of({"x": ((("a",),),)}), [], [proof("a")])


def test_an_exception_of_holds_propagates() -> None:
    def broken(name: str) -> bool:
        raise RuntimeError(name)

    with pytest.raises(RuntimeError, match="a"):
        outstanding(policy_of({"x": ((("a",),),)}), [wants("x")], [], broken, NOW)


def test_an_empty_recipe_or_acr_lets_nobody_in() -> None:
    for recipes in ((), ((),), (((),),), ((("a",), ()),)):
        assert isinstance(
            ask(policy_of({"x": recipes}), [wants("x")], [proof("a")], "a"), Unreachable
        )


def test_the_fewest_steps_come_first() -> None:
    policy = policy_of({"x": ((("a",), ("b",)), (("c",),), (("d", "a"),))})
    assert ask(policy, [wants("x")], [], "abcd") == Ask(("c", "d", "a"), wants("x"))
    assert ask(policy, [wants("x")], [], "ab") == Ask(("a",), wants("x"))


def test_what_is_reported() -> None:
    policy = policy_of({"x": ((("a",),),), "y": ((("b",), ("a",)),), "z": ((("c",),),)})
    achieved = [proof("a"), proof("b", HOUR)]
    for wanted, acr in ((("y", "x"), "y"), (("x", "y"), "x"), (("z", "x"), "x")):
        request = wants(*wanted, source="request")
        result = ask(policy, [wants("y", source="client"), request, wants("x")], achieved)
        assert isinstance(result, Reached)
        assert result.acr == acr
    strongest = ask(policy, [wants("x"), wants("y", source="client")], achieved)
    assert isinstance(strongest, Reached)
    assert (strongest.acr, strongest.amr) == ("y", ("m-b", "m-a"))
    assert strongest.auth_time == NOW - HOUR
    alone = ask(policy, [wants("x")], achieved)
    assert isinstance(alone, Reached)
    assert (alone.amr, alone.auth_time) == (("m-a",), NOW)
    again = ask(policy, [wants("x")], [proof("a", HOUR), proof("a", TICK), proof("a", 2 * HOUR)])
    assert isinstance(again, Reached)
    assert again.auth_time == NOW - TICK  # the newest proof of a factor is the one that counts
    assert policy.factors == {"a", "b", "c"}
