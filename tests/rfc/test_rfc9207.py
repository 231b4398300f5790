"""RFC 9207: `iss` in every authorization response, so that a client of two providers is not
mixed up (attack AZ-09)."""

import html
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.house import CALLBACK, Browser, House, Request, answer_of

ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"scope": "nope"}, "invalid_scope"),
    ({"code_challenge": None}, "invalid_request"),
    ({"prompt": "none"}, "login_required"),
    ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ({"request": "x"}, "request_not_supported"),
]


def posted(response: TestResponse) -> dict[str, str]:
    """The fields of a form_post page (OAuth 2.0 Form Post Response Mode section 2)."""
    assert response.status_code == 200
    action = re.search(r'<form[^>]*method="post"[^>]*action="([^"]*)"', response.text)
    assert action
    assert html.unescape(action[1]) == CALLBACK
    found = {}
    for name, value in re.findall(
        r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.text
    ):
        assert name not in found
        found[name] = html.unescape(value)
    return found


def finish(browser: Browser, house: House, request: Request, username: str = "ben") -> TestResponse:
    browser.authorize(request)
    return browser.submit(username=username, password=house.users[username]["password"])


def test_2_success_by_query(house: House) -> None:
    answer = answer_of(finish(house.browser(), house, Request()))
    assert answer["iss"] == house.issuer
    assert set(answer) == {"code", "state", "iss"}


def test_2_success_by_form_post(house: House) -> None:
    request = Request(more={"response_mode": "form_post"})
    answer = posted(finish(house.browser(), house, request))
    assert answer["iss"] == house.issuer
    assert answer["state"] == request.state
    assert set(answer) == {"code", "state", "iss"}
    assert house.redeem(request, answer["code"], "web").status_code == 200


@pytest.mark.parametrize(("more", "error"), ERRORS)
def test_2_every_error_by_query(shared: House, more: dict[str, Any], error: str) -> None:
    answer = answer_of(shared.browser().authorize(Request(more=more)))
    assert answer["error"] == error
    assert answer["iss"] == shared.issuer


@pytest.mark.parametrize(("more", "error"), ERRORS)
def test_2_every_error_by_form_post(shared: House, more: dict[str, Any], error: str) -> None:
    request = Request(more={**more, "response_mode": "form_post"})
    answer = posted(shared.browser().authorize(request))
    assert answer["error"] == error
    assert answer["iss"] == shared.issuer
    assert answer["state"] == request.state


@pytest.mark.parametrize("name", ["cancel", "decision"])
def test_2_refusals_of_the_person(house: House, name: str) -> None:
    browser = house.browser()
    request = Request(client_id="web-post")
    browser.authorize(request)
    if name == "decision":
        browser.submit(username="ben", password=house.users["ben"]["password"])
    answer = answer_of(browser.submit(**{name: "deny"}))
    assert answer["error"] == "access_denied"
    assert answer["iss"] == house.issuer


def test_2_an_unmet_demand(house: House) -> None:
    claims = '{"id_token":{"acr":{"essential":true,"values":["gold"]}}}'
    answer = answer_of(house.browser().authorize(Request(more={"claims": claims})))
    assert answer["error"] == "unmet_authentication_requirements"
    assert answer["iss"] == house.issuer


def test_3_the_metadata_says_so(shared: House) -> None:
    found = shared.call("/.well-known/openid-configuration").json
    assert found["authorization_response_iss_parameter_supported"] is True
