"""RFC 6749 sections 3.1 and 4.1.2: the authorization endpoint."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.house import CALLBACK, House, Request, answer_of
from tests.rfc.tools import is_page, refusal, register

State = str | None


def without(request: Request, name: str) -> str:
    pairs = [p for p in request.query().split("&") if p.partition("=")[0] != name]
    return "/authorize?" + "&".join(pairs)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_3_1_missing_client_or_redirect_uri_is_a_page(shared: House, name: str) -> None:
    is_page(shared.browser().get(without(Request(), name)), name)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_3_1_empty_counts_as_omitted(shared: House, name: str) -> None:
    is_page(shared.browser().get(f"{without(Request(), name)}&{name}="), name)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_3_1_repeated_client_or_redirect_uri_is_a_page(house: House, name: str) -> None:
    value = {"client_id": "web", "redirect_uri": CALLBACK}[name]
    query = Request().query() + "&" + urlencode({name: value})
    is_page(house.browser().get(f"/authorize?{query}"), name)


def test_4_1_2_1_unknown_client_is_a_page(house: House) -> None:
    is_page(house.browser().authorize(Request(client_id="nobody")), "client_id")


@pytest.mark.parametrize("more", [{"response_type": "token"}, {"scope": "nope"}, {"prompt": "x"}])
def test_4_1_2_1_an_unverified_redirect_uri_is_never_used(
    house: House, more: dict[str, str]
) -> None:
    request = Request(redirect_uri="https://evil.example/cb", more=more)
    is_page(house.browser().authorize(request), "redirect_uri")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"scope": "no-such-scope"}, "invalid_scope"),
        ({"scope": ["openid", "profile"]}, "invalid_request"),
        ({"nonce": ["a", "b"]}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"userinfo":1}'}, "invalid_request"),
        ({"claims": "[" * 3000}, "invalid_request"),
        ({"id_token_hint": "x"}, "invalid_request"),
        ({"nonce": "n" * 3000}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://rp/x"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
def test_4_1_2_1_errors_go_to_the_verified_redirect_uri(
    shared: House, more: dict[str, str], error: str
) -> None:
    request = Request(more=more)
    answer = refusal(shared, request)
    assert answer["error"] == error
    assert answer["state"] == request.state
    assert answer["iss"] == shared.issuer
    assert set(answer) == {"error", "error_description", "state", "iss"}


def test_4_1_2_1_a_client_without_the_grant_type_is_unauthorized(house: House) -> None:
    register(
        house, "odd", redirect_uris=(CALLBACK,), grant_types=("refresh_token",), scopes=("openid",)
    )
    assert refusal(house, Request(client_id="odd"))["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    "state", ["simple", "ä€😀", "a&b=c#d?e", " lead and trail ", "%20+%2B", '"<script>', "a\r\nb"]
)
@pytest.mark.parametrize("ending", ["success", "error"])
def test_4_1_2_state_is_echoed_exactly(house: House, state: str, ending: str) -> None:
    request = Request(state=state)
    if ending == "error":
        request.more = {"prompt": "none"}
        answer = refusal(house, request)
        assert answer["error"] == "login_required"
    else:
        answer = house.browser().sign_in(request, "ben")
    assert answer["state"] == state


@pytest.mark.parametrize("more", [{"state": None}, {"state": ""}])
@pytest.mark.parametrize("prompt", [None, "none"])
def test_4_1_2_state_is_not_invented(house: House, more: State, prompt: State) -> None:
    request = Request(more={**more, "prompt": prompt})  # type: ignore[dict-item]
    assert "state" not in house.browser().sign_in(request, "ben")


def test_4_1_2_1_a_repeated_state_is_refused_and_none_of_them_echoed(house: House) -> None:
    answer = refusal(house, Request(more={"state": ["a", "b"]}))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


def test_3_1_unknown_parameters_are_ignored(house: House) -> None:
    request = Request(more={"frobnicate": "1", "utm_source": "x"})
    assert "code" in house.browser().sign_in(request, "ben")


def test_3_1_repeated_unknown_parameters_are_refused(house: House) -> None:
    assert refusal(house, Request(more={"x": ["1", "2"]}))["error"] == "invalid_request"


@pytest.mark.parametrize("query", ["client_id=%ff", "state=%C3%28&client_id=web", "a=1&" * 101])
def test_3_1_what_cannot_be_decoded_is_a_page(shared: House, query: str) -> None:
    response = shared.browser().get(f"/authorize?{query}")
    assert response.status_code == 400
    assert response.mimetype == "text/html"


def test_3_1_the_request_may_come_by_post(house: House) -> None:
    browser = house.browser()
    request = Request()
    sent = browser.http.post(
        "/authorize",
        data=request.query(),
        content_type="application/x-www-form-urlencoded",
        base_url=house.issuer,
    )
    assert sent.status_code == 303
    assert sent.headers["Location"].startswith(f"{house.issuer}/authorize?")
    assert "username" in browser._follow(sent).text


def test_3_1_2_the_query_of_a_redirect_uri_stays(house: House) -> None:
    register(house, "query", redirect_uris=(f"{CALLBACK}?tenant=a%26b",), scopes=("openid",))
    request = Request(client_id="query", redirect_uri=f"{CALLBACK}?tenant=a%26b", scope="openid")
    browser = house.browser()
    answer = browser.sign_in(request, "ben")
    assert answer["tenant"] == "a&b"
    assert "code" in answer


@pytest.mark.parametrize("change", [str.upper, lambda uri: uri + "/", lambda uri: uri + "?x=1"])
def test_3_1_2_3_redirect_uris_are_compared_as_strings(
    house: House, change: Callable[[str], str]
) -> None:
    request = Request(redirect_uri=change(CALLBACK))
    is_page(house.browser().authorize(request), "redirect_uri")


def test_4_1_1_no_scope_at_all_is_a_plain_oauth_request(house: House) -> None:
    request = Request(scope=None)
    tokens = house.redeem(request, house.browser().sign_in(request, "ben")["code"], "web").json
    assert "id_token" not in tokens


def test_3_3_unknown_scopes_beside_known_ones_are_ignored(house: House) -> None:
    assert house.tokens(scope="openid nope")["scope"] == "openid"


def test_4_1_2_1_denied_by_the_person(house: House) -> None:
    browser = house.browser()
    request = Request(client_id="web-post")
    browser.authorize(request)
    browser.submit(username="ben", password=house.users["ben"]["password"])
    answer = answer_of(browser.submit(decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == request.state


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_3_1_other_methods_are_refused(house: House, method: str) -> None:
    response = house.call(f"/authorize?{Request().query()}", method=method)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
