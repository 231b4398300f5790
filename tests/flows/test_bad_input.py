"""What nobody should send, and what time should not do: each gets the RFC's error, or a page
that says what to do. Never a traceback, never 500, never a redirect to an unverified URI."""

import base64
import json
import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request as HttpRequest

from tests.house import CALLBACK, ISSUER, Browser, House, Request, answer_of, build
from tests.serving import HOST, Place, Serving, serving

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
SUPPORT_CODE = re.compile(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b")
METHODS = ("HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "BREW")
FORM = "application/x-www-form-urlencoded"
SURROGATE = "%ED%A0%80"  # U+D800 as if it could be encoded


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For requests that leave nothing behind: no failed attempts, no moved clock."""
    built = build(
        tmp_path_factory.mktemp("shared"),
        factors=CHEAP,
        web={"sign_in_rate": "100000/minute", "machine_failure_rate": "100000/minute"},
    )
    yield built
    built.app.close()


@pytest.fixture(autouse=True)
def nothing_failed(request: pytest.FixtureRequest) -> Iterator[None]:
    """No request of the test met an exception that nobody expected."""
    used = {"house", "shared"} & set(request.fixturenames)
    houses: list[House] = [request.getfixturevalue(name) for name in used]
    yield
    for found in houses:
        counted = found.app.metrics.render()[0].decode().splitlines()
        assert [line for line in counted if 'event="request_failed"' in line] == []


def is_page(response: TestResponse, status: int) -> str:
    """A refusal to a person: what to do next, and a code to quote; nothing of the inside."""
    assert response.status_code == status, response.text
    assert response.mimetype == "text/html"
    assert "Location" not in response.headers
    assert "What you can do" in response.text
    assert SUPPORT_CODE.search(response.text)
    assert "Traceback" not in response.text
    return response.text


def is_error(response: TestResponse, status: int, error: str) -> None:
    """RFC 6749 section 5.2."""
    assert (response.status_code, response.json["error"]) == (status, error), response.text
    assert set(response.json) == {"error", "error_description"}


def raw(
    house: House, path: str, query: str = "", body: bytes | None = None, **environ: Any
) -> TestResponse:
    """A request whose bytes are exactly these: the helpers would mend them."""
    builder = EnvironBuilder(
        path=path, base_url=ISSUER, method="GET" if body is None else "POST", data=body or b""
    )
    made = {**builder.get_environ(), "QUERY_STRING": query, **environ}
    if body is not None:
        made["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", FORM)
    return TestResponse(*run_wsgi_app(house.app.wsgi, made), request=HttpRequest(made))


# Parameters


def test_unknown_parameters_are_ignored(shared: House) -> None:
    """RFC 6749 section 3.1."""
    request = Request(more={"utm_source": "x", "__proto__": "y", "sub": "root"})
    answer = shared.browser().sign_in(request, "ben")
    done = shared.redeem(request, answer["code"], "web", unknown="z", user_id="root")
    assert done.status_code == 200


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_repeated_address_of_the_client_is_a_page(shared: House, name: str) -> None:
    """Nothing is verified then, so there is nowhere to redirect to."""
    query = Request().query() + "&" + urlencode({name: "https://evil.example/"})
    assert f"Problem with: {name}" in is_page(shared.browser().get(f"/authorize?{query}"), 400)


@pytest.mark.parametrize("name", ["scope", "state", "response_type", "nonce", "code_challenge"])
def test_a_repeated_parameter_goes_back_to_the_client(shared: House, name: str) -> None:
    response = shared.browser().get(f"/authorize?{Request().query()}&{name}=x")
    assert response.headers["Location"].startswith(f"{CALLBACK}?")
    assert answer_of(response)["error"] == "invalid_request"
    assert ("state" in answer_of(response)) == (name != "state")


@pytest.mark.parametrize("name", ["grant_type", "code", "client_id", "code_verifier"])
def test_a_repeated_parameter_at_the_token_endpoint(shared: House, name: str) -> None:
    form = {"grant_type": ["authorization_code"], "code": ["x"], name: ["a", "b"]}
    is_error(shared.call("/token", form, client="web"), 400, "invalid_request")


def test_too_many_parameters(shared: House) -> None:
    many = "&".join(f"p{n}={n}" for n in range(101))
    is_page(raw(shared, "/authorize", f"{Request().query()}&{many}"), 400)
    is_error(raw(shared, "/token", body=many.encode()), 400, "invalid_request")
    is_page(raw(shared, "/logout", many), 400)
    assert raw(shared, "/authorize", f"{Request().query()}&a=1&b=2").status_code == 303


@pytest.mark.parametrize("bad", ["%FF", "%C3%28", SURROGATE, "%80abc"])
def test_bad_utf8_in_a_parameter(shared: House, bad: str) -> None:
    is_page(raw(shared, "/authorize", f"{Request().query()}&login_hint={bad}"), 400)
    is_page(raw(shared, "/logout", f"state={bad}"), 400)
    for path in ("/token", "/introspect", "/revoke"):
        is_error(raw(shared, path, body=f"token={bad}".encode()), 400, "invalid_request")
    is_error(raw(shared, "/token", body=b"grant_type=\xff\xfe"), 400, "invalid_request")


@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "state", "scope", "nonce", "login_hint", "acr_values"]
)
@pytest.mark.parametrize("value", ["\0", "a\0b", "\r\nSet-Cookie: a=b", "\u202e", "\U0010ffff"])
def test_control_characters_in_the_request(shared: House, name: str, value: str) -> None:
    browser = shared.browser()
    response = browser.authorize(Request(more={name: value}))
    if name in {"client_id", "redirect_uri"}:
        is_page(response, 400)
        return
    assert response.status_code in {200, 303}
    assert "a=b" not in str(response.headers.get_all("Set-Cookie"))
    if response.status_code == 200:  # the sign-in goes on, to its end
        answer = browser.sign_in(Request(more={name: value}), "ben")
        assert name != "state" or answer["state"] == value
    else:
        assert answer_of(response)["error"] in {"invalid_scope", "invalid_request"}


@pytest.mark.parametrize(
    "username", ["\0", "ben\0", "%ED%A0%80", "x" * 5000, "\u202eben", "' OR 1=1"]
)
def test_odd_names_are_wrong_like_any_other(shared: House, username: str) -> None:
    browser = shared.browser()
    browser.authorize(Request())
    response = browser.submit(username=username, password="whatever it is")
    assert response.status_code == 200
    assert "That did not match" in response.text


def test_a_surrogate_in_a_form_is_wrong_like_any_other(shared: House) -> None:
    browser = shared.browser()
    browser.authorize(Request())
    fields = urlencode(browser.fields() | {"username": "U", "password": "P"})
    body = fields.replace("=U", f"={SURROGATE}").replace("=P", "=%FF")
    browser.http.post(_action(browser), data=body, content_type=FORM, base_url=ISSUER)
    response = browser.get(_action(browser))
    assert response.status_code == 200
    assert "That did not match" in response.text


@pytest.mark.parametrize("password", ["", "\0", "x" * 1025, "é" * 600])
def test_odd_passwords_are_wrong_like_any_other(house: House, password: str) -> None:
    browser = house.browser()
    browser.authorize(Request())
    response = browser.submit(username="ben", password=password)
    assert response.status_code == 200
    assert "That did not match" in response.text


@pytest.mark.parametrize(
    "claims",
    [
        "[]",
        "null",
        "{",
        '"x"',
        "[" * 4000,
        '{"id_token": []}',
        '{"id_token": {"acr": 5}}',
        '{"id_token": {"acr": {"values": "aal1"}}}',
        '{"id_token": {"acr": {"value": {}}}}',
        '{"userinfo": {"name": []}}',
        " " * 4097,
    ],
)
def test_malformed_claims_go_back_to_the_client(shared: House, claims: str) -> None:
    response = shared.browser().authorize(Request(more={"claims": claims}))
    assert answer_of(response)["error"] == "invalid_request", response.text


@pytest.mark.parametrize("where", ["id_token", "userinfo"])
@pytest.mark.parametrize("name", ["\ud800", "\0", "__class__", "iss", "exp", "x" * 3000])
def test_odd_names_in_claims_change_nothing(shared: House, where: str, name: str) -> None:
    """JSON can spell a lone surrogate where UTF-8 cannot."""
    claims = json.dumps({where: {name: {"value": "\ud800\0", "essential": True}}})
    tokens = shared.tokens("ben", more={"claims": claims})
    answer = shared.call("/userinfo", bearer=tokens["access_token"])
    assert answer.status_code == 200
    assert answer.json["sub"] == shared.users["ben"]["sub"]


def test_a_surrogate_as_acr_is_an_acr_that_nobody_reaches(shared: House) -> None:
    wish = {"acr": {"value": "\ud800", "essential": True}}
    response = shared.browser().authorize(Request(more={"claims": json.dumps({"id_token": wish})}))
    if response.status_code == 200:
        browser = shared.browser()
        answer = browser.sign_in(Request(more={"claims": json.dumps({"id_token": wish})}), "ben")
    else:
        answer = answer_of(response)
    assert answer["error"] in {"unmet_authentication_requirements", "invalid_request"}


# Sizes


def test_an_oversized_body(house: House) -> None:
    big = b"grant_type=" + b"x" * 70_000
    for path in ("/token", "/introspect", "/revoke", "/userinfo"):
        is_error(raw(house, path, body=big), 413, "invalid_request")
    for path in ("/authorize", "/logout", "/recover"):
        is_page(raw(house, path, body=big), 413)
    browser = house.browser()
    browser.authorize(Request())
    path, fields = _action(browser), browser.fields()
    is_page(browser.submit(username="ben", password="x" * 70_000), 413)
    response = browser.http.post(
        path,
        data={**fields, "username": "ben", "password": house.users["ben"]["password"]},
        base_url=ISSUER,
    )
    assert answer_of(response)["code"]  # the page in front still works


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "9" * 20, "9" * 5000, "0x10", " "])
def test_a_lying_content_length(shared: House, length: str) -> None:
    response = raw(shared, "/token", body=b"grant_type=x", CONTENT_LENGTH=length)
    assert response.status_code in {400, 413}
    assert response.json["error"] == "invalid_request"


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data", "\xff", ""]
)
def test_a_body_of_another_type(shared: House, content_type: str) -> None:
    response = raw(shared, "/token", body=b'{"grant_type":"x"}', CONTENT_TYPE=content_type)
    is_error(response, 400, "invalid_request")
    page = raw(shared, "/interaction/x", body=b"--\r\n", CONTENT_TYPE=content_type)
    is_page(page, 403)


def test_a_long_parameter_goes_back_without_being_repeated(shared: House) -> None:
    long = "x" * 3000
    answer = answer_of(shared.browser().authorize(Request(more={"state": long})))
    assert answer == {
        "error": "invalid_request",
        "error_description": "A parameter is too long.",
        "iss": ISSUER,
    }


# Headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_COOKIE", "flow=\xff\xfe; sid=\x80"),
        ("HTTP_COOKIE", "flow=" + "x" * 5000 + "; sid=" + "y" * 5000),
        ("HTTP_COOKIE", "=;;;===; flow; sid=\x00"),
        ("HTTP_COOKIE", 'flow="\\377\\000"; sid="\\777"'),
        ("HTTP_COOKIE", "sid=a; sid=b; flow=c; flow=d"),
        ("HTTP_ACCEPT", "\xff/\xfe;q=nan"),
        ("HTTP_ACCEPT", "," * 2000),
        ("HTTP_ACCEPT_LANGUAGE", "\xff-\xfe;q=x, de;q=1e999, *;q=-1"),
        ("HTTP_ACCEPT_LANGUAGE", "a-" * 2000),
        ("HTTP_USER_AGENT", "\xff\x00" + "x" * 9000),
        ("HTTP_X_FORWARDED_FOR", "\xff, , not-an-address"),
        ("HTTP_ORIGIN", "\xff"),
        ("HTTP_SEC_FETCH_SITE", "\xff"),
        ("HTTP_HOST", "evil.example\xff"),
        ("HTTP_HOST", "a b:c:d"),
        ("HTTP_HOST", ""),
        ("REMOTE_ADDR", ""),
    ],
)
def test_headers_that_cannot_be_read_are_as_good_as_none(
    shared: House, name: str, value: str
) -> None:
    for path in ("/", "/authorize", "/logout", "/interaction/x"):
        response = raw(shared, path, Request().query(), **{name: value})
        assert response.status_code in {200, 303, 404}, (path, response.status, response.text)
        assert "evil" not in response.headers.get("Location", "")
    assert raw(shared, "/jwks", **{name: value}).status_code == 200
    assert raw(shared, "/userinfo", **{name: value}).status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Basic", "Basic ====", "Basic \xff", "Basic /w==", "Basic Og==", "Bearer", "Digest x", "\xff"],
)
def test_an_authorization_header_that_cannot_be_read(shared: House, value: str) -> None:
    for path in ("/token", "/introspect", "/revoke"):
        body = b"grant_type=client_credentials&token=x"
        response = raw(shared, path, body=body, HTTP_AUTHORIZATION=value)
        is_error(response, 401, "invalid_client")
        assert "Basic" in response.headers["WWW-Authenticate"]
    response = raw(shared, "/userinfo", HTTP_AUTHORIZATION=value)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


# Routes and methods


def routes(house: House) -> list[str]:
    pages = [rule.rule for rule in house.app.wsgi._pages.url_map.iter_rules()]  # type: ignore[attr-defined]
    found = sorted({*house.app.wsgi._routes, *pages})
    assert len(found) >= 11
    return [re.sub(r"<[^>]*>", "x", route) for route in found]


@pytest.mark.parametrize("method", METHODS)
def test_every_route_knows_its_methods(shared: House, method: str) -> None:
    for route in routes(shared):
        response = Client(shared.app.wsgi).open(route, method=method, base_url=ISSUER)
        known = {200, 204, 303, 400, 404} if method in {"HEAD", "OPTIONS"} else {405}
        if method == "HEAD":
            known |= {401, 403, 405}
            assert response.data == b""
        assert response.status_code in known | {405}, (route, response.status)
        if response.status_code == 405:
            assert response.headers["Allow"]
        assert "Traceback" not in response.text
        if method == "TRACE":
            assert response.status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/static/../../pyproject.toml",
        "/static/..%2f..%2fpyproject.toml",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/\0",
        "/interaction/..%2f..%2fauthorize",
        "/interaction/" + "a" * 5000,
        "/interaction/%00",
        "/interaction/%FF%FE",
        "/token/",
        "/token/..",
        "/authorize/",
        "/.well-known/",
        "/\\evil.example",
        "/dev/outbox",
        "/dev/clock",
        "/metrics",
        "/health",
    ],
)
def test_a_path_that_is_none(shared: House, path: str) -> None:
    is_page(Client(shared.app.wsgi).get(quote(path, "/%"), base_url=ISSUER), 404)


@pytest.mark.parametrize(
    "path", ["//authorize", "//evil.example/", "//interaction//x", "///", "//token"]
)
def test_slashes_too_many_lead_nowhere_else(shared: House, path: str) -> None:
    """No URL is made from the Host header, whatever the router would like to correct."""
    response = raw(shared, path, PATH_INFO=path, HTTP_HOST="evil.example")
    assert response.status_code in {200, 308, 404, 400}
    target = urlsplit(response.headers.get("Location", f"{ISSUER}/"))
    assert target.netloc in {"", urlsplit(ISSUER).netloc}, response.headers["Location"]


# Interactions


def test_an_expired_interaction_says_what_to_do(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request())
    path = _action(browser)
    house.clock.advance(timedelta(minutes=11))
    answered = browser.submit(username="ben", password=house.users["ben"]["password"])
    text = is_page(answered, 404)
    assert "Go back to the application and sign in again." in text
    is_page(browser.get(path), 404)
    assert browser.sign_in(Request(), "ben")["code"]


def _action(browser: Browser) -> str:
    assert browser.page is not None
    found = re.search(r'<form[^>]*action="([^"]*)"', browser.page.text)
    assert found, browser.page.text
    return urlsplit(found[1]).path


def test_an_interaction_belongs_to_its_browser(shared: House) -> None:
    """Neither its address nor its form works elsewhere; and the owner goes on undisturbed."""
    owner, other = shared.browser(), shared.browser()
    owner.authorize(Request())
    other.authorize(Request())
    path, fields = _action(owner), owner.fields()
    answer = {"username": "ben", "password": shared.users["ben"]["password"]}
    is_page(other.get(path), 404)
    is_page(other.http.post(path, data=fields | answer, base_url=ISSUER), 403)
    is_page(Client(shared.app.wsgi).post(path, data=fields | answer, base_url=ISSUER), 403)
    is_page(Client(shared.app.wsgi).get(path, base_url=ISSUER), 404)
    assert answer_of(owner.submit(**answer))["code"]


def test_the_csrf_token_of_another_interaction_is_none(shared: House) -> None:
    browser = shared.browser()
    browser.authorize(Request())
    first = _action(browser)
    browser.authorize(Request())
    assert _action(browser) != first
    answer = {"username": "ben", "password": shared.users["ben"]["password"]}
    response = browser.http.post(first, data=browser.fields() | answer, base_url=ISSUER)
    assert "reload the page and try again" in is_page(response, 403)
    for csrf in ("", "x", "\0", "é"):
        response = browser.http.post(first, data={**answer, "csrf": csrf}, base_url=ISSUER)
        is_page(response, 403)


def test_two_tabs_end_each_by_itself(shared: House) -> None:
    browser, first, second = shared.browser(), Request(), Request()
    browser.authorize(first)
    path, fields = _action(browser), browser.fields()
    answer = {"username": "ben", "password": shared.users["ben"]["password"]}
    browser.authorize(second)
    later = answer_of(browser.submit(**answer))
    earlier = answer_of(browser.http.post(path, data=fields | answer, base_url=ISSUER))
    assert (earlier["state"], later["state"]) == (first.state, second.state)
    assert shared.redeem(first, earlier["code"], "web").status_code == 200
    assert shared.redeem(second, later["code"], "web").status_code == 200


def test_a_form_that_is_sent_again_leads_on(shared: House) -> None:
    """After the end: no second code, but a page with a way to the application."""
    browser, request = shared.browser(), Request()
    browser.authorize(request)
    path = _action(browser)
    fields = browser.fields() | {"username": "ben", "password": shared.users["ben"]["password"]}
    first = answer_of(browser.http.post(path, data=fields, base_url=ISSUER))
    for response in (
        browser.http.post(path, data=fields, base_url=ISSUER),
        browser.http.get(path, base_url=ISSUER),
    ):
        assert response.status_code == 409
        assert "This sign-in was already finished" in response.text
        assert SUPPORT_CODE.search(response.text)
        link = re.search(r'href="(http[^"]*authorize[^"]*)"', response.text)
        assert link
        assert link[1].startswith(f"{ISSUER}/authorize?")
        assert "code=" not in response.text.replace("code_challenge", "")
    assert shared.redeem(request, first["code"], "web").status_code == 200


def test_back_to_a_step_that_is_done(house: House) -> None:
    """The password's form, sent again from history while the code is asked for."""
    browser, request = house.browser(), Request()
    browser.authorize(request)
    path = _action(browser)
    old = browser.fields() | {"username": "ana", "password": house.users["ana"]["password"]}
    browser.submit(**{k: old[k] for k in ("username", "password")})
    assert "code" in browser.fields()
    assert browser.http.post(path, data=old, base_url=ISSUER).status_code == 303
    again = browser.get(path)
    assert again.status_code == 200
    assert "This page was out of date. Please answer again." in again.text
    assert answer_of(browser.submit(code=house.totp("ana")))["code"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"factor": "no-such-factor", "password": "x"},
        {"factor": "totp", "code": "000000"},
        {"choose": "no-such-factor"},
        {"choose": "\0"},
        {"decision": "allow"},
        {"decision": "perhaps"},
        {"restart": "1"},
    ],
)
def test_a_form_that_fits_no_page_asks_again(shared: House, fields: dict[str, str]) -> None:
    """Above all: consent that is given before the sign-in gives nothing."""
    browser = shared.browser()
    browser.authorize(Request())
    form = {"csrf": browser.fields()["csrf"], **fields}
    response = browser._follow(browser.http.post(_action(browser), data=form, base_url=ISSUER))
    assert response.status_code == 200
    assert {"username", "password"} <= set(browser.fields())
    assert browser.sign_in(Request(), "ben")["code"]


