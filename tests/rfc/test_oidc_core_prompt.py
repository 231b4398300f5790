"""OpenID Connect Core 1.0 section 3.1.2.1: prompt, hints, locales, response modes."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest

from tests.house import Browser, House, Request, answer_of
from tests.rfc.tools import claims_of, refusal, register


@pytest.fixture
def browser(house: House) -> Browser:
    """Ben is signed in."""
    visitor = house.browser()
    visitor.sign_in(Request(), "ben")
    house.clock.advance(timedelta(seconds=10))
    return visitor


def hint(house: House, username: str) -> str:
    return str(house.tokens(username)["id_token"])


def sub(house: House, request: Request, code: str) -> str:
    tokens = house.redeem(request, code, request.client_id).json
    return str(claims_of(tokens["id_token"])["sub"])


def test_none_without_a_session(house: House) -> None:
    assert refusal(house, Request(more={"prompt": "none"}))["error"] == "login_required"


def test_none_with_a_session(house: House, browser: Browser) -> None:
    assert "code" in answer_of(browser.authorize(Request(more={"prompt": "none"})))


@pytest.mark.parametrize(
    ("client", "more", "error"),
    [
        ("web", {"max_age": "9"}, "login_required"),
        ("web", {"acr_values": "aal2"}, "interaction_required"),
        ("web-post", {}, "consent_required"),
    ],
)
def test_none_when_a_page_would_be_shown(
    house: House, browser: Browser, client: str, more: dict[str, Any], error: str
) -> None:
    request = Request(client_id=client, more={**more, "prompt": "none"})
    assert refusal(house, request, browser)["error"] == error


def test_none_with_a_hint(house: House, browser: Browser) -> None:
    own, other = hint(house, "ben"), hint(house, "cyd")
    request = Request(more={"prompt": "none", "id_token_hint": own})
    assert "code" in answer_of(browser.authorize(request))
    request = Request(more={"prompt": "none", "id_token_hint": other})
    assert refusal(house, request, browser)["error"] == "login_required"


def test_none_after_the_session_idled_out(house: House, browser: Browser) -> None:
    house.clock.advance(timedelta(hours=1, seconds=1))
    answer = refusal(house, Request(more={"prompt": "none"}), browser)
    assert answer["error"] == "login_required"


def test_none_leaves_no_half_login_behind(house: House) -> None:
    visitor = house.browser()
    refusal(house, Request(more={"prompt": "none"}), visitor)
    assert "username" in visitor.authorize(Request()).text


def test_login_asks_again_and_dates_the_new_sign_in(house: House, browser: Browser) -> None:
    request = Request(more={"prompt": "login"})
    code = browser.sign_in(request, "ben")["code"]
    assert browser.asked == [["username", "password"], ["password"]]
    token = house.redeem(request, code, "web").json["id_token"]
    assert claims_of(token)["auth_time"] == int(house.clock().timestamp())


def test_login_a_wrong_password_is_no_sign_in(house: House, browser: Browser) -> None:
    browser.authorize(Request(more={"prompt": "login"}))
    assert browser.submit(password="wrong").status_code == 200
    assert "code" in answer_of(browser.authorize(Request())), "the old session still stands"


def test_select_account_asks_who(house: House, browser: Browser) -> None:
    request = Request(more={"prompt": "select_account"})
    code = browser.sign_in(request, "cyd")["code"]
    assert browser.asked[-1] == ["username", "password"]
    assert sub(house, request, code) == house.users["cyd"]["sub"]


def test_not_you_starts_over(house: House, browser: Browser) -> None:
    request = Request(more={"prompt": "login"})
    browser.authorize(request)
    page = browser.submit(restart="1", password="")
    assert 'name="username"' in page.text
    answer = browser.submit(username="cyd", password=house.users["cyd"]["password"])
    assert sub(house, request, answer_of(answer)["code"]) == house.users["cyd"]["sub"]


def test_consent_is_asked_of_a_trusted_client_too(house: House, browser: Browser) -> None:
    browser.authorize(Request(more={"prompt": "consent"}))
    assert 'name="decision"' in browser.page.text  # type: ignore[union-attr]
    assert "code" in answer_of(browser.submit(decision="allow"))


def test_consent_is_remembered_and_asked_for_what_is_new(house: House, browser: Browser) -> None:
    first = Request(client_id="web-post", scope="openid email")
    browser.authorize(first)
    assert "code" in answer_of(browser.submit(decision="allow"))
    assert "code" in answer_of(browser.authorize(first))
    more = Request(client_id="web-post", scope="openid email phone")
    assert 'name="decision"' in browser.authorize(more).text


def test_consent_is_asked_again_when_the_request_says_so(house: House, browser: Browser) -> None:
    browser.authorize(Request(client_id="web-post"))
    browser.submit(decision="allow")
    page = browser.authorize(Request(client_id="web-post", more={"prompt": "consent"}))
    assert 'name="decision"' in page.text


def test_id_token_hint_of_another_user(house: House, browser: Browser) -> None:
    request = Request(more={"id_token_hint": hint(house, "cyd")})
    page = browser.authorize(request)
    assert 'name="username"' in page.text
    answer = answer_of(browser.submit(username="ben", password=house.users["ben"]["password"]))
    assert answer["error"] == "login_required"


def test_id_token_hint_may_be_expired_and_of_another_client(house: House, browser: Browser) -> None:
    register(house, "other", redirect_uris=("http://localhost:8001/callback",), scopes=("openid",))
    old = house.tokens(client="other", scope="openid")["id_token"]
    house.clock.advance(timedelta(minutes=20))
    request = Request(more={"id_token_hint": old, "prompt": "none"})
    assert "code" in answer_of(browser.authorize(request))


@pytest.mark.parametrize("typed", ["ben", "no body", '"><b>x', "ä@example.com"])
def test_login_hint_is_filled_in(house: House, typed: str) -> None:
    visitor = house.browser()
    visitor.authorize(Request(more={"login_hint": typed}))
    assert visitor.fields()["username"] == typed


@pytest.mark.parametrize(
    ("wanted", "shown"), [("de fr", None), ("xx-YY ar", "ar"), ("ar", "ar"), ("zh en", "zh")]
)
def test_ui_locales(house: House, wanted: str, shown: str | None) -> None:
    available = house.call("/.well-known/openid-configuration").json["ui_locales_supported"]
    page = house.browser().authorize(Request(more={"ui_locales": wanted}))
    language = re.search(r'<html[^>]*lang="([^"]*)"', page.text)
    assert language
    assert language[1] == (shown if shown in available else language[1])
    assert language[1] in available


def test_form_post_page(house: House) -> None:
    visitor = house.browser()
    request = Request(more={"response_mode": "form_post"}, state='"><script>alert(1)</script>')
    visitor.authorize(request)
    page = visitor.submit(username="ben", password=house.users["ben"]["password"])
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script>alert" not in page.text
    state = re.search(r'name="state" value="([^"]*)"', page.text)
    assert state
    assert html.unescape(state[1]) == request.state
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' http://localhost:8001" in policy
    nonce = re.search(r'<script nonce="([^"]+)"', page.text)
    assert nonce
    assert f"'nonce-{nonce[1]}'" in policy
