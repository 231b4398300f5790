"""Attacks on the sign-in: LG-02, LG-05, LG-07, MF-01, MF-03, MF-08."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from werkzeug.test import Client, TestResponse

from idp.operate.users import Refused
from tests.house import Browser, House, Request, answer_of, build
from tests.rfc.tools import at_once, refusal

RATE = "100000/minute"  # the limit per address is another defence: here it would hide this one
ALLOWED = 5  # the fifth failure is the first that costs a wait (idp/storage/attempts.py)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    cheap = {"password": {"memory_kib": 8192, "iterations": 1}}
    built = build(tmp_path, factors=cheap, web={"sign_in_rate": RATE})
    yield built
    built.app.close()


def started(house: House) -> tuple[str, dict[str, str], str]:
    """A sign-in page: where to post, with which fields and cookie."""
    browser = house.browser()
    page = browser.authorize(Request())
    path = re.search(r'action="[^"]*(/interaction/[^"]*)"', page.text)
    cookie = browser.http.get_cookie("flow", domain="localhost")
    assert path
    assert cookie
    return path[1], browser.fields(), f"flow={cookie.value}"


def guess(
    house: House, place: tuple[str, dict[str, str], str], username: str, password: str
) -> str:
    """`in`, `wait`, `no`, or the status of a page that is not the form."""
    path, fields, cookie = place
    visitor = Client(house.app.wsgi, use_cookies=False)
    options: dict[str, Any] = {"headers": {"Cookie": cookie}, "base_url": house.issuer}
    data = {**fields, "username": username, "password": password}
    answer = visitor.post(path, data=data, **options)
    if answer.headers.get("Location", "").startswith(house.issuer + "/"):
        answer = visitor.get(path, **options)
    if answer.status_code == 303:
        return "in" if "code=" in answer.headers["Location"] else "error"
    return {200: "no", 429: "wait"}.get(answer.status_code, str(answer.status_code))


def test_lg_02_two_hundred_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    factor, verified = house.app.factors["password"], []
    genuine = factor.verify

    def counting(*given: Any) -> Any:
        verified.append(given)
        return genuine(*given)

    monkeypatch.setattr(factor, "verify", counting)
    places = [started(house) for _ in range(20)]
    names = ("ben", "BEN", " ben ", "\uff42\uff45\uff4e")
    statuses = at_once(
        [lambda n=n: guess(house, places[n % 20], names[n % 4], f"wrong-{n}") for n in range(200)]
    )
    assert 1 <= len(verified) <= ALLOWED
    assert set(statuses) <= {"no", "wait"}
    right = house.users["ben"]["password"]
    assert guess(house, started(house), "ben", right) == "wait", "even the right one must wait"
    assert len(verified) <= ALLOWED
    house.clock.advance(timedelta(seconds=31))
    assert guess(house, started(house), "ben", right) == "in"


def test_lg_02_waiting_grows(house: House) -> None:
    place = started(house)
    waits = []
    for _ in range(8):
        guess(house, place, "ben", "wrong")
        waited = 0
        while guess(house, place, "ben", "wrong") == "wait":
            house.clock.advance(timedelta(seconds=15))
            waited += 15
            if waited >= 240:
                break
        waits.append(waited)
    assert waits[:2] == [0, 0], "a few mistakes cost nothing"
    assert waits[2:] == sorted(waits[2:])
    assert waits[-1] == 240, "minutes, not seconds, in the end"


def test_lg_02_a_success_forgets_the_failures(house: House) -> None:
    right = house.users["ben"]["password"]
    for _ in range(3):
        for _ in range(4):
            assert guess(house, started(house), "ben", "wrong") == "no"
        assert guess(house, started(house), "ben", right) == "in"


def seen(response: TestResponse, username: str) -> tuple[int, list[tuple[str, str]], str]:
    """All of an answer but what is random or was typed."""
    text = response.text.replace(username, "NAME")
    headers = [(n, v) for n, v in response.headers if n not in {"Date", "Content-Length"}]
    for pattern in (
        r"nonce[-=]\"?[A-Za-z0-9_+/=-]{16,}",
        r"challenge&#34;: &#34;[A-Za-z0-9_-]{43}",
        r"[0-9a-f]{64}",
        r"[0-9a-f]{32}",
        r"\b[A-Z2-7]{4}-[A-Z2-7]{4}\b",
        r"challenge&#34;: &#34;[A-Za-z0-9_-]{43,}",
    ):
        text = re.sub(pattern, "*", text)
        headers = [(n, re.sub(pattern, "*", v)) for n, v in headers]
    return response.status_code, headers, text


def test_lg_05_known_unknown_and_disabled_look_alike(house: House) -> None:
    house.user_admin.disable("cyd", actor="test")
    answers: dict[str, list[Any]] = {}
    for name in ("ben", "cyd", "nob"):
        browser = house.browser()
        browser.authorize(Request())
        found = answers.setdefault(name, [])
        for _ in range(7):
            found.append(seen(browser.submit(username=name, password="wrong-guess"), name))
    assert answers["ben"] == answers["nob"]
    assert answers["ben"] == answers["cyd"]
    assert {answer[0] for answer in answers["ben"]} == {200, 429}


def test_lg_05_the_right_password_of_a_disabled_user(house: House) -> None:
    house.user_admin.disable("cyd", actor="test")
    right = house.users["cyd"]["password"]
    found = {}
    for name in ("cyd", "nob"):
        browser = house.browser()
        browser.authorize(Request())
        found[name] = seen(browser.submit(username=name, password=right), name)
    assert found["cyd"] == found["nob"]


def test_lg_05_unknown_users_cost_the_same_hash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor, hashed = house.app.factors["password"], []
    genuine = factor._matches  # type: ignore[attr-defined]

    def counting(known: str, given: bytes) -> bool:
        hashed.append(known.split("$")[:4])
        return bool(genuine(known, given))

    monkeypatch.setattr(factor, "_matches", counting)
    for name in ("ben", "nobody"):
        guess(house, started(house), name, "wrong")
    assert len(hashed) == 2
    assert hashed[0] == hashed[1], "one and the same algorithm and cost"


@pytest.mark.parametrize("size", [1025, 50_000, 1_000_000])
def test_lg_07_too_long_to_be_hashed(
    house: House, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    factor, hashed = house.app.factors["password"], []
    monkeypatch.setattr(factor, "_matches", lambda *given: hashed.append(given))
    status = guess(house, started(house), "ben", "x" * size)
    assert status == ("413" if size > 65536 else "no")
    assert hashed == []


@pytest.mark.parametrize(
    "password",
    ["p" * 64, "\U0001f600" * 64, "x" * 1024, "  spaces around  ", "with\x00a-nul", "ﬁne-ligature"],
    ids=["64", "64 emoji", "1024", "spaces", "nul", "ligature"],
)
def test_lg_07_taken_verbatim(house: House, password: str) -> None:
    house.user_admin.set_password("ben", password, actor="test")
    for other in (password[:-1], password + "x", password.strip()[:72], password.upper() + "!"):
        if other != password:
            assert guess(house, started(house), "ben", other) == "no"
            house.app.stores.attempts.reset(house.users["ben"]["sub"], "password")
    assert guess(house, started(house), "ben", password) == "in"


def test_lg_07_one_password_in_two_encodings_is_one(house: House) -> None:
    composed = "caf\u00e9-au-lait"
    house.user_admin.set_password("ben", composed, actor="test")
    assert guess(house, started(house), "ben", unicodedata.normalize("NFD", composed)) == "in"


def test_lg_07_none_longer_can_be_set(house: House) -> None:
    with pytest.raises(Refused):
        house.user_admin.set_password("ben", "x" * 1025, actor="test")


# MF: the second factor


def at_code(house: House) -> Browser:
    browser = house.browser()
    browser.authorize(Request())
    page = browser.submit(username="ana", password=house.users["ana"]["password"])
    assert 'name="code"' in page.text
    return browser


@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_mf_03_this_step_and_the_one_before(house: House, steps: int) -> None:
    browser = at_code(house)
    moment = house.clock() + timedelta(seconds=30 * steps)
    answer = browser.submit(code=pyotp.TOTP(house.users["ana"]["totp_secret"]).at(moment))
    assert (answer.status_code == 303) == (steps in {0, -1})


@pytest.mark.parametrize("spelling", ["{0}", "{0} ", " {0}", "{1} {2}", "{1}-{2}", "+{0}", "{3}"])
@pytest.mark.parametrize("wait", [0, 29])
def test_mf_01_a_code_works_once(house: House, spelling: str, wait: int) -> None:
    first, second = at_code(house), at_code(house)
    code = house.totp("ana")
    assert first.submit(code=code).status_code == 303
    wide = "".join(chr(0xFF10 + int(digit)) for digit in code)
    house.clock.advance(timedelta(seconds=wait))
    answer = second.submit(code=spelling.format(code, code[:3], code[3:], wide))
    assert answer.status_code == 200
    assert 'name="code"' in answer.text


def test_mf_01_fifty_at_once_succeed_once(house: House) -> None:
    browsers = [at_code(house) for _ in range(5)]
    code = house.totp("ana")
    answers = at_once([lambda b=b: b.submit(code=code).status_code for b in browsers])
    assert answers.count(303) <= 1


def test_mf_01_an_older_step_after_a_newer_one(house: House) -> None:
    first, second = at_code(house), at_code(house)
    older = pyotp.TOTP(house.users["ana"]["totp_secret"]).at(house.clock())
    assert first.submit(code=house.totp("ana")).status_code == 303
    assert second.submit(code=older).status_code == 200


def test_mf_08_a_half_login_is_anonymous(house: House) -> None:
    browser = at_code(house)
    assert refusal(house, Request(more={"prompt": "none"}), browser)["error"] == "login_required"
    assert "ana" not in browser.get("/").text
    assert browser.http.get_cookie("sid", domain="localhost") is None
    assert 'name="username"' in browser.authorize(Request()).text


def test_mf_08_the_flow_cookie_is_no_session(house: House) -> None:
    browser = at_code(house)
    flow = browser.http.get_cookie("flow", domain="localhost")
    assert flow
    thief = house.browser()
    thief.http.set_cookie("sid", flow.value, domain="localhost")
    assert refusal(house, Request(more={"prompt": "none"}), thief)["error"] == "login_required"
    assert house.call("/userinfo", bearer=flow.value).status_code == 401


def test_mf_08_the_path_alone_is_worth_nothing(house: House) -> None:
    browser = at_code(house)
    assert browser.page is not None
    action = re.search(r'action="([^"]*)"', browser.page.text)
    assert action
    path = urlsplit(action[1]).path
    stranger = house.browser()
    assert stranger.http.get(path, base_url=house.issuer).status_code == 404
    data = {**browser.fields(), "code": house.totp("ana")}
    assert stranger.http.post(path, data=data, base_url=house.issuer).status_code == 403
    assert "code" in answer_of(browser.submit(code=data["code"]))