# Clocks


@pytest.mark.parametrize(
    ("jump", "more"),
    [
        (timedelta(hours=-1), {}),
        (timedelta(hours=-1), {"max_age": "60"}),
        (timedelta(hours=-1), {"prompt": "login"}),
        (timedelta(minutes=5), {}),
        (timedelta(minutes=5), {"max_age": "60"}),
        (timedelta(minutes=5), {"prompt": "login"}),
    ],
)
def test_a_clock_that_jumps_in_the_middle_of_a_sign_in(
    house: House, jump: timedelta, more: dict[str, str]
) -> None:
    house.clock.advance(timedelta(days=1))
    browser, request = house.browser(), Request(more=more)
    browser.authorize(request)
    house.clock.advance(jump)
    answer = answer_of(browser.submit(username="ben", password=house.users["ben"]["password"]))
    assert house.redeem(request, answer["code"], "web").status_code == 200
    for again in ({}, {"max_age": "60"}, {"max_age": "0"}, {"prompt": "login"}):
        assert browser.sign_in(Request(more=again), "ben")["code"]  # within six pages: no loop


def test_a_clock_that_goes_back_behind_the_first_start(house: House) -> None:
    """The machine's clock was wrong when the keys were made, and was set right since."""
    house.clock.advance(timedelta(hours=-1))
    assert house.tokens("ben")["access_token"]


