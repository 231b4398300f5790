"""What a person does in the account pages, over HTTP, as a browser without JavaScript does."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from tests.account import codes, enter, held, links, provider, send, visit
from tests.house import Browser, House, Request, answer_of

LIST = "/account/authenticators"
ADD = f"{LIST}/add/totp"
NUMBER = "+4915112345678"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = provider(tmp_path)
    yield built
    built.app.close()


def events(house: House, username: str, *names: str) -> list[str]:
    found = house.app.stores.audit.about(house.users[username]["sub"], names)
    return [row.event for row in found]


def added_totp(house: House, browser: Browser) -> str:
    """Bind an app; its seed."""
    browser.get(ADD)
    assert browser.page is not None
    key = re.search(r'id="secret">([A-Z2-7 ]+)<', browser.page.text)
    assert key
    browser.submit(code=browser.enrolling_code())
    return key[1].replace(" ", "")


def sign_in_by_code(house: House, username: str, code: str) -> Browser:
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal2"}))
    browser.submit(username=username, password=house.users[username]["password"])
    if 'value="recovery_code"' in browser.page.text:  # type: ignore[union-attr]
        browser.submit(choose="recovery_code")
    answer_of(browser.submit(code=code))
    return browser


def test_signing_in_leads_back_to_the_page_that_was_asked_for(house: House) -> None:
    browser = enter(house, "ben", "/account/history")
    assert browser.page is not None
    assert browser.page.request.path == "/account/history"


def test_a_sign_in_at_an_application_is_one_here_too(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    assert "Ben Example" in browser.get("/account").text


def test_cancelling_leads_to_the_front_page(house: House) -> None:
    browser = house.browser()
    browser.get("/account/profile")
    page = browser.submit(cancel="1")
    assert page.request.path == "/"
    assert "You are not signed in" in page.text


def test_cancelling_a_step_up_leads_back_and_changes_nothing(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")
    browser.get(ADD)
    assert browser.submit(cancel="1").request.path == "/account"


def test_a_step_up_asks_for_what_is_missing_alone(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")
    browser.get(ADD)
    page = browser.submit(code=house.totp("amy"))
    assert page.request.path == ADD
    assert "Add your authenticator app" in page.text


def test_a_form_that_comes_too_late_is_shown_again_after_the_step_up(house: House) -> None:
    browser = enter(house, "amy", "/account/second-factor")
    house.clock.advance(timedelta(minutes=6))
    page = browser.submit(ask="always")
    for _ in range(2):
        names = [n for n in browser.fields() if n in {"password", "code"}]
        page = browser.submit(**browser.answers(names, "amy"))
    assert page.request.path == "/account/second-factor"
    assert "every sign-in" in browser.submit(ask="always").text


@pytest.mark.parametrize(
    ("username", "advised"),
    [("ben", "Add a second step"), ("amy", "Get recovery codes"), ("ana", "Get recovery codes")],
)
def test_the_overview_recommends_what_is_most_useful(
    house: House, username: str, advised: str
) -> None:
    assert advised in enter(house, username).page.text  # type: ignore[union-attr]


def test_an_authenticator_app_is_added_named_and_removed(house: House) -> None:
    browser = enter(house, "ben", ADD)
    seed = added_totp(house, browser)
    (mine,) = held(house, "ben")["totp"]
    assert browser.page is not None
    assert browser.page.request.path == f"{LIST}/{mine}"
    assert "Give it a name" in browser.page.text
    page = browser.submit(name="Old phone")
    assert page.request.path == LIST
    assert "Old phone" in page.text
    house.users["ben"]["totp_secret"] = seed  # type: ignore[index]
    house.clock.advance(timedelta(minutes=6))
    assert "Remove Old phone?" in _text(visit(house, browser, "ben", f"{LIST}/{mine}/remove"))
    page = browser.submit()
    assert "Old phone was removed" in page.text
    assert "totp" not in held(house, "ben")
    assert events(house, "ben", "authenticator_added", "authenticator_removed") == [
        "authenticator_removed",
        "authenticator_added",
    ]


def test_a_number_is_added_by_the_code_that_was_sent(house: House) -> None:
    browser = enter(house, "ben", f"{LIST}/add/sms")
    page = browser.submit(number=NUMBER)
    assert page.request.path == f"{LIST}/add/sms"
    assert "Enter the code" in page.text
    code = _sent(house, NUMBER)
    assert "That did not match" in browser.submit(code="000000" if code != "000000" else "1").text
    page = browser.submit(code=code)
    assert page.request.path == f"{LIST}/{held(house, 'ben')['sms'][0]}"


@pytest.mark.parametrize("factor", ["totp", "webauthn", "sms"])
def test_every_method_that_is_offered_has_a_page(house: House, factor: str) -> None:
    browser = enter(house, "ben", LIST)
    assert browser.page is not None
    assert f"{LIST}/add/{factor}" in browser.page.text
    page = browser.get(f"{LIST}/add/{factor}")
    assert page.status_code == 200
    assert 'class="sections"' in page.text


def test_a_reload_shows_the_same_key_and_a_wrong_code_keeps_it(house: House) -> None:
    browser = enter(house, "ben", ADD)
    right = browser.enrolling_code()
    browser.get(ADD)
    assert browser.enrolling_code() == right
    page = browser.submit(code="000000" if right != "000000" else "111111")
    assert "That did not match" in page.text
    assert 'aria-invalid="true"' in page.text
    assert browser.enrolling_code() == right
    assert "totp" not in held(house, "ben")
    assert "That did not match" not in browser.get(ADD).text


def test_giving_up_leaves_nothing(house: House) -> None:
    browser = enter(house, "ben", ADD)
    before = browser.enrolling_code()
    assert browser.submit(cancel="1").request.path == LIST
    assert "totp" not in held(house, "ben")
    browser.get(ADD)
    assert browser.enrolling_code() != before


@pytest.mark.parametrize("factor", ["password", "recovery_code", "nothing", "passkey"])
def test_there_is_no_page_to_add_what_cannot_be_added(house: House, factor: str) -> None:
    browser = enter(house, "ben")
    assert browser.get(f"{LIST}/add/{factor}").status_code == 404


def test_a_password_and_a_recovery_code_have_no_page_of_their_own(house: House) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    browser.submit()
    mine = held(house, "amy")
    for one in (mine["password"][0], mine["recovery_code"][0]):
        assert browser.get(f"{LIST}/{one}").status_code == 404
        assert browser.get(f"{LIST}/{one}/remove").status_code == 404
    assert links(browser.get(LIST).text) == mine["totp"]


def test_the_last_way_in_is_kept(house: House) -> None:
    """Ana asks for a second factor at every sign-in: without it she could not sign in."""
    (mine,) = held(house, "ana")["totp"]
    browser = enter(house, "ana", f"{LIST}/{mine}/remove")
    page = browser.submit()
    assert page.request.path == LIST
    assert "Add another way first" in page.text
    assert held(house, "ana")["totp"] == [mine]


@pytest.mark.parametrize("name", ["", " " * 5, "x" * 65, "two\nlines"])
def test_a_bad_name_is_refused_and_can_be_corrected(house: House, name: str) -> None:
    (mine,) = held(house, "amy")["totp"]
    browser = enter(house, "amy", f"{LIST}/{mine}")
    page = browser.submit(name=name)
    assert "Choose a name" in page.text
    assert page.request.path == f"{LIST}/{mine}"


def test_recovery_codes_are_shown_once(house: House) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    page = browser.submit()
    shown = codes(page.text)
    assert len(set(shown)) == 10
    assert page.headers["Cache-Control"] == "no-store"
    assert page.request.query_string == b""
    assert codes(browser.get("/account/recovery-codes").text) == []
    assert "10 codes left" in browser.get(LIST).text
    assert "10 codes left" in browser.get("/account/recovery-codes").text


def test_a_form_sent_twice_makes_no_second_set(house: House) -> None:
    """Reloading the page that shows them sends the form again."""
    browser = enter(house, "amy", "/account/recovery-codes")
    form = browser.fields()
    first = codes(browser.submit().text)
    before = held(house, "amy")["recovery_code"]
    answer = browser.http.post("/account/recovery-codes", data=form, base_url=house.issuer)
    assert answer.status_code == 303
    assert "shown once already" in browser.get("/account/recovery-codes").text
    assert held(house, "amy")["recovery_code"] == before
    sign_in_by_code(house, "amy", first[0])


def test_new_codes_end_the_old_ones(house: House) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    old = codes(browser.submit().text)
    browser.get("/account/recovery-codes")
    new = codes(browser.submit().text)
    assert not set(old) & set(new)
    assert len(held(house, "amy")["recovery_code"]) == 10
    sign_in_by_code(house, "amy", new[3])
    assert "9 codes left" in browser.get(LIST).text


def test_codes_are_for_people_with_a_second_factor(house: House) -> None:
    browser = enter(house, "ben", "/account/recovery-codes")
    assert browser.page is not None
    assert "First add a second step" in browser.page.text


def test_the_codes_come_as_a_file(house: House) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    page = browser.submit()
    shown = codes(page.text)
    token = browser.fields()["csrf"]
    answer = browser.http.post(
        "/account/recovery-codes/download",
        data={"csrf": token, "code": shown},
        base_url=house.issuer,
    )
    assert answer.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    lines = answer.text.split("\r\n")
    assert [line for line in lines if line in shown] == shown
    assert "amy" in lines[0]


@pytest.mark.parametrize("code", ["", "<script>", "A" * 24, "AAAA-AAAA-AAAA-AAAA-AAAA\r\nX: y"])
def test_the_file_holds_codes_and_nothing_else(house: House, code: str) -> None:
    browser = enter(house, "amy", "/account/recovery-codes")
    browser.submit()
    form = {"csrf": browser.fields()["csrf"], "code": code}
    answer = browser.http.post("/account/recovery-codes/download", data=form, base_url=house.issuer)
    assert answer.status_code == 400


def test_who_lost_everything_recovers_by_a_code(house: House) -> None:
    """The password and one code lead in; the lost app goes, a new one comes."""
    (lost,) = held(house, "ana")["totp"]
    kept = codes(enter(house, "ana", "/account/recovery-codes").submit().text)
    house.clock.advance(timedelta(days=1))
    browser = sign_in_by_code(house, "ana", kept[0])
    page = browser.get(ADD)
    assert "Add your authenticator app" in page.text
    seed = added_totp(house, browser)
    page = send(house, browser, f"{LIST}/{lost}/remove")
    assert "was removed" in page
    (new,) = held(house, "ana")["totp"]
    assert new != lost
    house.clock.advance(timedelta(seconds=30))
    sign_in = house.browser()
    sign_in.authorize(Request())
    sign_in.submit(username="ana", password=house.users["ana"]["password"])
    assert answer_of(sign_in.submit(code=pyotp.TOTP(seed).at(house.clock())))["code"]
    assert events(house, "ana", "recovery_code_used") == ["recovery_code_used"]


def test_the_password_is_changed_and_the_other_devices_are_signed_out(house: House) -> None:
    other = enter(house, "ben")
    browser = enter(house, "ben", "/account/password")
    old = house.users["ben"]["password"]
    page = browser.submit(password=old, new_password="a brand new password")
    assert "Your password was changed" in page.text
    assert page.request.path == LIST
    assert other.get("/account").request.path.startswith("/interaction/")
    for password, answer in ((old, "did not match"), ("a brand new password", "")):
        house.users["ben"]["password"] = password  # type: ignore[index]
        sign_in = house.browser()
        sign_in.authorize(Request())
        done = sign_in.submit(username="ben", password=password)
        assert answer in done.text
        assert ("code" in done.headers.get("Location", "")) is (answer == "")
    assert events(house, "ben", "password_changed") == ["password_changed"]
    assert len(held(house, "ben")["password"]) == 1


@pytest.mark.parametrize(
    ("new", "said"), [("five5", "Choose another password"), ("x" * 1025, "Choose another password")]
)
def test_a_password_that_will_not_do(house: House, new: str, said: str) -> None:
    browser = enter(house, "ben", "/account/password")
    before = held(house, "ben")
    page = browser.submit(password=house.users["ben"]["password"], new_password=new)
    assert said in page.text
    assert held(house, "ben") == before
    assert new not in page.text


def test_the_second_factor_is_asked_for_every_time_and_no_more(house: House) -> None:
    browser = enter(house, "amy", "/account/second-factor")
    assert "at every sign-in" in browser.submit(ask="always").text
    fresh = house.browser()
    fresh.authorize(Request())
    page = fresh.submit(username="amy", password=house.users["amy"]["password"])
    assert "Enter your code" in page.text
    assert "only where an app demands it" in send(
        house, browser, "/account/second-factor", ask="demanded"
    )
    fresh = house.browser()
    assert "code" in fresh.sign_in(Request(), "amy")
    assert ["username", "password"] in fresh.asked
    assert ["code"] not in fresh.asked


def test_who_has_no_second_factor_cannot_ask_for_it(house: House) -> None:
    browser = enter(house, "ben", "/account/second-factor")
    assert browser.page is not None
    assert "no second step yet" in browser.page.text
    assert "<form" not in browser.page.text


def test_what_the_policy_demands_cannot_be_switched_off(tmp_path: Path) -> None:
    house = provider(tmp_path, flow={"default_acr": "aal2"})
    browser = enter(house, "amy", "/account/second-factor")
    assert browser.page is not None
    assert "cannot be switched off" in browser.page.text
    assert "<form" not in browser.page.text
    house.app.close()


def test_a_phone_number_is_confirmed_by_a_code(house: House) -> None:
    browser = enter(house, "ben", "/account/contact/phone")
    page = browser.submit(phone="+49 151 12345678")
    assert NUMBER in page.text
    code = _sent(house, NUMBER)
    wrong = "000000" if code != "000000" else "111111"
    assert "did not match" in browser.submit(code=wrong).text
    page = browser.submit(code=f"{code[:3]} {code[3:]}")
    assert f"{NUMBER} is now your phone number" in page.text
    user = house.app.stores.users.get(house.users["ben"]["sub"])
    assert user is not None
    assert (user.phone, user.phone_verified) == (NUMBER, True)
    assert events(house, "ben", "address_verified") == ["address_verified"]


@pytest.mark.parametrize("typed", ["0151 12345678", "+49", "hello", "", "+" + "9" * 60])
def test_what_is_no_number_gets_no_message(house: House, typed: str) -> None:
    browser = enter(house, "ben", "/account/contact/phone")
    page = browser.submit(phone=typed)
    assert "beginning with +" in page.text
    assert not house.outbox.messages()


def test_a_new_code_ends_the_old_one(house: House) -> None:
    browser = enter(house, "ben", "/account/contact/phone")
    browser.submit(phone=NUMBER)
    old = _sent(house, NUMBER)
    house.clock.advance(timedelta(minutes=2))
    browser.submit(resend="1", code="")
    new = _sent(house, NUMBER)
    if old != new:
        assert "did not match" in browser.submit(code=old).text
    assert "is now your phone number" in browser.submit(code=new).text


def test_a_code_lives_five_minutes(house: House) -> None:
    browser = enter(house, "ben", "/account/contact/phone")
    browser.submit(phone=NUMBER)
    form, code = browser.fields(), _sent(house, NUMBER)
    house.clock.advance(timedelta(minutes=4, seconds=59))
    assert "Send it again" in browser.get("/account/contact/phone").text
    house.clock.advance(timedelta(seconds=1))
    assert "Send it again" not in browser.get("/account/contact/phone").text
    page = browser._follow(
        browser.http.post(
            "/account/contact/phone", data={**form, "code": code}, base_url=house.issuer
        )
    )
    assert "Start again" in page.text


def test_five_tries_and_the_code_is_dead(house: House) -> None:
    browser = enter(house, "ben", "/account/contact/phone")
    browser.submit(phone=NUMBER)
    code = _sent(house, NUMBER)
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(5):
        browser.submit(code=wrong)
    assert "is now your phone number" not in browser.submit(code=code).text
    house.clock.advance(timedelta(minutes=1))
    assert "is now your phone number" not in browser.submit(code=code).text


def test_a_mail_address_is_changed_by_its_link_alone(house: House) -> None:
    browser = enter(house, "ben", "/account/contact/mail")
    page = browser.submit(email="new@example.com")
    assert "We sent a link to new@example.com" in page.text
    _, message = house.outbox.messages()[0]
    assert message.to == "new@example.com"
    link = re.search(r"https?://\S+", message.text)
    assert link
    assert _mail(house) == "ben@example.com"
    elsewhere = house.browser()
    elsewhere.get(link[0].removeprefix(house.issuer))
    assert _mail(house) == "ben@example.com"  # a scanner opens links, too
    elsewhere.submit()
    assert _mail(house) == "new@example.com"


@pytest.mark.parametrize("typed", ["", "nobody", "a@b@c", "x" * 400 + "@example.com"])
def test_what_is_no_address_gets_no_message(house: House, typed: str) -> None:
    browser = enter(house, "ben", "/account/contact/mail")
    browser.submit(email=typed)
    assert not house.outbox.messages()


def test_the_profile_keeps_what_is_not_on_the_page(house: House) -> None:
    browser = enter(house, "cyd", "/account/profile")
    page = browser.submit(name="Cydney Doe", nickname="", locale="", zoneinfo="Asia/Tokyo")
    assert "Your profile was saved" in page.text
    user = house.app.stores.users.get(house.users["cyd"]["sub"])
    assert user is not None
    assert user.claims["name"] == "Cydney Doe"
    assert "nickname" not in user.claims
    assert user.claims["birthdate"] == "1990-02-28"
    assert user.claims["zoneinfo"] == "Asia/Tokyo"
    assert "GMT+09:00" in browser.get("/account/history").text


def test_a_name_that_is_too_long_stays_to_be_corrected(house: House) -> None:
    browser = enter(house, "cyd", "/account/profile")
    page = browser.submit(name="x" * 129)
    assert "up to 128" in page.text
    assert "x" * 129 in page.text


def test_the_language_of_the_profile_is_that_of_the_pages(house: House) -> None:
    browser = enter(house, "ben", "/account/profile")
    assert 'lang="ar"' in browser.submit(locale="ar").text
    assert 'lang="ar"' in browser.get("/account").text


def test_devices_are_listed_and_signed_out(house: House) -> None:
    first, second, third = (enter(house, "ben") for _ in range(3))
    page = first.get("/account/sessions")
    assert page.text.count("This device") == 2  # the badge, and the name of its button
    others = re.findall(r'name="end" value="([0-9a-f]{32})"', page.text)
    assert len(others) == 2
    assert "The device was signed out" in send(house, first, "/account/sessions", end=others[0])
    alive = [b for b in (second, third) if b.get("/account").request.path == "/account"]
    assert len(alive) == 1
    assert "Every other device" in send(house, first, "/account/sessions", end="others")
    assert alive[0].get("/account").request.path.startswith("/interaction/")
    assert first.get("/account").request.path == "/account"


def test_consents_are_shown_in_words_and_withdrawn(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(client_id="web-post", scope="openid email"), "ben")
    page = browser.get("/account/applications").text
    assert "Partner application" in page
    assert "See your email address" in page
    assert "Last used on" in page
    answer = send(house, browser, "/account/applications", withdraw="web-post")
    assert "Partner application has no access" in answer
    assert not house.app.stores.consents.of(house.users["ben"]["sub"])


def test_trusted_applications_are_named_too(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    page = browser.get("/account/applications").text
    assert "Demo relying party" in page
    assert "Withdraw" not in page


def test_the_history_is_in_plain_words(house: House) -> None:
    wrong = house.browser()
    wrong.authorize(Request())
    wrong.submit(username="ben", password="wrong")
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    page = browser.get("/account/history").text
    assert "A wrong answer was given" in page
    assert "Signed in to Demo relying party" in page
    assert "November 23, 2026, 9:00" in page
    assert "UTC" in page
    assert "factor_rejected" not in page


def test_a_notice_is_shown_once(house: House) -> None:
    browser = enter(house, "ben", "/account/profile")
    assert "was saved" in browser.submit(name="Ben").text
    assert "was saved" not in browser.get("/account/profile").text


def test_the_front_page_leads_to_the_account(house: House) -> None:
    browser = house.browser()
    assert f'href="{house.issuer}/account"' in browser.get("/").text
    browser.sign_in(Request(), "ben")
    assert "Manage your account" in browser.get("/").text


def test_every_form_is_sent_to_its_own_page(house: House) -> None:
    """Else the way back after a late proof would lead nowhere."""
    for path in (LIST, "/account/profile", "/account/password", "/account/second-factor", ADD):
        browser = enter(house, "amy", path)
        assert browser.page is not None
        actions = set(re.findall(r'<form[^>]*action="([^"]*)"', browser.page.text))
        assert actions <= {house.issuer + path}


def test_below_an_issuer_with_a_path(tmp_path: Path) -> None:
    house = provider(tmp_path, issuer="http://localhost:8000/tenant")
    browser = house.browser()
    answer = browser.http.get("/tenant/account/profile", base_url="http://localhost:8000")
    assert answer.headers["Location"].startswith("http://localhost:8000/tenant/authorize?")
    house.app.close()


def _sent(house: House, number: str) -> str:
    _, message = house.outbox.messages()[0]
    assert message.to == number
    code = re.search(r"\b\d{6}\b", message.text)
    assert code
    return code[0]


def _mail(house: House) -> str | None:
    user = house.app.stores.users.get(house.users["ben"]["sub"])
    assert user is not None
    return user.email


def _text(page: str) -> str:
    return re.sub(r"</?bdi>", "", page)
