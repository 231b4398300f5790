"""What a policy with passkeys leads through: over HTTP, as JSON, with a device in software."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.model import Authenticator
from idp.testing.passkey import VirtualPasskey
from tests.house import ISSUER, House, build
from tests.native import Visitor, asked_again, led_to_registration

ACRS: Mapping[str, Any] = {
    "aal1": {"any_of": (("password",), ("passkey",))},
    "aal2": {"any_of": (("password", ("totp", "webauthn")), ("passkey",))},
    "phr": {"any_of": (("passkey",),)},
    "two-keys": {"any_of": (("passkey", "webauthn"),)},
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    cheap = {"password": {"memory_kib": 8192, "iterations": 1}}
    made = build(tmp_path, acr=ACRS, factors=cheap, web={"sign_in_rate": "100000/minute"})
    yield made
    made.app.close()


@pytest.fixture
def device() -> VirtualPasskey:
    return VirtualPasskey(ISSUER)


def held(house: House, username: str) -> list[Authenticator]:
    found = house.app.stores.authenticators.of(house.users[username]["sub"])
    return [a for a in found if a.factor == "webauthn"]


def completed(house: House) -> tuple[str, list[str]]:
    """acr and amr of the last sign-in."""
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    last = next(row for row in reversed(rows) if row.event == "sign_in_completed")
    return last.detail["acr"], list(last.detail["amr"])


def give_password(house: House, visitor: Visitor, username: str) -> None:
    visitor.post(username=username, password=house.users[username]["password"])


@pytest.mark.parametrize("acr", ["aal1", "aal2"])
def test_the_name_is_asked_first_and_the_passkey_stands_beside(house: House, acr: str) -> None:
    """Although the passkey alone would be the shorter way to aal2."""
    visitor = Visitor(house)
    step = visitor.begin(acr)
    assert step["factor"] == "password"
    assert [b["factor"] for b in step["beside"]] == ["passkey"]
    (name,) = [f for f in step["fields"] if f["name"] == "username"]
    assert name["autocomplete"] == "username webauthn"


def test_one_thing_is_offered_once(house: House) -> None:
    """`webauthn` and `passkey` bind the same: a person reads one of them."""
    visitor = Visitor(house)
    visitor.begin("aal2")
    give_password(house, visitor, "ben")
    offered = {visitor.step["factor"], *(c["factor"] for c in visitor.step["choices"])}
    assert offered == {"totp", "webauthn"}


def test_a_level_of_passkeys_alone_leads_to_one_that_verifies_and_is_kept(
    house: House, device: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    visitor.begin()
    give_password(house, visitor, "ben")
    step = visitor.begin("phr")
    assert (step["step"], step["factor"]) == ("enroll", "passkey")
    selection = visitor.options()["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")

    weak = VirtualPasskey(ISSUER, verifies=False)
    assert asked_again(visitor.give(weak.create(visitor.options()), enroll="1"))
    assert held(house, "ben") == []

    done = visitor.give(device.create(visitor.options()), enroll="1")
    assert done["step"] == "done"
    assert completed(house) == ("phr", ["pop", "user", "mfa"])
    assert [a.factor for a in held(house, "ben")] == ["webauthn"]


def test_who_has_a_passkey_is_asked_for_it_before_another_is_bound(
    house: House, device: VirtualPasskey
) -> None:
    """Somebody with the password alone cannot add a passkey beside the owner's."""
    visitor = led_to_registration(house)
    visitor.give(device.create(visitor.options()), enroll="1")
    thief = Visitor(house)
    thief.begin()
    give_password(house, thief, "ben")
    step = thief.begin("phr")
    assert (step["step"], step["factor"]) == ("factor", "passkey")


def test_amr_tells_the_ways_apart(house: House, device: VirtualPasskey) -> None:
    visitor = led_to_registration(house)
    visitor.give(device.create(visitor.options()), enroll="1")
    assert completed(house) == ("aal2", ["pwd", "pop", "user", "mfa"])
    Visitor(house).alone(device)
    assert completed(house) == ("aal1", ["pop", "user", "mfa"])


def test_a_passkey_alone_is_two_factors_for_whatever_comes_next(
    house: House, device: VirtualPasskey
) -> None:
    visitor = led_to_registration(house)
    visitor.give(device.create(visitor.options()), enroll="1")
    visitor = Visitor(house)
    visitor.alone(device)
    for acr in ("aal2", "phr"):
        query = parse_qs(urlsplit(visitor.begin(acr)["redirect_uri"]).query)
        assert "code" in query
        assert completed(house)[0] == acr


def test_one_key_is_not_two_steps(house: House, device: VirtualPasskey) -> None:
    visitor = led_to_registration(house)
    visitor.give(device.create(visitor.options()), enroll="1")
    visitor = Visitor(house)
    visitor.begin("two-keys")
    assert visitor.step["factor"] == "passkey"
    visitor.give(device.get(visitor.options()))
    assert (visitor.step["step"], visitor.step["factor"]) == ("factor", "webauthn")
    visitor.give(device.get(visitor.options()))
    assert visitor.step["step"] == "factor"


def test_two_keys_are(house: House, device: VirtualPasskey) -> None:
    second = VirtualPasskey(ISSUER)
    visitor = led_to_registration(house)
    visitor.give(device.create(visitor.options()), enroll="1")
    service = house.app.authenticators
    asked = service.begin(house.users["ben"]["sub"], "webauthn")
    made = second.create(asked.public["publicKey"])
    bound = service.confirm(
        house.users["ben"]["sub"], "webauthn", visitor.answer(made), actor="ben", name="Spare"
    )
    assert isinstance(bound, Authenticator)
    assert bound.name == "Spare"
    visitor = Visitor(house)
    visitor.begin("two-keys")
    visitor.give(device.get(visitor.options()))
    assert visitor.give(second.get(visitor.options()))["step"] == "done"
    assert completed(house)[0] == "two-keys"


def test_the_event_names_what_was_bound_not_how_it_was_asked_for(
    house: House, device: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    visitor.begin()
    give_password(house, visitor, "ben")
    visitor.begin("phr")
    visitor.give(device.create(visitor.options()), enroll="1")
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    added = [row for row in rows if row.event == "authenticator_added"]
    ben = house.users["ben"]["sub"]
    assert [row.detail["factor"] for row in added if row.user_id == ben] == ["webauthn"]
