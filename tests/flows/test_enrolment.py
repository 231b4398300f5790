"""Enrolment as part of signing in: who lacks what is demanded is led to it, and comes back to the
relying party with it. The pages are the forms that a browser gets."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.house import Browser, House, Request, answer_of, build

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
SECOND = ["totp", "webauthn", "recovery_code"]
POLICY = {
    "aal1": {"any_of": [["password"]]},
    "aal2": {"any_of": [["password", SECOND]]},
    "aal3": {"any_of": [["password", "webauthn"]]},
}
AAL2 = {"acr_values": "aal2"}
DAY = timedelta(days=1)

Start = Callable[..., House]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    built: list[House] = []

    def begin(**settings: Any) -> House:
        built.append(build(tmp_path, factors=CHEAP, **{"acr": POLICY, **settings}))
        return built[0]

    yield begin
    for house in built:
        house.app.close()


@pytest.fixture
def house(start: Start) -> House:
    return start()


def held(house: House, username: str) -> list[str]:
    user_id = house.users[username]["sub"]
    found = {a.factor for a in house.app.authenticators.of(user_id)}
    return sorted(found, key=lambda factor: (factor != "password", factor))


def at_enrolment(house: House, username: str, **more: Any) -> Browser:
    browser = house.browser()
    browser.authorize(Request(more=more))
    page = browser.submit(username=username, password=house.users[username]["password"])
    assert 'name="enroll"' in page.text, page.text
    return browser


def claims(house: House, request: Request, answer: dict[str, str]) -> dict[str, Any]:
    response = house.redeem(request, answer["code"], request.client_id)
    token = response.json["access_token"]
    found: dict[str, Any] = house.call("/introspect", {"token": token}, client="web").json
    return found


def audited(house: House, event: str) -> int:
    return sum(row.event == event for _, row in house.app.stores.audit.read(limit=1000))


def test_dia_is_led_through_it_and_returns_with_what_was_demanded(house: House) -> None:
    request, browser = Request(), house.browser()
    browser.authorize(request)
    page = browser.submit(username="dia", password=house.users["dia"]["password"])
    assert "Add your authenticator app" in page.text
    answer = answer_of(browser.submit(code=browser.enrolling_code()))
    said = claims(house, request, answer)
    assert said["acr"] == "aal2"
    assert set(said["amr"]) == {"pwd", "otp", "mfa"}
    assert held(house, "dia") == ["password", "totp"]
    # at the next sign-in it is asked for, not enrolled
    later = house.browser()
    later.authorize(Request())
    page = later.submit(username="dia", password=house.users["dia"]["password"])
    assert "Enter your code" in page.text


def test_what_was_bound_is_told(house: House) -> None:
    browser = at_enrolment(house, "dia")
    before = audited(house, "authenticator_added")
    browser.submit(code=browser.enrolling_code())
    assert audited(house, "authenticator_added") == before + 1


def test_where_several_would_do_there_is_a_choice(house: House) -> None:
    browser = at_enrolment(house, "dia")
    assert browser.page is not None
    assert 'name="choose" value="webauthn"' in browser.page.text
    page = browser.submit(choose="webauthn")
    assert 'name="factor" value="webauthn"' in page.text
    assert "recovery_code" not in page.text  # issued, not enrolled
    browser.submit(choose="totp")
    assert answer_of(browser.submit(code=browser.enrolling_code()))["code"]


def test_a_wrong_code_keeps_the_key_and_counts(house: House) -> None:
    browser = at_enrolment(house, "dia")
    key = browser.enrolling_code()
    wrong = "000000" if key != "000000" else "111111"
    for _ in range(5):
        page = browser.submit(code=wrong)
        assert "did not match" in page.text
        assert browser.enrolling_code() == key
    page = browser.submit(code=key)  # the right one, too early
    assert "Too many attempts" in page.text
    assert held(house, "dia") == ["password"]
    assert audited(house, "factor_rejected") == 5
    house.clock.advance(timedelta(seconds=31))
    assert answer_of(browser.submit(code=browser.enrolling_code()))["code"]


@pytest.mark.parametrize(
    "typed", ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "1" * 9999]
)
def test_what_is_no_code_binds_nothing(house: House, typed: str) -> None:
    browser = at_enrolment(house, "dia")
    page = browser.submit(code=typed)
    assert "did not match" in page.text
    assert held(house, "dia") == ["password"]


def test_the_page_loaded_again_shows_the_same_key(house: House) -> None:
    browser = at_enrolment(house, "dia")
    assert browser.page is not None
    first, path = browser.enrolling_code(), browser.page.request.path
    for _ in range(2):
        browser.get(path)
        assert browser.enrolling_code() == first


def test_another_tab_has_a_key_of_its_own(house: House) -> None:
    """One browser, two sign-ins: the key of one tab is not confirmed in the other."""
    browser = at_enrolment(house, "dia")
    assert browser.page is not None
    first, path = browser.enrolling_code(), browser.page.request.path
    browser.authorize(Request())
    browser.submit(username="dia", password=house.users["dia"]["password"])
    second = browser.enrolling_code()
    assert first != second
    page = browser.submit(code=first)
    assert "did not match" in page.text
    browser.get(path)
    assert browser.enrolling_code() == first
    assert answer_of(browser.submit(code=first))["code"]
    assert held(house, "dia") == ["password", "totp"]


def test_a_tab_left_open_is_asked_for_what_the_other_one_bound(house: House) -> None:
    left, busy = at_enrolment(house, "dia"), at_enrolment(house, "dia")
    busy.submit(code=busy.enrolling_code())
    assert left.page is not None
    page = left.get(left.page.request.path)
    assert "Enter your code" in page.text
    page = left.submit(enroll="1", code="123456")  # what was on the old page
    assert "Enter your code" in page.text
    house.clock.advance(timedelta(seconds=30))
    (bound,) = [
        a for a in house.app.authenticators.of(house.users["dia"]["sub"]) if a.factor == "totp"
    ]
    code = pyotp.TOTP(bound.secret.decode()).at(house.clock())
    assert answer_of(left.submit(code=code))["code"]


@pytest.mark.parametrize("leave", [{"cancel": "1"}, {"restart": "1"}, {}], ids=str)
def test_an_abandoned_enrolment_leaves_nothing(house: House, leave: dict[str, str]) -> None:
    browser = at_enrolment(house, "dia")
    key = browser.enrolling_code()
    if leave:
        browser.submit(**leave)
    house.clock.advance(timedelta(minutes=11))
    assert held(house, "dia") == ["password"]
    assert house.app.authenticators.under_way(house.users["dia"]["sub"], "totp") is None
    again = at_enrolment(house, "dia")
    assert again.enrolling_code() != key


def test_cancelling_says_so_to_the_relying_party(house: House) -> None:
    browser = at_enrolment(house, "dia")
    assert answer_of(browser.submit(cancel="1"))["error"] == "access_denied"


def test_a_silent_request_is_an_error_not_a_page(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    answer = answer_of(browser.authorize(Request(more={**AAL2, "prompt": "none"})))
    assert answer["error"] in ("interaction_required", "unmet_authentication_requirements")


def test_a_session_is_stepped_up_by_enrolling(house: House) -> None:
    """Signed in by password alone; the step-up leads through enrolment, and needs no password
    again while it is fresh."""
    browser, request = house.browser(), Request(more=AAL2)
    browser.sign_in(Request(), "ben")
    page = browser.authorize(request)
    assert "Add your authenticator app" in page.text
    said = claims(house, request, answer_of(browser.submit(code=browser.enrolling_code())))
    assert said["acr"] == "aal2"


# MF-09: the highest level that is held comes first


def test_mf_09_who_has_an_app_proves_it_before_binding_a_key(house: House) -> None:
    browser, request = house.browser(), Request(more={"acr_values": "aal3"})
    browser.authorize(request)
    page = browser.submit(username="amy", password=house.users["amy"]["password"])
    assert 'name="enroll"' not in page.text
    assert "Enter your code" in page.text
    for skipped in (
        {"enroll": "1", "factor": "webauthn", "credential": "{}"},
        {"choose": "webauthn"},
    ):
        page = browser.submit(**skipped)
        assert 'name="enroll"' not in page.text
    assert held(house, "amy") == ["password", "totp"]
    page = browser.submit(code=house.totp("amy"))
    assert 'name="enroll"' in page.text
    assert 'name="factor" value="webauthn"' in page.text


def test_mf_09_a_recovery_code_counts_as_that_proof(house: House) -> None:
    codes = house.app.authenticators.issue_codes(house.users["amy"]["sub"], actor="test")
    browser = house.browser()
    browser.authorize(Request(more={"acr_values": "aal3"}))
    browser.submit(username="amy", password=house.users["amy"]["password"])
    browser.submit(choose="recovery_code")
    page = browser.submit(code=codes[0])
    assert 'name="factor" value="webauthn"' in page.text


def test_mf_09_a_proof_that_grew_old_on_the_page_binds_nothing(house: House) -> None:
    """The proof is fresh by the time that the visit began; a session's old one is asked again."""
    browser = house.browser()
    browser.sign_in(Request(more=AAL2), "amy")
    house.clock.advance(timedelta(minutes=6))
    page = browser.authorize(Request(more={"acr_values": "aal3"}))
    assert 'name="enroll"' not in page.text


