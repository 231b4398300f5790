"""A binding under way, outside a sign-in: sealed, one per user and factor, completed once."""

from datetime import timedelta

import pytest

from idp.factors.base import Challenge, Context, Field, Form
from idp.factors.binding import TTL, Bindings, again, begun, shown
from idp.factors.totp import Totp
from idp.model import Pending
from tests.house import START, House

CHALLENGE = Challenge(
    Form("Title", (Field("code", "Code", "code", hint="six"),), text="Why", submit="Go"),
    public={"uri": "otpauth://x"},
    private={"seed": "JBSWY3DPEHPK3PXP"},
)
TOTP = Totp({})


@pytest.fixture
def bindings(house: House) -> Bindings:
    return Bindings(house.app.stores.ephemeral, house.app.stores.sealing)


@pytest.fixture
def pending() -> Pending:
    return begun(TOTP, CHALLENGE, START)


def test_the_page_is_drawn_again_as_it_was(bindings: Bindings, pending: Pending) -> None:
    bindings.put("u1", pending)
    found = bindings.get("u1", "totp")
    assert found is not None
    assert found.asked_at == START
    assert shown(found) == CHALLENGE


def test_at_rest_it_is_sealed(house: House, bindings: Bindings, pending: Pending) -> None:
    bindings.put("u1", pending)
    raw = house.app.stores.ephemeral.get("binding:u1:totp")
    assert raw is not None
    assert b"JBSWY3DPEHPK3PXP" not in raw


def test_one_that_was_moved_to_another_user_does_not_open(
    house: House, bindings: Bindings, pending: Pending
) -> None:
    bindings.put("u1", pending)
    raw = house.app.stores.ephemeral.get("binding:u1:totp")
    assert raw is not None
    house.app.stores.ephemeral.put("binding:u2:totp", raw, TTL)
    with pytest.raises(Exception, match=r"(?i)seal|tag|decrypt|open"):
        bindings.get("u2", "totp")


def test_it_ends_by_itself(house: House, bindings: Bindings, pending: Pending) -> None:
    bindings.put("u1", pending)
    house.clock.advance(TTL + timedelta(seconds=1))
    assert bindings.get("u1", "totp") is None


def test_only_one_caller_ends_it(bindings: Bindings, pending: Pending) -> None:
    bindings.put("u1", pending)
    assert bindings.drop("u1", "totp")
    assert not bindings.drop("u1", "totp")


def test_the_receipt_of_its_message_is_kept(bindings: Bindings, pending: Pending) -> None:
    bindings.noted("u1", pending, "DE")
    found = bindings.get("u1", "totp")
    assert found is not None
    assert found.receipt == "DE"


def test_again_begins_anew_where_a_factor_says_nothing(house: House, pending: Pending) -> None:
    user = house.user_admin.get("ben")
    ctx = Context(START, house.issuer, user, (), house.app.stores.ephemeral.once)
    fresh = again(TOTP, ctx, pending)
    assert fresh.private["seed"] != CHALLENGE.private["seed"]
