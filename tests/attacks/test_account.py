"""MF-08, MF-09, LG-11 and their kin against the account pages: who gets in, and to change what."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from idp.model import Consent
from idp.oidc.first_party import ACCOUNT
from tests.account import codes, enter, held, post, provider, send, visit
from tests.house import START, Browser, House, Request

ANY = "0" * 32
READ = (
    "/account",
    "/account/profile",
    "/account/authenticators",
    "/account/contact",
    "/account/applications",
    "/account/sessions",
    "/account/history",
)
GUARDED = (
    "/account/password",
    "/account/authenticators/add/totp",
    f"/account/authenticators/{ANY}",
    f"/account/authenticators/{ANY}/remove",
    "/account/recovery-codes",
    "/account/second-factor",
    "/account/contact/phone",
    "/account/contact/mail",
)
# Every form of the account pages: where it goes, and what of it would do something.
FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/account/profile", {"name": "Mallory"}),
    ("/account/password", {"password": "known", "new_password": "chosen by somebody else"}),
    ("/account/authenticators/add/<factor>", {"code": "123456"}),
    ("/account/authenticators/<authenticator_id>", {"name": "Mallory"}),
    ("/account/authenticators/<authenticator_id>/remove", {}),
    ("/account/recovery-codes", {"form": "x"}),
    ("/account/recovery-codes/download", {"code": "AAAA-AAAA-AAAA-AAAA-AAAA"}),
    ("/account/second-factor", {"ask": "always"}),
    ("/account/contact/phone", {"phone": "+4915112345678"}),
    ("/account/contact/mail", {"email": "mallory@example.com"}),
    ("/account/applications", {"withdraw": "web-post"}),
    ("/account/sessions", {"end": "others"}),
)


# Those that need a fresh proof.
FREE = {*READ, "/account/recovery-codes/download"}
LATE = [(path, form) for path, form in FORMS if path not in FREE]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = provider(tmp_path)
    yield built
    built.app.close()


def filled(house: House, path: str, username: str = "amy") -> str:
    mine = held(house, username)["totp"][0]
    return path.replace("<factor>", "totp").replace("<authenticator_id>", mine)


def target(response: Any) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(response.headers["Location"])
    return parts.path, parse_qs(parts.query)


def everything(house: House) -> Any:
    """What a form here could change of anybody."""
    stores = house.app.stores
    people = [str(u["sub"]) for u in house.users.values()]
    return [
        (
            stores.users.get(sub),
            [(a.id, a.name, a.factor) for a in stores.authenticators.of(sub)],
            [s.id for s in stores.sessions.of(sub) if s.ended_at is None],
            stores.consents.of(sub),
        )
        for sub in people
    ]


@pytest.mark.parametrize("path", [*READ, *GUARDED])
def test_mf_08_nobody_sees_a_page_without_a_sign_in(house: House, path: str) -> None:
    answer = house.browser().http.get(path, base_url=house.issuer)
    where, asked = target(answer)
    assert (answer.status_code, where) == (303, "/authorize")
    assert asked["client_id"] == [ACCOUNT]


@pytest.mark.parametrize("path", [*READ, *GUARDED])
def test_mf_08_half_a_sign_in_is_nobody(house: House, path: str) -> None:
    """The password is proven, the second factor is not."""
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    page = browser.submit(username="amy", password=house.users["amy"]["password"])
    assert "Enter your code" in page.text
    answer = browser.http.get(path, base_url=house.issuer)
    assert target(answer)[0] == "/authorize"
    assert 'class="sections"' not in browser.get(path).text


@pytest.mark.parametrize(("path", "form"), FORMS)
def test_mf_08_a_form_of_nobody_does_nothing(house: House, path: str, form: dict[str, str]) -> None:
    before = everything(house)
    answer = house.browser().http.post(filled(house, path), data=form, base_url=house.issuer)
    assert target(answer)[0] == "/authorize"
    assert everything(house) == before


@pytest.mark.parametrize("path", GUARDED)
def test_mf_09_a_password_alone_opens_nothing_that_changes_a_second_factor(
    house: House, path: str
) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")  # she has TOTP; this sign-in did not ask for it
    answer = browser.http.get(path, base_url=house.issuer)
    where, asked = target(answer)
    assert where == "/authorize"
    assert asked["acr_values"] == ["aal2"]
    assert asked["max_age"] == ["300"]
    page = browser.get(path)
    assert "Enter your code" in page.text


@pytest.mark.parametrize(("path", "form"), LATE)
def test_mf_09_a_form_with_an_old_proof_changes_nothing(
    house: House, path: str, form: dict[str, str]
) -> None:
    """The page was shown in time; its form comes too late, and leads back to the page."""
    path = filled(house, path)
    browser = enter(house, "amy", path)
    data = {**browser.fields(), **form}
    house.clock.advance(timedelta(minutes=6))
    before = everything(house)
    answer = browser.http.post(path, data=data, base_url=house.issuer)
    where, asked = target(answer)
    assert where == "/authorize"
    assert asked["state"][0].endswith(path)
    assert everything(house) == before


def test_mf_09_the_proof_of_one_browser_is_of_no_use_in_another(house: House) -> None:
    enter(house, "amy", "/account/authenticators/add/totp")
    other = house.browser()
    other.sign_in(Request(), "amy")
    assert "Enter your code" in other.get("/account/authenticators/add/totp").text


@pytest.mark.parametrize(("path", "form"), FORMS)
@pytest.mark.parametrize("forgery", ["no token", "of another page", "of another session"])
def test_hd_04_forged_forms(house: House, path: str, form: dict[str, str], forgery: str) -> None:
    place = filled(house, path)
    browser = enter(house, "amy", "/account/password")
    foreign = browser.fields()["csrf"]
    if forgery == "of another session":
        other = enter(house, "ana", "/account/second-factor")
        foreign = other.fields()["csrf"]
    if forgery == "of another page":
        visit(house, browser, "amy", "/account/second-factor")
        wanted = "/account/second-factor"
        foreign = browser.fields()["csrf"] if place != wanted else foreign
    token = {} if forgery == "no token" else {"csrf": foreign}
    before = everything(house)
    answer = browser.http.post(place, data={**form, **token}, base_url=house.issuer)
    assert answer.status_code == 403
    assert everything(house) == before


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_hd_04_a_form_from_another_site(house: House, headers: dict[str, str]) -> None:
    browser = enter(house, "ben", "/account/profile")
    before = everything(house)
    data = {**browser.fields(), "name": "Mallory"}
    answer = browser.http.post(
        "/account/profile", data=data, headers=headers, base_url=house.issuer
    )
    assert answer.status_code == 403
    assert everything(house) == before


def test_lg_11_a_new_password_without_the_current_one(house: House) -> None:
    browser = enter(house, "ben", "/account/password")
    before = everything(house)
    form = {"csrf": browser.fields()["csrf"], "new_password": "a brand new password"}
    answer = browser.http.post("/account/password", data=form, base_url=house.issuer)
    assert answer.status_code == 403
    assert everything(house) == before


def test_lg_11_the_id_of_somebody_else_is_not_listened_to(house: House) -> None:
    browser = enter(house, "ben", "/account/password")
    before = everything(house)
    more = {"user": house.users["amy"]["sub"], "user_id": house.users["amy"]["sub"]}
    page = send(
        house,
        browser,
        "/account/password",
        password=house.users["amy"]["password"],
        new_password="a brand new password",
        **more,
    )
    assert "That is not your current password." in page
    assert everything(house) == before


def test_lg_11_guesses_of_the_current_password_are_counted(house: House) -> None:
    browser = enter(house, "ben", "/account/password")
    for _ in range(5):
        page = send(
            house, browser, "/account/password", password="guess", new_password="brand new one"
        )
    assert "Too many attempts" in page or "You can try again" in page
    page = send(
        house,
        browser,
        "/account/password",
        password=house.users["ben"]["password"],
        new_password="a brand new password",
    )
    assert "Too many attempts" in page


@pytest.mark.parametrize("more", ["", "/remove"])
@pytest.mark.parametrize("whose", ["amy", "nobody"])
def test_an_authenticator_of_somebody_else_is_not_found(
    house: House, more: str, whose: str
) -> None:
    other = held(house, "amy")["totp"][0] if whose == "amy" else ANY
    path = f"/account/authenticators/{other}{more}"
    browser = enter(house, "ana", "/account/second-factor")
    assert browser.get(path).status_code == 404
    before = everything(house)
    own = held(house, "ana")["totp"][0]
    browser.get(f"/account/authenticators/{own}{more}")
    token = browser.fields()
    answer = browser.http.post(path, data={**token, "name": "x"}, base_url=house.issuer)
    assert answer.status_code in {403, 404}
    assert everything(house) == before


def test_a_session_of_somebody_else_is_not_found(house: House) -> None:
    enter(house, "amy")
    other = house.app.sessions.of(house.users["amy"]["sub"])[0].id
    browser = enter(house, "ben")
    assert post(house, browser, "/account/sessions", end=other).status_code == 404
    assert len(house.app.sessions.of(house.users["amy"]["sub"])) == 1


def test_a_consent_of_somebody_else_is_not_found(house: House) -> None:
    other = house.browser()
    other.sign_in(Request(client_id="web-post"), "cyd")
    browser = enter(house, "ben")
    mine = Consent(house.users["ben"]["sub"], "native", frozenset(), frozenset(), START)
    house.app.stores.consents.save(mine)
    assert post(house, browser, "/account/applications", withdraw="web-post").status_code == 404
    assert house.app.stores.consents.of(house.users["cyd"]["sub"])


def test_a_disabled_user_is_nobody_at_once(house: House) -> None:
    browser = enter(house, "ben")
    user = house.app.stores.users.get(house.users["ben"]["sub"])
    assert user is not None
    house.app.stores.users.save(replace(user, disabled_at=house.clock()))
    assert target(browser.http.get("/account", base_url=house.issuer))[0] == "/authorize"


def returned(house: House, browser: Browser, **given: str) -> Any:
    return browser.http.get(f"/account/return?{urlencode(given)}", base_url=house.issuer)


def state_of(house: House, browser: Browser, path: str = "/account/profile") -> str:
    answer = browser.http.get(path, base_url=house.issuer)
    return target(answer)[1]["state"][0]


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/account/history", "", "/account/profile "]
)
def test_the_way_back_cannot_be_changed(house: House, back: str) -> None:
    browser = house.browser()
    state = state_of(house, browser)
    assert returned(house, browser, state=state[:64] + back).status_code == 403


def test_an_answer_for_another_browser_leads_nowhere(house: House) -> None:
    """Login CSRF: the victim follows the attacker's answer."""
    attacker = enter(house, "ben")
    attacker.http.delete_cookie("sid", domain="localhost")
    state = state_of(house, attacker)
    victim = enter(house, "amy")
    assert returned(house, victim, state=state).status_code == 403
    assert "amy" in victim.get("/account").text