def test_a_clock_that_goes_back_an_hour_between_sign_ins(house: House) -> None:
    """Proofs of the future, sessions of the future: asked anew at worst, never without end."""
    house.clock.advance(timedelta(days=1))
    browser, request = house.browser(), Request()
    code = browser.sign_in(request, "ben")["code"]
    tokens = house.tokens("ben")
    house.clock.advance(timedelta(hours=-1))
    assert house.redeem(request, code, "web").status_code in {200, 400}
    for more in ({}, {"max_age": "60"}, {"max_age": "0"}, {"prompt": "login"}):
        assert browser.sign_in(Request(more=more), "ben")["code"]
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code in {200, 401}
    assert house.call("/token", _refresh(tokens), client="web").status_code in {200, 400}
    assert house.tokens("ben")["access_token"]
    house.clock.advance(timedelta(hours=1))
    assert house.tokens("ben")["access_token"]


def test_a_clock_that_jumps_a_year_ahead(house: House) -> None:
    browser, request = house.browser(), Request()
    code = browser.sign_in(request, "ben")["code"]
    tokens = house.tokens("ben")
    house.clock.advance(timedelta(seconds=1))
    browser.authorize(Request(more={"prompt": "login"}))
    house.clock.advance(timedelta(days=365))
    is_page(browser.submit(username="ben", password="x"), 404)
    is_error(house.redeem(request, code, "web"), 400, "invalid_grant")
    is_error(house.call("/token", _refresh(tokens), client="web"), 400, "invalid_grant")
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401
    silent = browser.authorize(Request(more={"prompt": "none"}))
    assert answer_of(silent)["error"] == "login_required"
    assert house.tokens("ana")["id_token"]
    house.clock.advance(timedelta(days=-365))
    assert house.tokens("ben")["id_token"]


