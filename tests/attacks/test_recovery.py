"""LG-05 to LG-10 of recovery, invitation and registration: over HTTP, by the outbox."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import Client, TestResponse

from idp.model import Message
from idp.storage.users import SqlUsers
from tests.house import Browser, House, Request, answer_of, build

FRESH = "a wholly new password"
CHEAP: dict[str, Any] = {"factors": {"password": {"memory_kib": 8192, "iterations": 1}}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = build(
        tmp_path, **CHEAP, web={"sign_in_rate": "100000/minute"}, registration={"open": True}
    )
    yield built
    built.app.close()


def mails(house: House) -> list[Message]:
    house.app.later.settle()
    return [message for _, message in house.outbox.messages() if message.kind == "mail"]


def link_of(message: Message) -> str:
    found = re.search(r"http://localhost:8000(/link/[\w-]{43})\n?", message.text)
    assert found, message.text
    return found[1]


def ask(house: House, name: str, **options: Any) -> TestResponse:
    browser = house.browser()
    browser.get("/recover")
    return browser.submit(username=name)


def reset_link(house: House, name: str = "ben") -> str:
    ask(house, name)
    return link_of(mails(house)[0])


def follow(house: House, link: str, **answers: str) -> TestResponse:
    browser = house.browser()
    browser.get(link)
    return browser.submit(**answers)


def sign_in(house: House, username: str, password: str) -> TestResponse:
    browser = house.browser()
    browser.authorize(Request())
    return browser.submit(username=username, password=password)


def masked(response: TestResponse) -> tuple[int, str]:
    text = re.sub(r"[0-9a-f]{64}|nonce[-=]\"?[\w+/=-]{16,}", "*", response.text)
    return response.status_code, text


def test_a_reset_changes_the_password_and_nothing_else(house: House) -> None:
    before = house.users["amy"]["password"]
    page = follow(house, reset_link(house, "amy"), password=FRESH)
    assert "Your new password is set" in page.text
    assert "did not match" in sign_in(house, "amy", before).text
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    page = browser.submit(username="amy", password=FRESH)
    assert "Enter your code" in page.text  # LG-10: what else is demanded is asked as before
    held = {a.factor for a in house.app.stores.authenticators.of(house.users["amy"]["sub"])}
    assert held == {"password", "totp"}


@pytest.mark.parametrize("name", ["BEN", "ben@example.com", " ben "])
def test_a_name_in_any_spelling_or_a_verified_address_will_do(house: House, name: str) -> None:
    ask(house, name)
    assert [m.to for m in mails(house)] == ["ben@example.com"]


def test_lg_05_a_wish_is_answered_alike_whoever_there_is(house: House) -> None:
    house.user_admin.disable("cyd", actor="test")
    house.user_admin.add("una", password=FRESH, actor="test", email="una@example.com")
    answers = {name: masked(ask(house, name)) for name in ("ben", "cyd", "una", "nobody", "")}
    assert len(set(answers.values())) == 1
    assert [m.to for m in mails(house)] == ["ben@example.com"]


@pytest.mark.parametrize(
    ("path", "field", "name"),
    [
        ("/recover", "username", "ben"),
        ("/recover", "username", "nobody"),
        ("/register", "email", "ben@example.com"),
        ("/register", "email", "nobody@example.com"),
    ],
)
def test_lg_06_the_answer_waits_for_nobody_to_be_looked_up(
    house: House, monkeypatch: pytest.MonkeyPatch, path: str, field: str, name: str
) -> None:
    gate, looked = threading.Event(), []
    genuine = SqlUsers.find

    def find(users: SqlUsers, identifier: str) -> Any:
        looked.append(identifier)
        return genuine(users, identifier)

    browser = house.browser()
    browser.get(path)
    house.app.later(lambda: gate.wait(10) and None)
    monkeypatch.setattr(SqlUsers, "find", find)
    assert "on its way" in browser.submit(**{field: name}).text
    assert looked == []
    gate.set()
    house.app.later.settle()
    assert looked == [name]


def test_lg_05_registering_says_nothing_about_an_address(house: House) -> None:
    answers = []
    for address in ("ben@example.com", "new@example.com"):
        browser = house.browser()
        browser.get("/register")
        answers.append(masked(browser.submit(email=address)))
        house.app.later.settle()
    assert answers[0] == answers[1]
    newest, known = mails(house)[:2]
    assert "You have an account already" in known.subject
    assert "/link/" not in known.text
    assert "/link/" in newest.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"X-Original-URL": "http://evil.example/recover"},
    ],
)
def test_lg_08_links_are_made_of_the_configured_issuer(
    house: House, headers: dict[str, str]
) -> None:
    browser = house.browser()
    browser.get("/recover")
    cookie = browser.http.get_cookie("flow", domain="localhost")
    assert cookie
    Client(house.app.wsgi, use_cookies=False).post(
        "/recover",
        data={**browser.fields(), "username": "ben"},
        base_url=house.issuer,
        headers={**headers, "Cookie": f"flow={cookie.value}"},
    )
    assert link_of(mails(house)[0])
    assert "evil" not in mails(house)[0].text


@pytest.mark.parametrize("token", ["x" * 43, "", "..", "%00", "A" * 4096])
def test_lg_09_a_link_that_was_never_made_does_nothing(house: House, token: str) -> None:
    browser = house.browser()
    assert browser.get(f"/link/{token}").status_code == 404
    browser.get("/recover")
    response = browser.http.post(
        f"/link/{token}",
        data={**browser.fields(), "password": FRESH, "username": "ben"},
        base_url=house.issuer,
    )
    assert response.status_code in {403, 404, 405}
    assert answer_of(sign_in(house, "ben", house.users["ben"]["password"]))["code"]


def test_lg_09_steps_in_another_order_or_browser_do_nothing(house: House) -> None:
    link = reset_link(house)
    browser = house.browser()
    response = browser.http.post(link, data={"password": FRESH}, base_url=house.issuer)
    assert response.status_code == 403  # no page of ours before it
    browser.get("/recover")
    fields = browser.fields()
    response = browser.http.post(link, data={**fields, "password": FRESH}, base_url=house.issuer)
    assert response.status_code == 403  # the token of another form
    assert "Choose another password" in follow(house, link).text  # an empty one
    assert answer_of(sign_in(house, "ben", house.users["ben"]["password"]))["code"]
    assert "is set" in follow(house, link, password=FRESH).text  # and the link still works


def test_a_scanner_that_opens_a_link_uses_nothing_up(house: House) -> None:
    link = reset_link(house)
    for method in ("get", "head"):
        getattr(house.browser().http, method)(link, base_url=house.issuer)
    assert "is set" in follow(house, link, password=FRESH).text


def test_a_link_works_once(house: House) -> None:
    link = reset_link(house)
    follow(house, link, password=FRESH)
    assert house.browser().get(link).status_code == 404
    assert answer_of(sign_in(house, "ben", FRESH))["code"]


def test_a_link_ends(house: House) -> None:
    link = reset_link(house)
    house.clock.advance(timedelta(minutes=30, seconds=1))
    assert house.browser().get(link).status_code == 404


def test_a_newer_link_replaces_the_older_one(house: House) -> None:
    first = reset_link(house)
    second = reset_link(house)
    assert house.browser().get(first).status_code == 404
    assert house.browser().get(second).status_code == 200


def test_a_link_dies_with_the_address_it_was_sent_to(house: House) -> None:
    link = reset_link(house)
    user = house.user_admin.get("ben")
    house.app.stores.users.save(replace(user, email="other@example.com"))
    assert house.browser().get(link).status_code == 404


def test_a_disabled_user_gets_no_way_in(house: House) -> None:
    link = reset_link(house)
    house.user_admin.disable("ben", actor="test")
    assert house.browser().get(link).status_code == 404


def test_lg_10_everything_that_was_signed_in_is_out(house: House) -> None:
    request = Request(scope="openid offline_access", more={"prompt": "consent"})
    browser = house.browser()
    tokens = house.redeem(request, browser.sign_in(request, "ben")["code"], "web").json
    online = house.tokens("ben")
    page = follow(house, reset_link(house), password=FRESH)
    assert "Set-Cookie" not in page.headers or "session" not in page.headers["Set-Cookie"]
    for found in (tokens, online):
        refreshed = house.call(
            "/token",
            {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]},
            client="web",
        )
        assert refreshed.json["error"] == "invalid_grant"
        assert house.call("/userinfo", bearer=found["access_token"]).status_code == 401
    assert "Sign in" in browser.authorize(Request()).text


def test_lg_10_the_person_hears_of_it(house: House) -> None:
    follow(house, reset_link(house), password=FRESH)
    text = mails(house)[0].text
    assert "The password of your account ben was changed" in text
    assert "When: 2026-11-23 09:00 UTC" in text
    assert text.endswith("\n\nhttp://localhost:8000/account")


def test_nobodys_mailbox_is_flooded_and_the_last_link_works_until_there_is_another(
    house: House,
) -> None:
    for _ in range(5):
        ask(house, "ben")
        ask(house, "ben@example.com")
    assert len(mails(house)) == 3
    house.clock.advance(timedelta(minutes=29, seconds=59))
    assert house.browser().get(link_of(mails(house)[0])).status_code == 200
    house.clock.advance(timedelta(seconds=1))
    ask(house, "ben")
    assert len(mails(house)) == 4


def test_one_network_asks_for_twenty_an_hour(house: House) -> None:
    browser = house.browser()

    def ask_from(network: str, name: str) -> None:
        browser.get("/recover")
        form = {**browser.fields(), "username": name}
        where = {"REMOTE_ADDR": network}
        browser.http.post("/recover", data=form, base_url=house.issuer, environ_base=where)

    for number in range(20):
        ask_from("203.0.113.7", f"nobody {number}")
    ask_from("203.0.113.7", "ben")
    assert mails(house) == []
    ask_from("203.0.113.8", "ben")
    assert len(mails(house)) == 1
    house.clock.advance(timedelta(hours=1))
    ask_from("203.0.113.7", "ben")
    assert len(mails(house)) == 2


def test_a_mailbox_gets_three_links_an_hour_however_it_is_spelled(house: House) -> None:
    for address in ("new@example.com", "NEW@example.com", "new@EXAMPLE.COM", " new@example.com"):
        browser = house.browser()
        browser.get("/register")
        browser.submit(email=address)
    assert len(mails(house)) == 3


def test_a_password_that_strangers_disabled_by_guessing_can_be_set_anew(house: House) -> None:
    user_id = house.users["ben"]["sub"]
    (password,) = house.app.stores.authenticators.of(user_id)
    house.app.stores.authenticators.save(replace(password, disabled_at=house.clock()))
    assert "is set" in follow(house, reset_link(house), password=FRESH).text
    assert answer_of(sign_in(house, "ben", FRESH))["code"]


def test_what_was_typed_is_there_again_after_an_error_but_no_password(house: House) -> None:
    browser = house.browser()
    browser.get("/register")
    page = browser.submit(email="no address")
    assert 'value="no address"' in page.text
    browser.submit(email="new@example.com")
    page = follow(house, link_of(mails(house)[0]), username="newp", password="short")
    assert page.status_code == 422
    assert "too short" in page.text
    assert 'value="newp"' in page.text
    assert page.text.count('aria-invalid="true"') == 1
    assert 'value="short"' not in page.text


def test_a_registration_that_fails_half_way_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError

    browser = house.browser()
    browser.get("/register")
    browser.submit(email="new@example.com")
    monkeypatch.setattr(house.app.stores.users, "_bind", fail)
    page = follow(house, link_of(mails(house)[0]), username="newp", password=FRESH)
    assert page.status_code == 500
    assert house.app.stores.users.find("newp") is None
    assert house.app.stores.users.find("new@example.com") is None


def test_mails_to_somebody_new_are_in_the_language_of_the_page(house: House) -> None:
    browser = house.browser()
    browser.get("/register?lang=ja")
    browser.submit(email="new@example.com")
    assert mails(house)[0].locale == "ja"
    follow(house, link_of(mails(house)[0]), username="newp", password=FRESH)
    user = house.app.stores.users.find("newp")
    assert user is not None
    assert user.locale == "ja"


def test_no_event_holds_a_link(house: House) -> None:
    link = reset_link(house)
    house.browser().get(link)
    follow(house, link, password=FRESH)
    house.browser().get(link)
    house.app.close()
    token = link.rpartition("/")[2]
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    assert not any(token in str(row) for row in rows)


def test_somebody_registers(house: House) -> None:
    browser = house.browser()
    browser.get("/register")
    browser.submit(email="New.Person@Example.com")
    link = link_of(mails(house)[0])
    assert mails(house)[0].to == "New.Person@example.com"
    page = follow(house, link, username="ben", password=FRESH)
    assert "taken" in page.text
    page = follow(house, link, username="newp", password="x")
    assert "Choose another password" in page.text
    assert "Your account is ready" in follow(house, link, username="newp", password=FRESH).text
    user = house.user_admin.get("newp")
    assert (user.email, user.email_verified) == ("New.Person@example.com", True)
    assert answer_of(sign_in(house, "new.person@example.com", FRESH))["code"]
    assert house.browser().get(link).status_code == 404


def test_nobody_takes_an_address_as_a_username(house: House) -> None:
    browser = house.browser()
    browser.get("/register")
    browser.submit(email="mallory@example.com")
    link = link_of(mails(house)[0])
    page = follow(house, link, username="ben@example.com", password=FRESH)
    assert "own address" in page.text
    own = follow(house, link, username="mallory@example.com", password=FRESH)
    assert "Your account is ready" in own.text


def test_registration_is_off_by_default(tmp_path: Path) -> None:
    house = build(tmp_path, **CHEAP)
    assert house.browser().get("/register").status_code == 404
    page = house.browser().authorize(Request())
    assert "Create an account" not in page.text
    assert "Forgot your password?" in page.text
    house.app.close()


def test_recovery_by_mail_can_be_switched_off(tmp_path: Path) -> None:
    house = build(tmp_path, **CHEAP, recovery={"password_by_mail": False})
    assert house.browser().get("/recover").status_code == 404
    assert "Forgot your password?" not in house.browser().authorize(Request()).text
    house.app.close()


def test_an_invited_person_sets_the_password_and_is_led_through_what_is_demanded(
    house: House,
) -> None:
    invitations = house.app.invitations
    user = invitations.invite("ina", "ina@example.com", actor="test")
    assert not house.app.stores.users.get(user.id).email_verified  # type: ignore[union-attr]
    link = link_of(mails(house)[0])
    assert "ready" in follow(house, link, password=FRESH).text
    assert house.user_admin.get("ina@example.com").id == user.id
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    page = browser.submit(username="ina", password=FRESH)
    assert "Add your authenticator app" in page.text
    assert house.browser().get(link).status_code == 404


def test_an_invitation_that_cannot_be_sent_leaves_no_account(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Message) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(house.outbox, "send", refuse)
    with pytest.raises(Exception, match="could not be sent"):
        house.app.invitations.invite("ina", "ina@example.com", actor="test")
    assert house.app.stores.users.find("ina") is None


def test_the_pages_lead_on(house: House) -> None:
    page = ask(house, "ben")
    assert urlsplit(page.request.path).path == "/recover/sent"
    browser: Browser = house.browser()
    gone = browser.get("/link/" + "x" * 43)
    assert "Ask for a new link" in gone.text


def test_lg_10_who_began_with_the_old_password_does_not_end_with_it(house: House) -> None:
    """The attacker knows the password, and gets a code by other means a little later."""
    attacker = house.browser()
    attacker.authorize(Request(more={"acr_values": "aal2"}))
    page = attacker.submit(username="amy", password=house.users["amy"]["password"])
    assert "Enter your code" in page.text
    follow(house, reset_link(house, "amy"), password=FRESH)
    page = attacker.submit(code=house.totp("amy"))
    assert "Enter your password" in page.text
    page = attacker.submit(password=house.users["amy"]["password"])
    assert "did not match" in page.text
