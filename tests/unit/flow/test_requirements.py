"""What must hold: every source, how prompt and max_age date it, and policies that are refused."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from idp.errors import ConfigError
from idp.flow.policy import Policy, Requirement
from idp.flow.requirements import build, explain_sources, proven_since, requirements
from idp.model import AuthorizationRequest, Client, User
from idp.settings import Acr, FlowSettings, Rule, Settings

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUEST = AuthorizationRequest(
    client_id="shop",
    redirect_uri="https://shop.example/cb",
    response_mode="query",
    scopes=("openid",),
    resources=(),
    state=None,
    nonce=None,
    code_challenge=None,
    prompts=frozenset(),
    max_age=None,
    login_hint=None,
    hint_sub=None,
    ui_locales=(),
    acr_values=(),
    essential_acr=(),
    claims={},
    parameters={},
)
CLIENT = Client("shop", "Shop", START)
USER = User("u1", "alice", START, START)


def policy(**more: Any) -> Policy:
    return build(Settings(issuer="https://login.example", **more))


def required(
    request: AuthorizationRequest = REQUEST,
    client: Client = CLIENT,
    user: User | None = USER,
    **settings: Any,
) -> tuple[Requirement, ...]:
    return requirements(policy(**settings), request, client, user, START)


def test_the_default_alone() -> None:
    assert required() == (Requirement(("aal1",), "default", None),)
    flow = FlowSettings(default_acr="aal2")
    assert required(flow=flow) == (Requirement(("aal2",), "default", None),)


def test_every_source_the_request_first() -> None:
    found = required(
        replace(REQUEST, acr_values=("aal2", "aal1")),
        replace(CLIENT, require_acr="aal2"),
        replace(USER, require_acr="aal2"),
        rule=(
            Rule(client="shop", require="aal1"),
            Rule(client="shop", require="aal2"),
            Rule(client="other", require="aal2"),
        ),
    )
    assert [(r.source, r.acrs) for r in found] == [
        ("request", ("aal2", "aal1")),
        ("client", ("aal2",)),
        ("rule", ("aal1",)),
        ("rule", ("aal2",)),
        ("user", ("aal2",)),
        ("default", ("aal1",)),
    ]
    assert {r.source for r in found} == set(explain_sources())


def test_nobody_known_yet_has_no_choice_of_their_own() -> None:
    assert [r.source for r in required(user=None)] == ["default"]


def test_unknown_acr_values_are_ignored() -> None:
    some = required(replace(REQUEST, acr_values=("gold", "aal2")))
    assert some[0] == Requirement(("aal2",), "request", None)
    assert [r.source for r in required(replace(REQUEST, acr_values=("gold",)))] == ["default"]


def test_an_essential_acr_is_kept_even_if_unknown_and_outranks_acr_values() -> None:
    asked = replace(REQUEST, essential_acr=("gold",), acr_values=("aal2",))
    assert [(r.source, r.acrs) for r in required(asked)] == [
        ("request", ("gold",)),
        ("default", ("aal1",)),
    ]


@pytest.mark.parametrize(
    ("prompts", "max_age", "since"),
    [
        ((), None, None),
        (("login",), None, START),
        (("consent",), None, None),
        ((), 60, START - timedelta(seconds=60)),
        ((), 0, START),
        (("login",), 60, START),
    ],
)
def test_prompt_and_max_age_date_every_requirement(
    prompts: tuple[str, ...], max_age: int | None, since: datetime | None
) -> None:
    asked = replace(REQUEST, prompts=frozenset(prompts), max_age=max_age, acr_values=("aal2",))
    assert proven_since(asked, START) == since
    found = required(
        asked,
        replace(CLIENT, require_acr="aal2"),
        replace(USER, require_acr="aal2"),
        rule=(Rule(client="shop", require="aal1"),),
    )
    assert len(found) == 5
    assert {r.since for r in found} == {since}


def test_the_default_policy() -> None:
    built = policy()
    assert list(built.acrs) == ["aal1", "aal2"]
    passkey = (("passkey",),)
    second = ("totp", "webauthn", "sms", "recovery_code")
    assert built.acrs["aal1"].recipes == ((("password",),), passkey)
    assert built.acrs["aal2"].recipes == ((("password",), second), passkey)
    assert built.acrs["aal2"].max_age == timedelta(hours=12)
    assert built.default_acr == "aal1"


@pytest.mark.parametrize(
    ("any_of", "why"),
    [
        ((), "acr.aal1: any_of is empty"),
        (((),), "acr.aal1: an empty recipe would let everyone in"),
        ((("password", ()),), "acr.aal1: a step without a factor"),
        ((("totp", "totp"),), "acr.aal1: one recipe names 'totp' twice"),
        ((("totp", ("password", "totp")),), "acr.aal1: one recipe names 'totp' twice"),
        (((("totp", "totp"),),), "acr.aal1: one recipe names 'totp' twice"),
    ],
)
def test_policies_that_make_no_sense(any_of: Any, why: str) -> None:
    acrs: Mapping[str, Acr] = {"aal1": Acr(any_of=any_of)}
    with pytest.raises(ConfigError, match=why):
        policy(acr=acrs)


def test_one_factor_in_two_recipes_is_fine() -> None:
    built = policy(acr={"aal1": Acr(any_of=(("password",), ("password", "totp")))})
    assert len(built.acrs["aal1"].recipes) == 2
