"""Attacks on the authorization endpoint: AZ-06, AZ-10, AZ-11, AZ-12, SS-13."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.house import Browser, House, Request, answer_of
from tests.rfc.tools import claims_of, refusal

SILENT = {"prompt": "none"}


def signed_in(house: House, username: str = "ben") -> Browser:
    browser = house.browser()
    browser.sign_in(Request(), username)
    house.clock.advance(timedelta(seconds=10))
    return browser


def action(browser: Browser) -> str:
    assert browser.page is not None
    found = re.search(r'<form[^>]*action="([^"]*)"', browser.page.text)
    assert found
    return urlsplit(found[1]).path


@pytest.mark.parametrize(
    "response_type",
    ["token", "id_token", "id_token token", "code token", "code id_token", "none", "code code"],
)
@pytest.mark.parametrize("mode", [None, "query", "form_post"])
def test_az_06_nothing_but_the_code_flow(house: House, response_type: str, mode: str) -> None:
    browser = signed_in(house)
    request = Request(more={"response_type": response_type, "response_mode": mode})
    response = browser.authorize(request)
    text = response.text + response.headers.get("Location", "")
    assert "unsupported_response_type" in text
    assert "access_token" not in text
    assert "id_token=" not in text


@pytest.mark.parametrize("mode", ["fragment", "web_message", "jwt", "query.jwt", "QUERY"])
def test_az_06_other_response_modes(house: House, mode: str) -> None:
    answer = refusal(house, Request(more={"response_mode": mode}), signed_in(house))
    assert answer["error"] == "invalid_request"


def at_consent(house: House) -> Browser:
    browser = signed_in(house)
    browser.authorize(Request(client_id="web-post", scope="openid email"))
    assert "decision" in browser.page.text  # type: ignore[union-attr]
    return browser


def unchanged(house: House, browser: Browser) -> None:
    assert house.app.stores.consents.of(house.users["ben"]["sub"]) == []
    request = Request(client_id="web-post", scope="openid email", more=SILENT)
    assert refusal(house, request, browser)["error"] == "consent_required"


def test_az_10_from_another_site(house: House) -> None:
    browser = at_consent(house)
    data = {**browser.fields(), "decision": "allow"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = browser.http.post(
            action(browser), data=data, headers=headers, base_url=house.issuer
        )
        assert answer.status_code == 403
    unchanged(house, browser)


def test_az_10_without_the_token(house: House) -> None:
    browser = at_consent(house)
    answer = browser.http.post(action(browser), data={"decision": "allow"}, base_url=house.issuer)
    assert answer.status_code == 403
    unchanged(house, browser)


@pytest.mark.parametrize("other", ["cyd", None])
def test_az_10_from_another_browser(house: House, other: str | None) -> None:
    """A stolen path and token are worth nothing without the cookie they are bound to."""
    browser = at_consent(house)
    thief = signed_in(house, other) if other else house.browser()
    data = {**browser.fields(), "decision": "allow"}
    answer = thief.http.post(action(browser), data=data, base_url=house.issuer)
    assert answer.status_code == 403
    seen = thief.http.get(action(browser), base_url=house.issuer)
    assert seen.status_code == 404
    assert "ben" not in seen.text
    unchanged(house, browser)


def test_az_10_a_decision_is_taken_once(house: House) -> None:
    browser = at_consent(house)
    path, data = action(browser), {**browser.fields(), "decision": "allow"}
    first = browser.http.post(path, data=data, base_url=house.issuer)
    assert "code=" in first.headers["Location"]
    again = browser.http.post(path, data=data, base_url=house.issuer)
    assert again.status_code == 409
    assert "Location" not in again.headers


def test_az_11_fields_that_were_not_asked_for(house: House) -> None:
    browser = at_consent(house)
    more = {"scope": "openid email phone", "resource": "https://x.example", "client_id": "web"}
    code = answer_of(browser.submit(decision="allow", **more))["code"]
    held = house.app.stores.consents.get(house.users["ben"]["sub"], "web-post")
    assert held is not None
    assert held.scopes == {"openid", "email"}
    assert held.resources == frozenset()
    assert house.app.stores.consents.get(house.users["ben"]["sub"], "web") is None
    assert code


def test_az_11_a_resource_that_was_not_allowed(house: House) -> None:
    request = Request(client_id="web-post", more={"resource": "https://api.example.com"})
    assert refusal(house, request, signed_in(house))["error"] == "invalid_target"


def test_az_11_consent_to_one_client_is_none_to_another(house: House) -> None:
    browser = at_consent(house)
    browser.submit(decision="allow")
    request = Request(client_id="native", redirect_uri="http://127.0.0.1:5/callback", more=SILENT)
    assert refusal(house, request, browser)["error"] == "consent_required"


# AZ-12: no code until what was demanded holds


@pytest.mark.parametrize(
    "more",
    [{"acr_values": "aal2"}, {"max_age": "0"}, {"prompt": "login"}, {"max_age": "5"}],
    ids=lambda more: next(iter(more)),
)
@pytest.mark.parametrize(
    "trick",
    [
        {"decision": "allow"},
        {"choose": "password"},
        {"choose": "nothing"},
        {"factor": "password", "password": ""},
        {"factor": "none"},
        {"factor": ""},
        {"code": "000000"},
        {},
    ],
    ids=str,
)
def test_az_12_no_way_around_the_question(
    house: House, more: dict[str, str], trick: dict[str, str]
) -> None:
    browser = signed_in(house, "amy")
    browser.authorize(Request(more=more))
    answer = browser.submit(**trick)
    assert answer.status_code in {200, 429}
    assert "Location" not in answer.headers
    if "prompt" not in more:
        assert "error" in refusal(house, Request(more={**more, **SILENT}), browser)


def test_az_12_cancel_and_go_back(house: House) -> None:
    browser = signed_in(house, "amy")
    request = Request(more={"acr_values": "aal2"})
    browser.authorize(request)
    path, data = action(browser), browser.fields()
    answer = answer_of(browser.submit(cancel="1"))
    assert answer["error"] == "access_denied"
    assert "code" not in answer
    assert browser.http.get(path, base_url=house.issuer).status_code == 409
    late = {**data, "code": house.totp("amy")}
    assert browser.http.post(path, data=late, base_url=house.issuer).status_code == 409
    again = refusal(house, Request(more={"acr_values": "aal2", **SILENT}), browser)
    assert again["error"] == "interaction_required"


def test_az_12_the_acr_of_another_tab_is_not_lent(house: House) -> None:
    """The weaker request of a second tab is answered with what it says, no more."""
    browser = signed_in(house, "amy")
    browser.authorize(Request(more={"acr_values": "aal2"}))
    weak = Request()
    code = answer_of(browser.authorize(weak))["code"]
    found = claims_of(house.redeem(weak, code, "web").json["id_token"])
    assert (found["acr"], found["amr"]) == ("aal1", ["pwd"])


def test_az_12_parameters_cannot_be_changed_on_the_way(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    password = house.users["amy"]["password"]
    page = browser.submit(username="amy", password=password, acr_values="aal1", max_age="9999")
    assert 'name="code"' in page.text


def test_az_12_a_client_changed_meanwhile_is_judged_anew(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request())
    record = house.client_admin.get("web")
    house.app.stores.clients.save(replace(record, redirect_uris=("https://new.example/cb",)))
    house.clock.advance(timedelta(seconds=10))
    page = browser.submit(username="ben", password=house.users["ben"]["password"])
    assert page.status_code == 400
    assert "Location" not in page.headers


# SS-13: nobody is signed out without a click


@pytest.mark.parametrize("query", ["", "?logout=yes", "?client_id=web", "?csrf=x&logout=yes"])
def test_ss_13_a_get_ends_nothing(house: House, query: str) -> None:
    browser = signed_in(house)
    assert browser.get(f"/logout{query}").status_code == 200
    assert "code" in answer_of(browser.authorize(Request(more=SILENT)))


@pytest.mark.parametrize("who", ["cyd", "ben"])
def test_ss_13_a_hint_of_another_user_or_session(house: House, who: str) -> None:
    browser = signed_in(house)
    foreign: Any = house.tokens(who)["id_token"]
    assert browser.get(f"/logout?id_token_hint={foreign}").status_code == 200
    assert "code" in answer_of(browser.authorize(Request(more=SILENT)))


def test_ss_13_a_forged_post(house: House) -> None:
    browser = signed_in(house)
    answer = browser.http.post("/logout", data={"logout": "yes"}, base_url=house.issuer)
    assert answer.status_code == 403
    assert "code" in answer_of(browser.authorize(Request(more=SILENT)))