# After a recovery code


def test_a_code_for_want_of_anything_else_leads_to_binding_something(house: House) -> None:
    """Eli has codes and nothing else: the code is proof enough, once."""
    browser, request = house.browser(), Request(more=AAL2)
    browser.authorize(request)
    browser.submit(username="eli", password=house.users["eli"]["password"])
    page = browser.submit(code=house.users["eli"]["recovery_codes"][0])
    assert "Add your authenticator app" in page.text
    assert 'name="defer"' not in page.text
    said = claims(house, request, answer_of(browser.submit(code=browser.enrolling_code())))
    assert said["acr"] == "aal2"
    assert held(house, "eli") == ["password", "recovery_code", "totp"]
    assert house.app.authenticators.codes_left(house.users["eli"]["sub"]) == 9


def test_a_code_in_place_of_an_app_that_is_held_just_signs_in(house: House) -> None:
    codes = house.app.authenticators.issue_codes(house.users["amy"]["sub"], actor="test")
    browser, request = house.browser(), Request(more=AAL2)
    browser.authorize(request)
    browser.submit(username="amy", password=house.users["amy"]["password"])
    browser.submit(choose="recovery_code")
    said = claims(house, request, answer_of(browser.submit(code=codes[0])))
    assert (said["acr"], set(said["amr"])) == ("aal2", {"pwd", "otp", "mfa"})


