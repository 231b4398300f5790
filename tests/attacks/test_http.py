"""Attacks on the surface: HD-05, HD-06, HD-09, HD-10."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.house import Browser, House, Request, build
from tests.rfc.tools import register

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}{%25x"
PAGE_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
DIRECTIVES = (
    "default-src 'none'",
    "base-uri 'none'",
    "object-src 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
)
REQUESTS = [
    ("GET", "/", 200),
    ("GET", "/authorize", 400),
    ("GET", "/interaction/none", 404),
    ("POST", "/interaction/none", 403),
    ("GET", "/logout", 200),
    ("GET", "/logout?id_token_hint=x", 400),
    ("POST", "/", 405),
    ("GET", "/account/return", 403),
    ("GET", "/no-such-page", 404),
    ("GET", "/static/none.css", 404),
    ("GET", "/static/../../../../etc/passwd", 404),
    ("GET", "/static/%2e%2e/%2e%2e/pyproject.toml", 404),
    ("PUT", "/logout", 405),
    ("TRACE", "/", 405),
]


def rendered_safely(text: str) -> None:
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "49{" not in text


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
def test_hd_06_every_page_carries_every_header(
    house: House, method: str, path: str, status: int
) -> None:
    response = house.call(path, method=method)
    assert response.status_code == status
    for name, value in PAGE_HEADERS.items():
        assert response.headers[name] == value, name
    assert "camera=()" in response.headers["Permissions-Policy"]
    policy = response.headers["Content-Security-Policy"]
    for directive in DIRECTIVES:
        assert directive in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "Server" not in response.headers


def test_hd_06_a_nonce_per_response(house: House) -> None:
    nonces = {
        re.findall(r"'nonce-([^']+)'", house.call("/").headers["Content-Security-Policy"])[0]
        for _ in range(20)
    }
    assert len(nonces) == 20
    assert min(map(len, nonces)) >= 22, "128 bits"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/token", 405),
        ("POST", "/token", 400),
        ("GET", "/userinfo", 401),
        ("POST", "/introspect", 400),
        ("POST", "/revoke", 400),
        ("GET", "/jwks", 200),
        ("GET", "/.well-known/openid-configuration", 200),
        ("TRACE", "/token", 405),
        ("OPTIONS", "/introspect", 405),
    ],
)
def test_hd_06_machine_answers(house: House, method: str, path: str, status: int) -> None:
    response = house.call(path, method=method)
    assert response.status_code == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Cache-Control" in response.headers
    assert "Set-Cookie" not in response.headers


def test_hd_06_https_brings_hsts_and_host_cookies(tmp_path: Path) -> None:
    house = build(tmp_path, factors=CHEAP, issuer="https://idp.example")
    browser = house.browser()
    browser.authorize(Request())
    sent = browser.http.get(f"/authorize?{Request().query()}", base_url=house.issuer)
    answer = browser.submit(username="ben", password=house.users["ben"]["password"])
    for response in (sent, answer, house.call("/jwks"), house.call("/nope")):
        assert response.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-sid=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    house.app.close()


# HD-05


def test_hd_05_login_hint_and_typed_name(house: House) -> None:
    browser = house.browser()
    rendered_safely(browser.authorize(Request(more={"login_hint": XSS})).text)
    assert browser.fields()["username"] == XSS
    rendered_safely(browser.submit(username=XSS, password=XSS).text)


@pytest.mark.parametrize("place", ["sign-in", "consent", "home", "logout"])
def test_hd_05_what_a_client_says_of_itself(house: House, place: str) -> None:
    register(
        house,
        "evil",
        name=XSS,
        redirect_uris=("http://localhost:8001/callback",),
        post_logout_redirect_uris=("http://localhost:8001/",),
        scopes=("openid",),
        require_consent=True,
        logo_uri="https://evil.example/track.png",
    )
    # Registration refuses such words and addresses; a record from elsewhere must do no harm either.
    evil = house.app.stores.clients.get("evil")
    assert evil
    house.app.stores.clients.save(
        replace(
            evil,
            scopes=("openid", XSS.replace(" ", "")),
            policy_uri="javascript:alert(3)",
            tos_uri="data:text/html,x",
        )
    )
    browser = house.browser()
    request = Request(client_id="evil", scope="openid " + XSS.replace(" ", ""))
    page = browser.authorize(request)
    if place != "sign-in":
        page = browser.submit(username="ben", password=house.users["ben"]["password"])
    if place in {"home", "logout"}:
        browser.submit(decision="allow")
        page = browser.get("/" if place == "home" else "/logout?client_id=evil")
    assert page.status_code == 200
    rendered_safely(page.text)
    assert "javascript:" not in page.text
    assert "data:text" not in page.text
    assert "evil.example" not in page.text, "no hot-linked logo"


@pytest.mark.parametrize(
    "path",
    [
        f"/authorize?client_id={XSS}",
        f"/logout?client_id={XSS}",
        f"/logout?{XSS}=1&{XSS}=2",
        f"/{XSS}",
        f"/interaction/{XSS}",
        f"/?lang={XSS}",
    ],
)
def test_hd_05_and_hd_09_reflected_parameters(house: House, path: str) -> None:
    rendered_safely(house.call(path).text)


@pytest.mark.parametrize(
    "payload", ["a\r\nX-Evil: 1", "a\nSet-Cookie: sid=x", "\x00", "' OR 1=1--"]
)
@pytest.mark.parametrize("name", ["state", "login_hint", "nonce", "ui_locales", "acr_values"])
def test_hd_09_nothing_is_injected(shared: House, name: str, payload: str) -> None:
    browser = shared.browser()
    response = browser.http.get(
        f"/authorize?{Request(more={name: payload, 'prompt': 'none'}).query()}",
        base_url=shared.issuer,
    )
    assert response.status_code == 303
    assert "X-Evil" not in response.headers
    assert not any("sid=x" in value for value in response.headers.getlist("Set-Cookie"))


# HD-10


class Down(Exception):
    """What a dead database would say."""


def fails(*_: Any, **__: Any) -> Any:
    raise Down("secret-host.internal: password authentication failed")


def bare(text: str) -> str:
    """Nothing of the cause; the support code that is shown."""
    for word in ("secret-host", "Down", "Traceback", "idp/", ".py", "Error:"):
        assert word not in text
    code = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b", text)
    assert code
    return code[0]


@pytest.mark.parametrize(
    ("store", "method", "path"),
    [("grants", "standing", "/userinfo"), ("users", "get", "/userinfo")],
)
def test_hd_10_a_dead_store_fails_closed(
    house: House, monkeypatch: pytest.MonkeyPatch, store: str, method: str, path: str
) -> None:
    token = house.tokens()["access_token"]
    monkeypatch.setattr(getattr(house.app.stores, store), method, fails)
    response = house.call(path, bearer=token)
    assert response.status_code == 500
    assert response.json["error"] == "server_error"
    assert response.headers["Cache-Control"] == "no-store"
    bare(response.text)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize(
    ("store", "method"), [("clients", "get"), ("ephemeral", "put"), ("sessions", "find")]
)
def test_hd_10_a_dead_store_behind_a_page(
    house: House, monkeypatch: pytest.MonkeyPatch, store: str, method: str, accept: str
) -> None:
    browser: Browser = house.browser()
    browser.sign_in(Request(), "ben")
    house.clock.advance(house.app.settings.storage.cache_ttl)
    monkeypatch.setattr(getattr(house.app.stores, store), method, fails)
    request = Request(more={"prompt": "login"})
    response = browser.authorize(request, headers={"Accept": accept})
    assert response.status_code == 500
    assert response.mimetype == accept
    assert response.headers["Content-Security-Policy"]
    bare(response.text)


def test_hd_10_the_support_code_leads_to_the_cause(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(house.app.stores.sessions, "find", fails)
        browser = house.browser()
        browser.http.set_cookie("sid", "x", domain="localhost")
        code = bare(browser.get("/").text)
    assert code in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("path", ["/.git/config", "/admin", "/metrics", "/console", "/debug"])
def test_hd_10_nothing_is_there(house: House, path: str) -> None:
    assert house.call(path).status_code == 404
