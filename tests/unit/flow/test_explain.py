"""`idp flow explain`: the same words as the decision, and the way to its end."""

from dataclasses import replace

import pytest

from idp.flow.explain import State, explain
from idp.flow.policy import Ask, Reached, Unreachable, outstanding
from tests.unit.flow.small import (
    HOUR,
    NOW,
    TICK,
    holds,
    policy_of,
    proof,
    recipes_over,
    subsets,
    wants,
)

POLICY = policy_of(
    {
        "aal1": ((("password",),), (("passkey",),)),
        "aal2": ((("password",), ("totp", "sms")), (("passkey",),)),
    },
    max_age=HOUR,
)
HELD = ("password", "totp")


def test_from_nothing_to_the_second_factor() -> None:
    told = explain(POLICY, [wants("aal2", source="client"), wants("aal1")], [], HELD, NOW)
    assert told.asked == ("password", "totp")
    assert isinstance(told.end, Reached)
    assert told.end.acr == "aal2"
    assert told.dead_end == ""
    first, second = told.requirements
    assert (first.source, first.holds) == ("the client's own record (require_acr)", False)
    assert second.source == "flow.default_acr"
    recipe, passkey = first.acrs[0].recipes
    assert [(s.state, s.by) for s in recipe.steps] == [
        (State.ASKED, ("password",)),
        (State.ASKED, ("totp",)),
    ]
    assert (recipe.possible, recipe.complete) == (True, False)
    assert passkey.steps[0].state is State.MISSING
    assert passkey.steps[0].reason == "the user has no passkey"
    assert (passkey.possible, passkey.complete) == (False, False)


def test_what_is_bound_on_the_way() -> None:
    told = explain(POLICY, [wants("aal2")], [], ("password",), NOW, ("totp",))
    assert (told.asked, told.enrolled) == (("password", "totp"), ("totp",))
    assert isinstance(told.end, Reached)
    assert "would ask: password, then enroll totp" in str(told)


def test_the_strongest_level_held_is_proven_before_anything_is_bound() -> None:
    policy = policy_of(
        {
            "x": ((("a",),),),
            "y": ((("a",), ("b",)),),
            "z": ((("a",), ("c",)),),
        }
    )
    told = explain(policy, [wants("z")], [], ("a", "b"), NOW, ("c",))
    assert (told.asked, told.enrolled) == (("a", "b", "c"), ("c",))


def test_who_holds_nothing_is_led_nowhere() -> None:
    told = explain(POLICY, [wants("aal2")], [], (), NOW, ("totp", "password"))
    assert isinstance(told.end, Unreachable)
    assert told.enrolled == ()


def test_a_session_that_steps_up() -> None:
    told = explain(POLICY, [wants("aal2")], [proof("password", HOUR)], HELD, NOW)
    assert told.asked == ("totp",)
    states = [s.state for s in told.requirements[0].acrs[0].recipes[0].steps]
    assert states == [State.PROVEN, State.ASKED]
    assert told.requirements[0].acrs[0].recipes[0].steps[0].by == ("password",)


def test_everything_proven() -> None:
    told = explain(POLICY, [wants("aal2")], [proof("password"), proof("totp")], HELD, NOW)
    assert told.asked == ()
    assert told.requirements[0].holds
    assert told.requirements[0].acrs[0].recipes[0].complete
    assert "result: acr aal2 by password, totp" in str(told)
    assert "would ask: nothing" in str(told)


def test_a_proof_that_is_too_old_says_so() -> None:
    told = explain(POLICY, [wants("aal1")], [proof("password", HOUR + TICK)], HELD, NOW)
    step = told.requirements[0].acrs[0].recipes[0].steps[0]
    assert step.state is State.ASKED
    assert "does not count" in step.reason


def test_one_authenticator_proves_one_step() -> None:
    policy = policy_of({"x": ((("a",), ("b",)),)})
    same = [proof("a", authenticator="1"), proof("b", authenticator="1")]
    steps = explain(policy, [wants("x")], same, "ab", NOW).requirements[0].acrs[0].recipes[0].steps
    assert [s.state for s in steps] == [State.PROVEN, State.ASKED]
    spare = explain(policy, [wants("x")], [proof("a", HOUR, "2"), *same], "ab", NOW)
    assert spare.requirements[0].acrs[0].recipes[0].complete


def test_the_dead_end_is_named() -> None:
    told = explain(POLICY, [wants("aal1"), wants("aal2")], [], ("password",), NOW)
    assert told.end == Unreachable(wants("aal2"))
    assert told.dead_end == "no recipe of aal2 can be completed by this user"
    assert "result: refused, no recipe of aal2" in str(told)


def test_an_acr_that_is_not_defined() -> None:
    told = explain(POLICY, [wants("gold", source="request")], [], HELD, NOW)
    assert not told.requirements[0].acrs[0].defined
    assert "  gold: not defined" in str(told)
    assert isinstance(told.end, Unreachable)


def test_a_proof_that_could_never_count_ends_too() -> None:
    told = explain(POLICY, [wants("aal1", since=NOW + TICK)], [], HELD, NOW)
    assert told.asked == ("password",)
    assert "again and again" in told.dead_end


def test_what_is_printed() -> None:
    demand = replace(wants("aal2", source="rule"), since=NOW - HOUR)
    assert str(explain(POLICY, [demand], [proof("password")], HELD, NOW)).splitlines() == [
        "aal2, proven since 2026-01-01T11:00:00+00:00: open - from a [[rule]] of the configuration",
        "  aal2: password proven; totp would be asked",
        "  aal2: passkey not available (the user has no passkey)",
        "would ask: totp",
        "result: acr aal2 by password, totp",
    ]


@pytest.mark.parametrize("recipe", recipes_over("abc"))
def test_it_never_contradicts_the_policy(recipe: tuple[tuple[str, ...], ...]) -> None:
    policy = policy_of({"x": (recipe,)})
    for proven in subsets("abc"):
        achieved = [proof(name) for name in proven]
        for held in subsets("abc"):
            told = explain(policy, [wants("x")], achieved, held, NOW)
            result = outstanding(policy, [wants("x")], achieved, holds(held), NOW)
            report = told.requirements[0].acrs[0].recipes[0]
            assert report.complete == isinstance(result, Reached) == told.requirements[0].holds
            assert report.possible == (not isinstance(result, Unreachable))
            if isinstance(result, Ask):
                assert told.asked[0] == result.factors[0]
                asked = [s for s in report.steps if s.state is State.ASKED]
                assert result.factors == asked[0].by
