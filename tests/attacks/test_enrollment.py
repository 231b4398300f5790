"""MF-09 and its kin: nobody binds an authenticator below the level that the account holds."""

from datetime import timedelta

import pytest

from idp.factors.base import Available, Context
from idp.factors.totp import Totp
from tests.house import House, Request, answer_of


def password(house: House, username: str) -> dict[str, str]:
    return {"username": username, "password": house.users[username]["password"]}


def test_mf_09_a_factor_that_is_held_but_cannot_be_used_here_is_not_replaced(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client certificate on a connection that shows none, a text message without a gateway."""

    def never(_self: Totp, _ctx: Context) -> Available:
        return Available(False, "not on this connection")

    monkeypatch.setattr(Totp, "available", never)
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    response = browser.submit(**password(house, "amy"))
    assert answer_of(response)["error"] == "unmet_authentication_requirements"


def test_mf_09_an_old_proof_is_asked_for_again_before_anything_is_bound(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    house.clock.advance(timedelta(minutes=6))
    page = browser.authorize(Request(more={"acr_values": "aal2"}))
    assert "Enter your password" in page.text
    page = browser.submit(password=house.users["ben"]["password"])
    assert "Add your authenticator app" in page.text


def test_mf_09_the_answer_of_an_enrolment_that_was_not_begun_binds_nothing(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request())
    fields = browser.fields()
    browser.submit(**{**fields, "enroll": "1", "factor": "totp", "code": "123456"})
    held = house.app.stores.authenticators.of(house.users["ben"]["sub"])
    assert [a.factor for a in held] == ["password"]


def test_an_abandoned_enrolment_leaves_nothing(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(**password(house, "ben"))
    answer_of(browser.submit(cancel="1"))
    held = house.app.stores.authenticators.of(house.users["ben"]["sub"])
    assert [a.factor for a in held] == ["password"]


def test_a_page_that_is_loaded_again_shows_the_same_key(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    page = browser.submit(**password(house, "ben"))
    first = browser.enrolling_code()
    browser.get(page.request.path)
    assert browser.enrolling_code() == first


def test_a_wrong_code_keeps_the_key(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(**password(house, "ben"))
    first = browser.enrolling_code()
    page = browser.submit(code="000000" if first != "000000" else "111111")
    assert "did not match" in page.text
    assert browser.enrolling_code() == first
    assert answer_of(browser.submit(code=first))["code"]


def test_a_code_that_bound_a_key_signs_nobody_in_again(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(**password(house, "ben"))
    code = browser.enrolling_code()
    browser.submit(code=code)
    other = house.browser()
    other.authorize(Request(more={"acr_values": "aal2"}))
    other.submit(**password(house, "ben"))
    assert "did not match" in other.submit(code=code).text