def _refresh(tokens: dict[str, Any]) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}


# Anything at all

ANYTHING = st.text(max_size=40)
AUTHORIZE = {
    "response_type": ["code", "token", "code id_token"],
    "client_id": ["web", "native", "service"],
    "redirect_uri": [CALLBACK, "http://127.0.0.1:9/callback", "https://evil.example/"],
    "scope": ["openid", "openid profile", "offline_access"],
    "state": ["s"],
    "nonce": ["n"],
    "prompt": ["none", "login", "consent", "none login"],
    "max_age": ["0", "60", "-1"],
    "acr_values": ["aal1", "aal2"],
    "claims": ["{}", '{"id_token":{"acr":{"essential":true,"values":["aal2"]}}}'],
    "response_mode": ["query", "form_post", "fragment"],
    "code_challenge": ["x" * 43],
    "code_challenge_method": ["S256", "plain"],
    "resource": ["https://api.example.com", "urn:x"],
    "id_token_hint": ["a.b.c"],
    "ui_locales": ["ar ja"],
    "lang": ["ar"],
    "login_hint": ["ben"],
    "request": ["x"],
    "request_uri": ["https://evil.example/"],
}
TOKEN = {
    "grant_type": ["authorization_code", "refresh_token", "client_credentials"],
    "client_id": ["web", "native", "service", "web-post"],
    "client_secret": ["x"],
    "client_assertion": ["a.b.c", "e30.e30.e30"],
    "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    "code": ["x"],
    "redirect_uri": [CALLBACK],
    "code_verifier": ["x" * 43],
    "refresh_token": ["x"],
    "scope": ["openid", "api:read"],
    "resource": ["https://api.example.com"],
}


