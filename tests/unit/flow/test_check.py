"""`idp flow check`: each finding once, on the policy that deserves it, and none on a good one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from idp.factors.base import Factor, Kind
from idp.flow.check import Finding, check, show
from idp.flow.policy import AcrRule, Policy, Recipe
from idp.model import Client, User
from tests.unit.flow.small import policy_of

THEN = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT = Client("shop", "Shop", THEN)
USER = User("u1", "alice", THEN, THEN)
PASSWORD: Recipe = (("password",),)
PASSKEY: Recipe = (("passkey",),)
TWO: Recipe = (("password",), ("totp", "sms"))


class Stub:
    def __init__(
        self,
        identifies: bool,
        phishing_resistant: bool,
        kind: Kind = Kind.HAS,
        expendable: bool = False,
    ) -> None:
        self.identifies = identifies
        self.phishing_resistant = phishing_resistant
        self.kind = kind
        self.expendable = expendable


FACTORS = cast(
    Mapping[str, Factor],
    {
        "password": Stub(True, False, Kind.KNOWS),
        "passkey": Stub(True, True),
        "totp": Stub(False, False),
        "sms": Stub(False, False),
        "key": Stub(False, True),
        "pin": Stub(False, False, Kind.KNOWS),
        "code": Stub(False, False, expendable=True),
        "unused": Stub(True, False),
    },
)


def findings(acrs: Mapping[str, Sequence[Recipe]]) -> list[tuple[str, str, str]]:
    return brief(check(policy_of(acrs), FACTORS))


def brief(found: Sequence[Finding]) -> list[tuple[str, str, str]]:
    assert all(finding.advice for finding in found)
    return [(f.severity, f.where, f.message) for f in found]


def test_a_good_policy_has_no_finding() -> None:
    assert not check(policy_of({"aal1": (PASSWORD, PASSKEY), "aal2": (TWO, PASSKEY)}), FACTORS)


@pytest.mark.parametrize("first", [("totp",), ("totp", "sms")])
def test_a_recipe_that_starts_with_nobody(first: tuple[str, ...]) -> None:
    found = findings({"aal1": (PASSWORD,), "aal2": ((first, ("password", "passkey")),)})
    assert found[0][:2] == ("error", "acr.aal2")
    assert "starts without saying who signs in" in found[0][2]


def test_one_identifying_alternative_is_enough() -> None:
    assert not findings({"aal1": ((("totp", "password"),),)})


def test_an_acr_whose_factor_is_not_loaded() -> None:
    found = findings({"aal1": (PASSWORD,), "aal2": ((("password",), ("face", "iris")),)})
    assert found == [("error", "acr.aal2", "nobody can ever reach it: face or iris is not loaded")]


def test_one_dead_recipe_among_others_is_a_warning() -> None:
    found = findings({"aal1": (PASSWORD, (("face",),))})
    assert found == [
        ("warning", "acr.aal1", "the recipe face can never be used: face is not loaded")
    ]


@pytest.mark.parametrize("recipes", [(), ((),), (((),),), ((("password",), ()),)])
def test_an_acr_of_empty_recipes(recipes: tuple[Recipe, ...]) -> None:
    found = findings({"aal1": (PASSWORD,), "aal2": recipes})
    assert [f[:2] for f in found] == [("error", "acr.aal2")]
    assert "nobody can ever reach it" in found[0][2]


def test_demands_that_name_an_unknown_acr() -> None:
    policy = Policy({"aal1": AcrRule("aal1", (PASSWORD,))}, "none", {"shop": ("aal1", "gold")})
    client, user = replace(CLIENT, require_acr="silver"), replace(USER, require_acr="iron")
    found = check(policy, FACTORS, [client, CLIENT], [user, USER])
    assert [(f.severity, f.where) for f in found] == [
        ("error", "flow.default_acr"),
        ("error", "rule for client shop"),
        ("error", "client shop"),
        ("error", "user alice"),
    ]
    for finding, acr in zip(found, ("none", "gold", "silver", "iron"), strict=True):
        assert repr(acr) in finding.message
        assert "aal1" in finding.advice
    gone = check(
        replace(policy, default_acr="aal1", client_acr={}),
        FACTORS,
        [replace(client, disabled_at=THEN)],
        [replace(user, disabled_at=THEN)],
    )
    assert not gone


def test_a_second_factor_that_must_not_be_lost() -> None:
    lone: Recipe = (("password",), ("totp",))
    found = findings({"aal1": (PASSWORD,), "aal2": (lone,)})
    assert [f[:2] for f in found] == [("warning", "acr.aal2")]
    assert found[0][2].startswith("totp is the only way")
    assert findings({"aal1": (PASSWORD,), "aal2": ((("password",), ("totp", "face")),)}) == found
    assert not findings({"aal1": (PASSWORD,), "aal2": (lone, (("password",), ("sms",)))})


def test_a_stronger_acr_that_asks_no_more() -> None:
    found = findings({"aal1": (PASSWORD,), "aal2": (TWO, PASSWORD)})
    assert [f[:2] for f in found] == [("warning", "acr.aal2")]
    assert "password asks no more than password of the weaker acr.aal1" in found[0][2]
    assert findings({"aal1": (TWO,), "aal2": (PASSWORD,)})[0][1] == "acr.aal2"
    # a weaker alternative that does not reach it, and the right order, are fine
    assert not findings({"aal1": ((("password", "passkey"),),), "aal2": (PASSWORD,)})
    assert not findings({"aal1": (PASSWORD,), "aal2": (TWO,)})
    # whichever order the steps are in, the methods are the same
    assert findings({"aal1": (TWO,), "aal2": ((("sms", "totp"), ("password",)), PASSKEY)})


def test_freshness_alone_is_said_so() -> None:
    acrs = {
        "aal1": AcrRule("aal1", (PASSWORD,)),
        "fresh": AcrRule("fresh", (PASSWORD,), timedelta(minutes=5)),
    }
    (found,) = check(Policy(acrs, "aal1", {}), FACTORS)
    assert found.message.endswith("only max_age tells them apart")


def test_clients_without_pkce() -> None:
    exempt = replace(CLIENT, require_pkce=False)
    policy = policy_of({"aal1": (PASSWORD,)})
    (found,) = check(policy, FACTORS, [CLIENT, exempt])
    assert (found.severity, found.where) == ("warning", "client shop")
    assert "PKCE" in found.message
    machine = replace(exempt, grant_types=("client_credentials",))
    assert not check(policy, FACTORS, [machine, replace(exempt, disabled_at=THEN)])


def test_errors_come_first() -> None:
    found = check(
        policy_of({"aal1": (PASSWORD, (("face",),)), "aal2": ((("totp",), ("password",)), ())}),
        FACTORS,
    )
    severities = [f.severity for f in found]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def test_recipes_as_people_write_them() -> None:
    assert show(TWO) == "password + (totp or sms)"
    assert show((("a", "b"),)) == "a or b"
    assert show((("a",), ())) == "a + nothing"


@pytest.mark.parametrize(
    ("recipes", "why"),
    [
        ((TWO, (("code",),)), "the code alone is enough"),
        (((("password", "code"),),), "the code alone is enough"),
        ((TWO, (("pin",), ("password", "code"))), ""),  # password + pin: no recovery
        ((TWO, (("password",), ("totp", "code"))), ""),
        (((("password",), ("totp", "sms", "code")), PASSKEY), ""),
        ((TWO, (("code",), ("password",))), ""),
        ((PASSKEY, (("password",), ("code",))), "every other way resists phishing"),
        (((("password",), ("key", "code")),), "every other way resists phishing"),
        (((("password",), ("key",), ("code",)), PASSKEY), ""),
        ((TWO, (("sms",), ("code",))), "it proves fewer kinds of factor than every other way"),
        (((("password",), ("code",)),), ""),  # a level of its own: nothing stronger to fall from
        ((TWO, (("password",), ("face", "totp"))), ""),  # not loaded, not asked
    ],
)
def test_a_recovery_code_restores_no_more_than_it_proves(
    recipes: Sequence[Recipe], why: str
) -> None:
    found = [f for f in findings({"aal2": recipes}) if "weaker than the level" in f[2]]
    assert [f[:2] for f in found] == ([("error", "acr.aal2")] if why else [])
    assert all(f[2].endswith(why) for f in found)


@pytest.mark.parametrize(
    ("acrs", "named"),
    [
        ({"aal1": (PASSWORD,), "aal2": (TWO,)}, []),
        ({"only": (PASSWORD, PASSKEY)}, []),
        ({"aal1": (PASSKEY,), "aal2": (PASSWORD,)}, ["aal2"]),
        ({"aal1": (PASSWORD,), "aal2": (TWO,), "aal3": ((("key", "password"),),)}, ["aal3"]),
        ({"aal1": (PASSWORD,), "fresh": (PASSWORD,)}, ["fresh"]),
        ({"aal1": (PASSWORD,), "aal2": ((("password",), ("pin",)),)}, []),
    ],
)
def test_a_link_in_a_mail_reaches_the_weakest_level_alone(
    acrs: Mapping[str, Sequence[Recipe]], named: list[str]
) -> None:
    def by_mail(reset: bool) -> list[Finding]:
        found = check(policy_of(acrs), FACTORS, reset_by_mail=reset)
        return [f for f in found if f.where == "recovery.password_by_mail"]

    assert [f.severity for f in by_mail(True)] == ["error"] * len(named)
    assert all(f"acr.{name}," in f.message for name, f in zip(named, by_mail(True), strict=True))
    assert not by_mail(False)
