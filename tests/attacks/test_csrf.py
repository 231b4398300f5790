"""HD-04 and DESIGN section 4: every route, the methods it declares, and who may post to it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from flask import Flask

from tests.attacks.test_account import FORMS
from tests.house import Browser, House, Request, answer_of, build
from tests.rfc.tools import refusal

PAGES = {
    "/": {"GET"},
    "/authorize": {"GET", "POST"},
    "/interaction/<interaction_id>": {"GET", "POST"},
    "/logout": {"GET", "POST"},
    "/static/<path:path>": {"GET"},
    "/account": {"GET"},
    "/account/return": {"GET"},
    "/account/profile": {"GET", "POST"},
    "/account/password": {"GET", "POST"},
    "/account/authenticators": {"GET"},
    "/account/authenticators/add/<factor>": {"GET", "POST"},
    "/account/authenticators/<authenticator_id>": {"GET", "POST"},
    "/account/authenticators/<authenticator_id>/remove": {"GET", "POST"},
    "/account/recovery-codes": {"GET", "POST"},
    "/account/recovery-codes/download": {"POST"},
    "/account/second-factor": {"GET", "POST"},
    "/account/contact": {"GET"},
    "/account/contact/phone": {"GET", "POST"},
    "/account/contact/mail": {"GET", "POST"},
    "/account/applications": {"GET", "POST"},
    "/account/sessions": {"GET", "POST"},
    "/account/history": {"GET"},
    "/link/<token>": {"GET", "POST"},
    "/recover": {"GET", "POST"},
    "/recover/sent": {"GET"},
    "/register": {"GET", "POST"},
}
MACHINES = {
    "/token": {"POST"},
    "/introspect": {"POST"},
    "/revoke": {"POST"},
    "/userinfo": {"GET", "POST"},
    "/jwks": {"GET"},
    "/.well-known/openid-configuration": {"GET"},
    "/.well-known/oauth-authorization-server": {"GET"},
}
SILENT = {"prompt": "none"}
Target = tuple[Browser, str, dict[str, str]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """With every page there is."""
    built = build(tmp_path, registration={"open": True}, web={"sign_in_rate": "100000/minute"})
    yield built
    built.app.close()


def declared(house: House) -> dict[str, set[str]]:
    app = cast("Flask", house.app.wsgi._pages)
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        assert rule.methods, rule
        found.setdefault(rule.rule, set()).update(rule.methods - {"HEAD", "OPTIONS"})
    return found


def test_every_page_declares_its_methods(house: House) -> None:
    """A new route must be named here, and in the matrix below when it takes a POST."""
    assert declared(house) == PAGES


def test_every_machine_route_declares_its_methods(house: House) -> None:
    routes = house.app.wsgi._routes
    assert {path: set(route.methods) for path, route in routes.items()} == MACHINES
    assert all(route.cors in {"none", "listed", "any"} for route in routes.values())


def test_no_tools_of_development_outside_of_it(house: House) -> None:
    for path in ("/dev/outbox", "/dev/clock"):
        assert house.call(path).status_code == 404


def _action(browser: Browser) -> str:
    assert browser.page is not None
    found = re.search(r'<form[^>]*action="([^"]*)"', browser.page.text)
    assert found
    return urlsplit(found[1]).path


def _signed_in(house: House) -> Browser:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    return browser


def interaction(house: House, **answer: str) -> Target:
    browser = _signed_in(house)
    browser.authorize(Request(client_id="web-post", more={"prompt": "consent"}))
    return browser, _action(browser), {**browser.fields(), **answer}


def logout(house: House) -> Target:
    browser = _signed_in(house)
    browser.get("/logout")
    return browser, "/logout", {**browser.fields(), "logout": "yes"}


def withdraw(house: House) -> Target:
    browser = _signed_in(house)
    browser.authorize(Request(client_id="web-post", more={"prompt": "consent"}))
    browser.submit(decision="allow")
    browser.get("/account/applications")
    return browser, "/account/applications", {**browser.fields(), "withdraw": "web-post"}


def recover(house: House) -> Target:
    browser = _signed_in(house)
    browser.get("/recover")
    return browser, "/recover", {**browser.fields(), "username": "ben"}


def register(house: House) -> Target:
    browser = _signed_in(house)
    browser.get("/register")
    return browser, "/register", {**browser.fields(), "email": "new@example.com"}


def link(house: House) -> Target:
    """A link to choose a new password."""
    browser = _signed_in(house)
    path = urlsplit(
        house.app.links.issue(
            "reset", house.users["ben"]["sub"], {"email": "ben@example.com"}, timedelta(hours=1)
        )
    ).path
    browser.get(path)
    return browser, path, {**browser.fields(), "password": "a wholly new password"}


TARGETS: dict[str, tuple[str, Callable[[House], Target]]] = {
    "allow": ("/interaction/<interaction_id>", lambda house: interaction(house, decision="allow")),
    "deny": ("/interaction/<interaction_id>", lambda house: interaction(house, decision="deny")),
    "cancel": ("/interaction/<interaction_id>", lambda house: interaction(house, cancel="1")),
    "restart": ("/interaction/<interaction_id>", lambda house: interaction(house, restart="1")),
    "logout": ("/logout", logout),
    "withdraw": ("/account/applications", withdraw),
    "recover": ("/recover", recover),
    "register": ("/register", register),
    "link": ("/link/<token>", link),
}
CROSS_SITE_BY_DESIGN = {"/authorize"}  # OIDC Core 3.1.2.1: it becomes a GET, which asks first


def test_the_matrix_names_every_route_that_takes_a_post(house: House) -> None:
    posts = {path for path, methods in declared(house).items() if "POST" in methods}
    matrix = {path for path, _ in TARGETS.values()} | {path for path, _ in FORMS}
    assert posts == matrix | CROSS_SITE_BY_DESIGN


def state(house: House, browser: Browser) -> Any:
    """What a forged post could change: the session, the consents, the password; who gets mail."""
    user = house.users["ben"]["sub"]
    house.app.later.settle()
    mails = [message.to for _, message in house.outbox.messages()]
    held = [a.id for a in house.app.stores.authenticators.of(user)]
    consents = {(c.client_id, c.scopes) for c in house.app.stores.consents.of(user)}
    sessions = [s.id for s in house.app.stores.sessions.of(user) if s.ended_at is None]
    silent = answer_of(browser.authorize(Request(more=SILENT)))
    return consents, sessions, "code" in silent, mails, held


FORGERIES: dict[str, dict[str, Any]] = {
    "no token": {"drop": "csrf"},
    "empty token": {"data": {"csrf": ""}},
    "wrong token": {"data": {"csrf": "0" * 64}},
    "token not ascii": {"data": {"csrf": "ä" * 64}},
    "foreign origin": {"headers": {"Origin": "https://evil.example"}},
    "null origin": {"headers": {"Origin": "null"}},
    "origin of another port": {"headers": {"Origin": "http://localhost:8001"}},
    "origin of a look-alike": {"headers": {"Origin": "http://localhost:8000.evil.example"}},
    "cross-site": {"headers": {"Sec-Fetch-Site": "cross-site"}},
    "same-site": {"headers": {"Sec-Fetch-Site": "same-site"}},
    "text/plain": {"content_type": "text/plain"},
    "json": {"content_type": "application/json"},
    "no cookies": {"cookies": False},
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_hd_04_forged_posts(house: House, target: str, forgery: str) -> None:
    how = FORGERIES[forgery]
    browser, path, data = TARGETS[target][1](house)
    before = state(house, browser)
    data = {**data, **how.get("data", {})}
    data.pop(how.get("drop", ""), None)
    visitor = browser.http if how.get("cookies", True) else house.browser().http
    options: dict[str, Any] = {"data": data}
    if "content_type" in how:
        pairs = "&".join(f"{name}={value}" for name, value in data.items())
        options = {"data": pairs, "content_type": how["content_type"]}
    headers = how.get("headers", {})
    answer = visitor.post(path, headers=headers, base_url=house.issuer, **options)
    assert answer.status_code in {303, 403}
    if answer.status_code == 303 and target == "withdraw":  # of nobody: first sign in
        assert not how.get("cookies", True)
        assert answer.headers["Location"].startswith(f"{house.issuer}/authorize")
    elif answer.status_code == 303:  # /logout of unknown form is a relying party's request
        assert target == "logout"
        assert answer.headers["Location"].startswith(f"{house.issuer}/logout")
    assert state(house, browser) == before


@pytest.mark.parametrize("target", TARGETS)
def test_hd_04_a_token_is_for_one_form_of_one_browser(house: House, target: str) -> None:
    browser, path, data = TARGETS[target][1](house)
    before = state(house, browser)
    for _, other in TARGETS.values():
        _, _, foreign = other(house)
        forged = {**data, "csrf": foreign["csrf"]}
        assert browser.http.post(path, data=forged, base_url=house.issuer).status_code == 403
    consents, sessions, *rest = state(house, browser)
    assert before[0] <= consents
    assert set(before[1]) <= set(sessions)
    assert tuple(rest) == before[2:]


def test_hd_04_a_token_of_the_same_browser_for_something_else(house: House) -> None:
    browser = _signed_in(house)
    forms = {}
    for name in ("first", "second"):
        browser.authorize(Request(client_id="web-post", more={"prompt": "consent"}))
        forms[name] = (_action(browser), {**browser.fields(), "decision": "allow"})
    browser.get("/logout")
    forms["logout"] = ("/logout", {**browser.fields(), "logout": "yes"})
    browser.authorize(Request(client_id="web-post", more={"prompt": "consent"}))
    browser.submit(decision="allow")
    place = "/account/applications"
    browser.get(place)
    forms["account"] = (place, {**browser.fields(), "withdraw": "web-post"})
    before = state(house, browser)
    for name, (path, data) in forms.items():
        for other, (_, foreign) in forms.items():
            if other != name:
                sent = {**data, "csrf": foreign["csrf"]}
                assert browser.http.post(path, data=sent, base_url=house.issuer).status_code == 403
    assert state(house, browser) == before


@pytest.mark.parametrize("target", TARGETS)
def test_hd_04_a_get_changes_nothing(house: House, target: str) -> None:
    browser, path, data = TARGETS[target][1](house)
    before = state(house, browser)
    browser.http.get(path, query_string=data, base_url=house.issuer)
    assert state(house, browser) == before


@pytest.mark.parametrize("target", TARGETS)
def test_hd_04_the_genuine_form_works(house: House, target: str) -> None:
    """Without this the refusals above would prove nothing."""
    browser, path, data = TARGETS[target][1](house)
    headers = {"Origin": house.issuer, "Sec-Fetch-Site": "same-origin"}
    answer = browser.http.post(path, data=data, headers=headers, base_url=house.issuer)
    assert answer.status_code in {200, 303}
    if target == "logout":
        assert refusal(house, Request(more=SILENT), browser)["error"] == "login_required"