def test_a_helped_code_signs_in_once_after_the_password_and_then_something_is_bound(
    house: House,
) -> None:
    """Dia lost everything; the helpdesk gave her a code. It is no way past the password."""
    dia = house.users["dia"]
    admin = house.app.authenticators
    code = admin.issue_rescue(dia["sub"], DAY, actor="cli")
    browser = house.browser()
    page = browser.authorize(Request())
    assert 'name="password"' in page.text
    page = browser.submit(username="dia", password="wrong")
    assert 'name="password"' in page.text
    page = browser.submit(password=dia["password"])
    assert "Use a recovery code" in page.text
    page = browser.submit(code=code)
    assert "Add your authenticator app" in page.text
    assert answer_of(browser.submit(code=browser.enrolling_code()))["code"]
    assert held(house, "dia") == ["password", "totp"]


# The grace


def graced(start: Start, **flow: Any) -> House:
    rule = [{"client": "web", "require": "aal2"}]
    return start(flow={"enrollment_grace": "P7D", **flow}, rule=rule)


def test_within_the_grace_it_can_be_put_off(start: Start) -> None:
    house, request = graced(start), Request()
    browser = house.browser()
    browser.authorize(request)
    page = browser.submit(username="ben", password=house.users["ben"]["password"])
    assert 'name="defer"' in page.text
    said = claims(house, request, answer_of(browser.submit(defer="1")))
    assert said["acr"] == "aal1"  # nothing is claimed that was not proven
    assert audited(house, "enrollment_deferred") == 1
    assert held(house, "ben") == ["password"]


def test_after_the_grace_it_is_put_off_no_more(start: Start) -> None:
    house = graced(start)
    browser = at_enrolment(house, "ben")
    browser.submit(defer="1")
    for days, open_ in ((6, True), (1, False)):
        house.clock.advance(timedelta(days=days))
        browser = at_enrolment(house, "ben")
        assert browser.page is not None
        assert ('name="defer"' in browser.page.text) is open_
    page = browser.submit(defer="1")  # typed by hand
    assert 'name="enroll"' in page.text
    assert answer_of(browser.submit(code=browser.enrolling_code()))["code"]


def test_the_grace_of_the_default_level(start: Start) -> None:
    house, request = start(flow={"enrollment_grace": "P7D", "default_acr": "aal2"}), Request()
    browser = house.browser()
    browser.authorize(request)
    browser.submit(username="ben", password=house.users["ben"]["password"])
    said = claims(house, request, answer_of(browser.submit(defer="1")))
    assert said["acr"] == "aal1"


@pytest.mark.parametrize(
    ("username", "more"), [("ben", AAL2), ("dia", {})], ids=["request", "own choice"]
)
def test_what_the_request_or_the_person_demands_is_not_put_off(
    start: Start, username: str, more: dict[str, str]
) -> None:
    house = start(flow={"enrollment_grace": "P7D"})
    browser = at_enrolment(house, username, **more)
    assert browser.page is not None
    assert 'name="defer"' not in browser.page.text
    page = browser.submit(defer="1")
    assert 'name="enroll"' in page.text


def test_who_holds_a_factor_puts_nothing_off(start: Start) -> None:
    """The grace is for binding: what is held is asked for."""
    house = graced(start)
    browser = house.browser()
    browser.authorize(Request())
    page = browser.submit(username="amy", password=house.users["amy"]["password"])
    assert "Enter your code" in page.text
    page = browser.submit(defer="1")
    assert "Enter your code" in page.text


def test_without_anything_to_bind_the_relying_party_is_told(start: Start) -> None:
    codes_alone = {
        "aal1": {"any_of": [["password"]]},
        "aal2": {"any_of": [["password", "recovery_code"]]},
    }
    house = start(acr=codes_alone)
    browser = house.browser()
    browser.authorize(Request(more=AAL2))
    answer = answer_of(browser.submit(username="ben", password=house.users["ben"]["password"]))
    assert answer["error"] == "unmet_authentication_requirements"
    # with a code it is reached, and nothing can be bound for the next time: so be it
    other = house.browser()
    other.authorize(Request(more=AAL2))
    other.submit(username="eli", password=house.users["eli"]["password"])
    assert answer_of(other.submit(code=house.users["eli"]["recovery_codes"][0]))["code"]
