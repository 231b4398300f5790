"""The three journeys of the demo, with and without JavaScript."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import steps
from tests.browser.conftest import Enroll, Person, Running

pytestmark = pytest.mark.xdist_group("browser")


def notice(page: Page) -> str:
    return page.get_by_role("status").inner_text()


def test_sign_in_with_password_and_code_shows_the_claims(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()

    steps.start(page, running)
    steps.give_password(page, person)
    steps.at(page, "Enter your code")
    steps.give_code(page, person.code())

    steps.at_relying_party(page, running, f"Hello, {person.username}")
    expect(page.get_by_text("with two factors (aal2)")).to_be_visible()
    expect(page.get_by_text("a password (pwd), a one-time code (otp)")).to_be_visible()
    claims = page.get_by_role("table", name="ID token, verified")
    expect(claims.get_by_role("row", name="iss")).to_contain_text(running.provider.issuer)
    expect(claims.get_by_role("row", name="aud")).to_contain_text("web")
    userinfo = page.get_by_role("table", name="Userinfo")
    expect(userinfo.get_by_role("row", name="preferred_username")).to_contain_text(person.username)


def test_the_transfer_asks_for_the_code_alone(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(), either.new_page()
    steps.sign_in(page, running, person)
    expect(page.get_by_text("with one factor (aal1)")).to_be_visible()

    page.get_by_role("button", name="Transfer money").click()
    steps.at(page, "Enter your code")
    expect(page.get_by_text(person.username)).to_be_visible()
    steps.give_code(page, person.code())

    steps.at_relying_party(page, running)
    assert notice(page) == "Transfer done, authorised with aal2."
    page.get_by_role("button", name="Transfer money").click()  # once is enough
    steps.at_relying_party(page, running)
    assert notice(page) == "Transfer done, authorised with aal2."


def test_the_transfer_leads_who_has_no_second_factor_through_enrolment(
    either: BrowserContext, running: Running, ben: Person
) -> None:
    page = either.new_page()
    steps.sign_in(page, running, ben)

    page.get_by_role("button", name="Transfer money").click()

    steps.at(page, "Add your authenticator app")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()


def test_sign_out_ends_both_sessions(either: BrowserContext, running: Running, ben: Person) -> None:
    page = either.new_page()
    steps.sign_in(page, running, ben)

    page.get_by_role("button", name="Sign out").click()

    steps.at(page, "You are signed out")
    assert notice(page) == "You are signed out, here and at the provider."
    steps.start(page, running)  # the provider asks again: its session is over
    page.goto(running.provider.issuer)
    expect(page.get_by_text("You are not signed in.")).to_be_visible()


def test_a_second_visit_asks_nothing(plain: BrowserContext, running: Running, ben: Person) -> None:
    page = plain.new_page()
    steps.sign_in(page, running, ben)

    page.goto(f"{running.relying_party}/login")

    steps.at_relying_party(page, running, "Hello, Ben Example")


def test_the_tokens_can_be_refreshed(plain: BrowserContext, running: Running, ben: Person) -> None:
    page = plain.new_page()
    steps.sign_in(page, running, ben)

    page.get_by_role("button", name="Refresh the token").click()

    steps.at_relying_party(page, running)
    assert notice(page).startswith("Refreshed at ")
