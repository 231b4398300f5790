"""RFC 9470: asking for a stronger or fresher sign-in, and saying when it cannot be had."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.house import Browser, House, Request, answer_of, build
from tests.rfc.tools import claims_of, refusal


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[House]:
    """Where aal2 takes what nobody can bind by themselves."""
    acr = {"aal1": {"any_of": [["password"]]}, "aal2": {"any_of": [["password", "recovery_code"]]}}
    built = build(tmp_path, acr=acr)
    yield built
    built.app.close()


def id_token(house: House, browser: Browser, username: str, **more: Any) -> dict[str, Any]:
    request = Request(more=more)
    answer = browser.sign_in(request, username)
    return claims_of(house.redeem(request, answer["code"], "web").json["id_token"])


def test_4_a_step_up_reaches_the_acr_that_was_asked(house: House) -> None:
    browser = house.browser()
    assert id_token(house, browser, "amy")["acr"] == "aal1"
    found = id_token(house, browser, "amy", acr_values="aal2")
    assert found["acr"] == "aal2"
    assert found["amr"] == ["pwd", "otp", "mfa"]
    assert browser.asked == [["username", "password"], ["code"]]


def test_4_the_access_token_says_so_too(house: House) -> None:
    tokens = house.tokens("amy", more={"acr_values": "aal2"})
    assert claims_of(tokens["access_token"])["acr"] == "aal2"


def test_4_once_reached_nothing_is_asked_again(house: House) -> None:
    browser = house.browser()
    id_token(house, browser, "amy", acr_values="aal2")
    asked = len(browser.asked)
    assert id_token(house, browser, "amy", acr_values="aal2")["acr"] == "aal2"
    assert len(browser.asked) == asked


def test_4_an_old_proof_counts_no_more(house: House) -> None:
    browser = house.browser()
    id_token(house, browser, "amy", acr_values="aal2")
    house.clock.advance(timedelta(minutes=50))
    found = id_token(house, browser, "amy", acr_values="aal2", max_age="600")
    assert browser.asked[-2:] == [["password"], ["code"]]
    assert int(house.clock().timestamp()) - found["auth_time"] <= 600


def test_5_unmet_when_the_person_cannot_reach_it(strict: House) -> None:
    browser = strict.browser()
    request = Request(more={"acr_values": "aal2"})
    browser.authorize(request)
    answer = answer_of(browser.submit(username="ben", password=strict.users["ben"]["password"]))
    assert answer["error"] == "unmet_authentication_requirements"
    assert answer["state"] == request.state


def test_5_a_signed_in_person_who_cannot_reach_it(strict: House) -> None:
    browser = strict.browser()
    browser.sign_in(Request(), "ben")
    answer = refusal(strict, Request(more={"acr_values": "aal2"}), browser)
    assert answer["error"] == "unmet_authentication_requirements"


def test_4_who_lacks_a_factor_is_led_through_enrolment(house: House) -> None:
    browser = house.browser()
    request = Request(more={"acr_values": "aal2"})
    browser.authorize(request)
    page = browser.submit(username="ben", password=house.users["ben"]["password"])
    assert "Add your authenticator app" in page.text
    answer = answer_of(browser.submit(code=browser.enrolling_code()))
    found = claims_of(house.redeem(request, answer["code"], "web").json["id_token"])
    assert (found["acr"], found["amr"]) == ("aal2", ["pwd", "otp", "mfa"])


@pytest.mark.parametrize(
    ("values", "acr"),
    [("aal2 aal1", "aal1"), ("aal1 aal2", "aal1"), ("unknown aal1", "aal1"), ("unknown", "aal1")],
)
def test_4_alternatives_and_unknown_values(house: House, values: str, acr: str) -> None:
    assert id_token(house, house.browser(), "ben", acr_values=values)["acr"] == acr


def test_4_the_first_wanted_that_can_be_had(house: House) -> None:
    assert id_token(house, house.browser(), "amy", acr_values="aal2 aal1")["acr"] == "aal2"


@pytest.mark.parametrize(
    "value", ['{"essential":true,"values":["aal2"]}', '{"essential":true,"value":"aal2"}']
)
def test_oidc_5_5_1_1_essential_acr(house: House, value: str) -> None:
    claims = f'{{"id_token":{{"acr":{value}}}}}'
    assert id_token(house, house.browser(), "amy", claims=claims)["acr"] == "aal2"


def test_oidc_5_5_1_1_an_essential_acr_that_nobody_knows_is_refused(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")
    claims = '{"id_token":{"acr":{"essential":true,"values":["gold"]}}}'
    answer = refusal(house, Request(more={"claims": claims}), browser)
    assert answer["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("more", [{"acr_values": "aal2"}, {"max_age": "0"}])
def test_4_silently_it_is_an_error(house: House, more: dict[str, str]) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")
    house.clock.advance(timedelta(seconds=5))
    answer = refusal(house, Request(more={**more, "prompt": "none"}), browser)
    assert answer["error"] in {"interaction_required", "login_required"}