BODIES = [
    "/token",
    "/introspect",
    "/revoke",
    "/userinfo",
    "/authorize",
    "/logout",
    "/recover",
    "/interaction/x",
]


def pairs(known: dict[str, list[str]]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Mostly what would pass, some of it replaced by anything, now and then repeated."""
    one = st.sampled_from(sorted(known)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(known[name]) | ANYTHING)
    )
    return st.lists(one | st.tuples(ANYTHING, ANYTHING), max_size=12)


def encoded(given_pairs: list[tuple[str, str]]) -> str:
    return urlencode(given_pairs, errors="surrogatepass")


def _harmless(response: TestResponse, statuses: set[int]) -> None:
    assert response.status_code in statuses, (response.status, response.text)
    assert "Traceback" not in response.text
    target = urlsplit(response.headers.get("Location", ISSUER))
    assert f"{target.scheme}://{target.netloc}" in {
        ISSUER,
        "http://localhost:8001",
        "http://127.0.0.1:9",
    }


FUZZ = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(more=pairs(AUTHORIZE), whole=st.booleans())
def test_anything_at_authorize(shared: House, more: list[tuple[str, str]], whole: bool) -> None:
    """`whole`: on top of a good request, so that it gets past the first rules."""
    names = {name for name, _ in more}
    base = Request().query() if whole else ""
    kept = [part for part in base.split("&") if part.split("=")[0] not in names and part]
    query = "&".join([*kept, encoded(more)]).strip("&")
    response = raw(shared, "/authorize", query)
    _harmless(response, {200, 303, 400})
    if response.status_code == 303 and response.headers["Location"].startswith(ISSUER):
        assert "/interaction/" in response.headers["Location"]


@FUZZ
@given(form=pairs(TOKEN), basic=st.none() | st.sampled_from(["web", "service"]) | ANYTHING)
def test_anything_at_token(shared: House, form: list[tuple[str, str]], basic: str | None) -> None:
    headers = {}
    if basic in shared.clients:
        pair = f"{basic}:{shared.clients[basic]['client_secret']}"
        headers["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair.encode()).decode()
    elif basic is not None:
        headers["HTTP_AUTHORIZATION"] = basic.encode("utf-8", "surrogatepass").decode("latin-1")
    response = raw(shared, "/token", body=encoded(form).encode(), REMOTE_ADDR="", **headers)
    _harmless(response, {200, 400, 401})
    assert ("access_token" in response.json) == (response.status_code == 200)


@FUZZ
@given(body=st.binary(max_size=200), path=st.sampled_from(BODIES))
def test_any_bytes_in_a_body(shared: House, body: bytes, path: str) -> None:
    _harmless(raw(shared, path, body=body), {200, 303, 400, 401, 403})


# HTTP itself


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    place = Place(tmp_path_factory.mktemp("raw")).configure()
    with serving(place) as found:
        yield found


@pytest.mark.xdist_group("raw")
@pytest.mark.parametrize(
    "sent",
    [
        b"GET /jwks HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 600_000 + b"\r\n\r\n",
        b"GET /jwks HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /jwks HTTP/1.1\r\nHost: x\r\nCookie: a\0b\r\n\r\n",
        b"GET /authorize\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /authorize?\xff=\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /interaction/%FF%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /static/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /static/../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /logout HTTP/1.1\r\nHost: x\r\nCookie: sid=\xff\r\nConnection: close\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"TRACE /token HTTP/1.1\r\nHost: x\r\nX-Secret: echo\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 2000,
    ],
)
def test_bytes_that_are_hardly_http(live: Serving, sent: bytes) -> None:
    """An error or a closed door; and the next request is served."""
    with socket.create_connection((HOST, live.port), timeout=10) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:  # closed in the middle of it
            answer = b""
    if answer:
        status = int(answer.split(b" ", 2)[1])
        nobody = sent.startswith(b"GET /logout")  # of an odd cookie, who is signed out in any case
        assert 400 <= status < 500 or (nobody and status == 200), answer[:300]
        assert b"Traceback" not in answer
        assert b"echo" not in answer
        assert b"root:" not in answer
    assert live.call("/jwks").status_code == 200
    assert [line for line in live.log() if "request_failed" in line or "Traceback" in line] == []


@pytest.mark.xdist_group("raw")
def test_a_body_without_end_is_cut_off(live: Serving) -> None:
    """Chunks without a declared length: no more than max_body is read, then 413."""
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    head = f"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
    with socket.create_connection((HOST, live.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert live.call("/jwks").status_code == 200
