"""A passkey alone: who it is comes from the credential, and the user is verified, always."""

import json
from typing import Any

import pytest

from idp.factors.base import Claim, Rejected, claim, uses
from idp.factors.ceremony import NOT_VERIFIED, UNKNOWN
from idp.factors.passkey import Passkey
from idp.factors.webauthn import WebAuthn
from tests.unit.factors.keys import USER, answer, context, device, options, prove, register

FACTOR = Passkey({})


def test_it_works_with_what_was_registered_as_webauthn() -> None:
    key = device()
    held = register(key)
    assert uses(FACTOR) == held.factor == "webauthn"
    assert prove(key, FACTOR, context(held)).id == held.id


def test_the_credential_says_whose_it_is() -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(user=None))
    said = claim(FACTOR, answer(key.get(options(asked))))
    assert said == Claim(user_id=USER.id, authenticator_id=held.id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 30_000,
        "null",
        '{"response": {}}',
        '{"response": {"userHandle": null}}',
        '{"response": {"userHandle": 1}}',
        '{"response": {"userHandle": "*"}}',
        '{"response": {"userHandle": "_w"}}',
        '{"response": {"userHandle": "dTE"}}',
        '{"response": {"userHandle": "dTE"}, "id": "*"}',
        "x" * 100_000,
    ],
)
def test_a_credential_that_names_nobody(text: str) -> None:
    assert claim(FACTOR, {"credential": text}) == Claim(user_id="")


def test_while_nobody_is_known_the_options_tell_nothing_of_anybody() -> None:
    held = register(device())
    found = [options(FACTOR.begin(context(*known, user=None))) for known in ((), (held,))]
    for one in found:
        assert set(one) == {
            "allowCredentials",
            "challenge",
            "rpId",
            "timeout",
            "userVerification",
        }
    nobody = dict(found[0])
    assert nobody.pop("allowCredentials") == []
    assert nobody["userVerification"] == "required"


def test_of_somebody_known_it_asks_for_what_can_sign_in_alone() -> None:
    whole, weak, named = device(), device(verifies=False), device(resident=False)
    held = [register(key) for key in (whole, weak, named)]
    asked = options(FACTOR.begin(context(*held)))
    assert [c["id"] for c in asked["allowCredentials"]] == [held[0].data["credential_id"]]


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        ({}, True),
        ({"verifies": False}, False),
        ({"resident": False}, False),
        ({"synced": True}, True),
    ],
)
def test_it_is_held_by_who_has_one_that_verifies_and_names_its_user(
    more: dict[str, Any], holds: bool
) -> None:
    ctx = context(register(device(**more)))
    assert FACTOR.holds(ctx) is holds
    assert bool(FACTOR.available(ctx)) is holds
    assert WebAuthn({}).available(ctx)


def test_it_is_offered_while_nobody_is_known() -> None:
    assert FACTOR.available(context(user=None))


def test_without_verification_it_is_refused_but_is_a_second_factor() -> None:
    key = device(verifies=False)
    held = register(key)
    with pytest.raises(Rejected) as caught:
        prove(key, FACTOR, context(held))
    assert caught.value.public == NOT_VERIFIED
    assert prove(key, WebAuthn({}), context(held)).id == held.id


def test_no_setting_switches_verification_off() -> None:
    key = device(verifies=False)
    held = register(key)
    with pytest.raises(Rejected, match="not verified"):
        prove(key, Passkey({"user_verification": "discouraged"}), context(held))


def test_nobody_and_somebody_without_it_read_the_same() -> None:
    key = device()
    register(key)
    asked = FACTOR.begin(context(user=None))
    signed = answer(key.get(options(asked)))
    said = []
    for ctx in (context(user=None), context()):
        with pytest.raises(Rejected) as caught:
            FACTOR.verify(ctx, asked, signed)
        said.append(caught.value.public)
    assert said == [UNKNOWN, UNKNOWN]


def test_registering_one_demands_what_it_needs() -> None:
    asked = FACTOR.enroll(context())
    selection = options(asked)["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")
    assert register(device(), FACTOR).factor == "webauthn"
    for lacking in (device(verifies=False), device(resident=False)):
        with pytest.raises(Rejected):
            register(lacking, FACTOR)


def test_a_browser_that_does_not_say_is_believed_to_have_done_what_was_demanded() -> None:
    ctx, key = context(), device()
    for factor, discoverable in ((FACTOR, True), (WebAuthn({}), False)):
        asked = factor.enroll(ctx)
        made = key.create({**options(asked), "excludeCredentials": []})
        made["clientExtensionResults"] = {}
        bound = factor.confirm(ctx, asked, {"credential": json.dumps(made)})
        assert bound.data["discoverable"] is discoverable