@pytest.mark.parametrize("given", [{}, {"state": ""}, {"state": "ä" * 70}, {"state": "0" * 64}])
def test_an_answer_that_nobody_asked_for(house: House, given: dict[str, str]) -> None:
    assert returned(house, house.browser(), **given).status_code == 403
    assert returned(house, enter(house, "ben"), **given).status_code == 403


def test_an_answer_without_a_session_is_no_loop(house: House) -> None:
    browser = house.browser()
    answer = returned(house, browser, state=state_of(house, browser))
    assert answer.status_code == 403
    assert "cookie" in answer.text


def test_what_people_and_browsers_say_of_themselves_is_shown_as_text(house: House) -> None:
    evil = '"><script>alert(1)</script>'
    browser = enter(house, "ben")
    session = house.app.sessions.of(house.users["ben"]["sub"])[0]
    odd = replace(session, id="odd", user_agent=f"Firefox/1 {evil}", ip=evil)
    house.app.stores.sessions.add(odd, b"0" * 32)
    send(house, browser, "/account/profile", name=evil, nickname=evil)
    for path in READ:
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert 'value=""><' not in page
    assert "&lt;script&gt;alert" in browser.get("/account").text


def test_no_secret_is_in_the_audit_trail(house: House) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    page = browser.submit()
    browser.get("/account/password")
    browser.submit(password="wrong one", new_password="a secret that I chose")
    rows = [str(row.detail) for _, row in house.app.stores.audit.read(limit=1000)]
    assert codes(page.text)
    for secret in (*codes(page.text), "wrong one", "a secret that I chose"):
        assert not any(secret in row for row in rows)
