"""What a person is led to bind, and what must be proven first, over whole small worlds."""

from collections.abc import Collection
from itertools import combinations

import pytest

from idp.flow.policy import (
    Policy,
    Unreachable,
    outstanding,
    reachable,
    serving,
    strongest,
    to_enroll,
)
from idp.model import Achieved
from tests.unit.flow.small import (
    HOUR,
    NOW,
    TICK,
    holds,
    oracle,
    policy_of,
    proof,
    recipes_over,
    subsets,
    wants,
)

ABC = recipes_over("abc")


def offered(
    policy: Policy, achieved: Collection[Achieved], held: Collection[str], may: Collection[str]
) -> tuple[str, ...]:
    return to_enroll(policy, wants("x"), achieved, holds(held), holds(may), NOW)


def unreachable(policy: Policy, achieved: Collection[Achieved], held: Collection[str]) -> bool:
    found = outstanding(policy, [wants("x")], achieved, holds(held), NOW)
    return isinstance(found, Unreachable)


def leads_there(
    policy: Policy,
    achieved: tuple[Achieved, ...],
    held: tuple[str, ...],
    may: tuple[str, ...],
    bound: int = 3,
) -> bool:
    """Whatever is bound of what is offered, it ends where the requirement can be met."""
    if not unreachable(policy, achieved, held):
        return True
    names = offered(policy, achieved, held, may)
    return bool(names) and all(
        bound > 0 and leads_there(policy, (*achieved, proof(n)), (*held, n), may, bound - 1)
        for n in names
    )


def test_something_is_offered_exactly_when_binding_can_lead_there() -> None:
    for recipes in (*((r,) for r in ABC), *combinations(ABC[:10], 2)):
        policy = policy_of({"x": recipes})
        for held in subsets("abc"):
            for may in subsets("abc"):
                if not unreachable(policy, (), held):
                    continue
                everything = [proof(name) for name in {*held, *may}]
                possible = bool(oracle(policy, wants("x"), everything))
                assert bool(offered(policy, (), held, may)) == possible, (policy.acrs, held, may)
                if possible:
                    assert leads_there(policy, (), held, may), (policy.acrs, held, may)


def test_only_what_may_be_enrolled_and_is_not_held_is_offered() -> None:
    for recipe in ABC:
        policy = policy_of({"x": (recipe,)})
        for held in subsets("abc"):
            for may in subsets("abc"):
                if unreachable(policy, (), held):
                    assert not set(offered(policy, (), held, may)) - (set(may) - set(held))


def test_the_way_that_takes_fewest_comes_first() -> None:
    policy = policy_of({"x": ((("b",), ("c",)), (("a",),))})
    assert offered(policy, (), (), "abc")[0] == "a"


def test_a_stale_proof_of_something_lost_counts_for_nothing() -> None:
    policy = policy_of({"x": ((("a",), ("b",)),)}, max_age=HOUR)
    old = proof("a", HOUR + TICK)
    assert offered(policy, (old,), (), "b") == ()
    assert offered(policy, (proof("a"),), (), "b") == ("b",)


@pytest.mark.parametrize("held", list(subsets("abc")))
def test_the_strongest_level_is_the_last_that_what_is_held_completes(held: tuple[str, ...]) -> None:
    everything = [proof(name) for name in held]
    for first, second in combinations(ABC, 2):
        policy = policy_of({"x": (first,), "y": (second,)})
        possible = [n for n in ("x", "y") if oracle(policy, wants(n), everything)]
        assert strongest(policy, holds(held)) == (possible[-1] if possible else None)


@pytest.mark.parametrize("held", list(subsets("abc")))
def test_what_serves_a_level_is_held_and_asked_by_a_recipe_that_is_completed(
    held: tuple[str, ...],
) -> None:
    for first, second in combinations(ABC, 2):
        policy = policy_of({"x": (first, second)})
        everything = [proof(name) for name in held]
        assert reachable(policy, "x", holds(held)) == bool(oracle(policy, wants("x"), everything))
        found = serving(policy, "x", holds(held))
        possible = [
            recipe
            for recipe in (first, second)
            if oracle(policy_of({"x": (recipe,)}), wants("x"), everything)
        ]
        assert found == {f for recipe in possible for step in recipe for f in step} & set(held)
    assert not reachable(policy, "unknown", holds(held))
