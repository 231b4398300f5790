"""MF-04, MF-05, MF-07: guessing codes across flows, resending, pumping; read from the outbox."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

from idp.dev import seeds
from idp.factors.sms import parsed
from idp.model import Message
from tests.account import enter, provider
from tests.house import Browser, House, Request, answer_of, build

RATE = "100000/minute"  # the limit per address is another defence: here it would hide these


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    cheap = {"password": {"memory_kib": 8192, "iterations": 1}}
    built = build(tmp_path, factors=cheap, web={"sign_in_rate": RATE})
    yield built
    built.app.close()


def at_the_code(house: House, username: str = "cho") -> Browser:
    """A browser that knows the password and is asked for the code."""
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(username=username, password=house.users[username]["password"])
    return browser


def texts(house: House) -> list[Message]:
    return [message for _, message in house.outbox.messages() if message.kind == "sms"]


def code_of(message: Message) -> str:
    found = re.search(r"#(\d{6})$", message.text)
    assert found
    return found[1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def page_of(browser: Browser) -> str:
    assert browser.page is not None
    return browser.page.text


def test_a_code_signs_in(house: House) -> None:
    browser = at_the_code(house)
    (message,) = texts(house)
    assert message.to == house.users["cho"]["phone"]
    assert message.text.endswith(f"\n\n@localhost #{code_of(message)}")
    assert "•••• " in page_of(browser)
    assert house.users["cho"]["phone"] not in page_of(browser)
    assert answer_of(browser.submit(code=code_of(message)))["code"]


def test_a_page_that_is_loaded_again_sends_nothing(house: House) -> None:
    browser = at_the_code(house)
    assert browser.page is not None
    for _ in range(3):
        browser.get(browser.page.request.path)
    assert len(texts(house)) == 1


@pytest.mark.parametrize("other", ["another flow", "another user"])
def test_a_code_is_bound_to_its_flow(house: House, other: str) -> None:
    at_the_code(house)
    code = code_of(texts(house)[0])
    house.clock.advance(timedelta(minutes=2))
    if other == "another user":
        enroll(house, "ben", "+4915123777777")
    second = at_the_code(house, "cho" if other == "another flow" else "ben")
    fresh = code_of(texts(house)[0])
    assert len(texts(house)) >= 2
    page = second.submit(code=code if code != fresh else wrong(fresh))
    assert "did not match" in page.text


def enroll(house: House, username: str, number: str) -> None:
    """Bind a number on the way, as a person would."""
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(username=username, password=house.users[username]["password"])
    browser.submit(choose="sms")
    browser.submit(number=number)
    answer_of(browser.submit(code=code_of(texts(house)[0])))
    house.clock.advance(timedelta(minutes=6))


def test_a_number_is_bound_on_the_way(house: House) -> None:
    enroll(house, "ben", "+49 1512 3777777")
    held = house.app.stores.authenticators.of(house.users["ben"]["sub"])
    assert [a.data.get("number") for a in held if a.factor == "sms"] == ["+4915123777777"]


def test_a_number_that_may_not_be_sent_to_leads_back_to_the_number(tmp_path: Path) -> None:
    house = build(tmp_path, sms={"regions": ["FR"]})
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(username="ben", password=house.users["ben"]["password"])
    browser.submit(choose="sms")
    page = browser.submit(number="+4915123777777")
    assert "numbers of this country" in page.text
    assert 'name="number"' in page.text
    assert texts(house) == []
    house.app.close()


def test_mf_04_the_counter_survives_new_flows(house: House) -> None:
    """Four guesses each in fifty flows: the fifth failure is the first that costs a wait."""
    verified, waited = 0, 0
    for _ in range(50):
        browser = at_the_code(house)
        for _ in range(4):
            page = browser.submit(code="000000")
            waited += "Too many attempts" in page.text
            verified += "did not match" in page.text
    assert verified <= 6
    assert waited >= 190


def test_mf_04_the_counter_is_the_same_for_a_program_that_speaks_json(house: House) -> None:
    verified, waited = 0, 0
    for n in range(20):
        browser = at_the_code(house)
        for _ in range(4):
            if n % 2:
                answer = post(browser, {"code": "000000"}, json=True)
                assert answer.is_json
            else:
                answer = browser.submit(code="000000")
            waited += "Too many attempts" in answer.text
            verified += "did not match" in answer.text
    assert verified <= 6
    assert waited >= 70


def test_mf_05_a_new_code_kills_the_old_one_and_forgives_nothing(house: House) -> None:
    browser = at_the_code(house)
    old = code_of(texts(house)[0])
    for _ in range(3):
        browser.submit(code=wrong(old))
    house.clock.advance(timedelta(minutes=1))
    browser.submit(resend="1")
    new = code_of(texts(house)[0])
    assert len(texts(house)) == 2
    if old != new:
        assert "did not match" in browser.submit(code=old).text
    browser.submit(code=wrong(new))
    assert "Too many attempts" in browser.submit(code=new).text


def test_mf_05_asking_again_too_soon_sends_nothing_and_says_when(house: House) -> None:
    browser = at_the_code(house)
    page = browser.submit(resend="1")
    assert "You can try again in 60 seconds" in page.text
    assert len(texts(house)) == 1
    assert answer_of(browser.submit(code=code_of(texts(house)[0])))["code"]


@pytest.mark.parametrize("asked_for", ["again", "a number"])
def test_a_second_click_does_not_undo_the_first(
    house: House, monkeypatch: pytest.MonkeyPatch, asked_for: str
) -> None:
    """The gateway is slow, the person impatient: the code that went out is the one that counts."""
    if asked_for == "again":
        browser, fields = at_the_code(house), {"resend": "1"}
        house.clock.advance(timedelta(minutes=1))
    else:
        browser, fields = at_the_code(house, "ben"), {"number": "+4915123777777"}
        browser.submit(choose="sms")
    before = len(texts(house))
    sending, go_on = threading.Event(), threading.Event()
    genuine = house.outbox.send

    def slow(message: Message) -> None:
        genuine(message)
        sending.set()
        assert go_on.wait(10)

    monkeypatch.setattr(house.outbox, "send", slow)
    first = threading.Thread(target=post, args=(browser, fields))
    first.start()
    assert sending.wait(10)
    post(browser, fields)
    go_on.set()
    first.join()
    assert len(texts(house)) == before + 1
    assert browser.page is not None
    browser.get(browser.page.request.path)
    assert answer_of(browser.submit(code=code_of(texts(house)[0])))["code"]


def post(browser: Browser, fields: dict[str, str], *, json: bool = False) -> TestResponse:
    """The form of the page with these answers, in a request of its own."""
    assert browser.page is not None
    cookie = browser.http.get_cookie("flow", domain="localhost")
    assert cookie is not None
    headers = {"Cookie": f"flow={cookie.value}"} | ({"Accept": "application/json"} if json else {})
    visitor = Client(browser.http.application, use_cookies=False)
    return visitor.post(
        browser.page.request.path,
        data={**browser.fields(), **fields},
        headers=headers,
        base_url="http://localhost:8000",
    )


def test_mf_07_five_hundred_sends(house: House) -> None:
    """One account, then many; one number, then a block of them."""
    for _ in range(60):
        at_the_code(house)
        house.clock.advance(timedelta(minutes=5))
    to_cho = [m for m in texts(house) if m.to == house.users["cho"]["phone"]]
    assert len(to_cho) == 5
    page = page_of(at_the_code(house))
    assert "No more messages can be sent today" in page
    numbers = [f"+4915123888{n:03}" for n in range(60)]
    for n, number in enumerate(numbers):
        name = f"p{n}"
        house.user_admin.add(name, password="a good long password", actor="test")
        browser = house.browser()
        browser.authorize(Request(more={"acr_values": "aal2"}))
        browser.submit(username=name, password="a good long password")
        browser.submit(choose="sms")
        browser.submit(number=number)
    block = [m for m in texts(house) if m.to in numbers]
    assert 0 < len(block) <= 30
    house.app.close()
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    assert any(row.event == "message_refused" for row in rows)
    assert any(row.event == "sms_alarm" for row in rows)
    assert not any("+4915123" in str(row.detail) for row in rows)


def test_mf_07_one_address_has_one_budget_in_sign_ins_and_account_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = provider(tmp_path, sms={"per_address": 2})

    def addressed(house: House) -> Browser:
        browser = Browser(house)
        browser.http = Client(
            lambda environ, start: house.app.wsgi({**environ, "REMOTE_ADDR": "192.0.2.1"}, start)
        )
        return browser

    monkeypatch.setattr(House, "browser", addressed)
    at_the_code(house)
    for username, number in (("ben", "+4915123777777"), ("amy", "+4915123777778")):
        browser = enter(house, username, "/account/authenticators/add/sms")
        browser.submit(number=number)
    assert "Too many messages were sent" in page_of(browser)
    assert [m.to for m in texts(house)] == ["+4915123777777", house.users["cho"]["phone"]]
    house.app.close()


def test_a_gateway_that_fails_after_it_sent_leaves_the_code_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = house.outbox.send

    def send(message: Message) -> None:
        genuine(message)
        raise TimeoutError(message.text)

    monkeypatch.setattr(house.outbox, "send", send)
    browser = at_the_code(house)
    assert "could not be sent" in page_of(browser)
    assert "Try another way" in page_of(browser) or "Send it again" in page_of(browser)
    assert answer_of(browser.submit(code=code_of(texts(house)[0])))["code"]


def test_a_number_that_was_mistyped_can_be_given_again(house: House) -> None:
    browser = at_the_code(house, "ben")
    browser.submit(choose="sms")
    page = browser.submit(number="+4915123777777")
    assert "Start again" in page.text
    browser.submit(choose="sms")
    browser.submit(number="+4915123777778")
    assert [m.to for m in texts(house)] == ["+4915123777778", "+4915123777777"]
    stale = code_of(texts(house)[1])
    if stale != code_of(texts(house)[0]):
        assert "did not match" in browser.submit(code=stale).text
    assert answer_of(browser.submit(code=code_of(texts(house)[0])))["code"]
    held = house.app.stores.authenticators.of(house.users["ben"]["sub"])
    assert [a.data["number"] for a in held if a.factor == "sms"] == ["+4915123777778"]


@pytest.mark.parametrize("username", ["cho", "ben"])
def test_a_gateway_that_breaks_down_and_comes_back(
    house: House, monkeypatch: pytest.MonkeyPatch, username: str
) -> None:
    """Nothing arrives; the person asks again later, and is let in."""

    def broken(message: Message) -> None:
        raise ConnectionError(message.text)

    with monkeypatch.context() as patch:
        patch.setattr(house.outbox, "send", broken)
        browser = at_the_code(house, username)
        if username == "ben":
            browser.submit(choose="sms")
            browser.submit(number="+4915123777777")
        page = page_of(browser)
        assert "could not be sent" in page
        assert "Send it again" in page
        assert re.search("Try another way|Choose another method|Cancel and go back", page)
        assert "did not match" in browser.submit(code="000000").text
    house.clock.advance(timedelta(minutes=2))
    browser.submit(resend="1")
    assert answer_of(browser.submit(code=code_of(texts(house)[0])))["code"]


def test_no_log_and_no_event_holds_a_code(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    browser = at_the_code(house)
    code = code_of(texts(house)[0])
    browser.submit(code=wrong(code))
    browser.submit(code=code)
    out, err = capsys.readouterr()
    assert code not in out + err
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    assert not any(code in str(row.detail) for row in rows)


def test_the_seeded_number_is_one_that_exists(house: House) -> None:
    for person in seeds.PEOPLE:
        phone = house.users[person.username]["phone"]
        assert parsed(phone) == phone
