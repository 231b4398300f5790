"""The ways that people really go: two tabs, Back, reload, Cancel. None of them is a dead end."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import steps
from tests.browser.conftest import Enroll, Person, Running, Watch

pytestmark = pytest.mark.xdist_group("browser")


def over(page: Page) -> None:
    """The page that a finished sign-in shows; its button leads on."""
    steps.at(page, "This sign-in is over")
    page.get_by_role("link", name="Continue to the application").click()


def test_two_tabs_each_finish_their_own_sign_in(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person = enroll(totp=False)
    first, second = either.new_page(), either.new_page()
    steps.start(first, running)
    steps.start(second, running)

    steps.give_password(first, person)
    steps.at_relying_party(first, running)

    steps.give_password(second, person)
    steps.at_relying_party(second, running)


def test_a_waiting_tab_goes_on_by_reload_once_another_has_signed_in(
    plain: BrowserContext, running: Running, ben: Person
) -> None:
    first, second = plain.new_page(), plain.new_page()
    steps.start(first, running)
    steps.start(second, running)
    steps.give_password(first, ben)
    steps.at_relying_party(first, running)

    second.reload()

    steps.at_relying_party(second, running, "Hello, Ben Example")


def test_two_tabs_at_the_same_form(
    either: BrowserContext, running: Running, ben: Person, watch: Watch
) -> None:
    watch.expect("status of 409")
    first, second = either.new_page(), either.new_page()
    steps.start(first, running)
    second.goto(first.url)
    steps.give_password(first, ben)
    steps.at_relying_party(first, running)

    steps.give_password(second, ben)

    over(second)
    steps.at_relying_party(second, running, "Hello, Ben Example")


def test_two_tabs_at_different_steps_of_one_sign_in(
    plain: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person = enroll(require_acr="aal2")
    first, second = plain.new_page(), plain.new_page()
    steps.start(first, running)
    second.goto(first.url)
    steps.give_password(first, person)
    steps.at(first, "Enter your code")

    steps.give_password(second, person)  # its form is one step behind

    steps.at(second, "Enter your code")
    steps.give_code(second, person.code())
    steps.at_relying_party(second, running)


def test_back_from_the_code_is_legal(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()
    steps.start(page, running)
    steps.give_password(page, person)
    steps.at(page, "Enter your code")

    page.go_back()

    steps.at(page, "Enter your code")  # the password is proven; who it is can be changed
    expect(page.get_by_role("button", name="Not you? Use another account")).to_be_visible()
    steps.give_code(page, person.code())
    steps.at_relying_party(page, running)


def test_back_after_a_wrong_password_and_the_code_leads_on(
    plain: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), plain.new_page()
    steps.start(page, running)
    steps.give_password(page, person, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    steps.give_password(page, person)
    steps.at(page, "Enter your code")

    page.go_back()

    steps.at(page, "Enter your code")


@pytest.mark.parametrize("acr", ["aal1", "aal2"])
def test_back_after_finishing_leads_on(
    either: BrowserContext, running: Running, enroll: Enroll, watch: Watch, acr: str
) -> None:
    watch.expect("status of 409")
    person, page = enroll(require_acr=acr), either.new_page()
    steps.start(page, running)
    steps.give_password(page, person)
    if acr == "aal2":
        steps.at(page, "Enter your code")
        steps.give_code(page, person.code())
    steps.at_relying_party(page, running)

    page.go_back()

    over(page)
    steps.at_relying_party(page, running, f"Hello, {person.username}")


def test_reload_of_the_code_form_sends_nothing_twice(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()
    steps.start(page, running)
    steps.give_password(page, person)
    steps.at(page, "Enter your code")

    page.reload()

    steps.at(page, "Enter your code")
    expect(page.get_by_role("alert")).to_have_count(0)
    steps.give_code(page, person.code())
    steps.at_relying_party(page, running)


def test_reload_after_a_wrong_password_leads_on(
    plain: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(totp=False), plain.new_page()
    steps.start(page, running)
    steps.give_password(page, person, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()

    page.reload()

    steps.at(page, "Sign in")
    steps.give_password(page, person)
    steps.at_relying_party(page, running)


def test_another_account_can_be_used(
    plain: BrowserContext, running: Running, enroll: Enroll, ben: Person
) -> None:
    page = plain.new_page()
    steps.start(page, running)
    steps.give_password(page, enroll(require_acr="aal2"))
    steps.at(page, "Enter your code")

    page.get_by_role("button", name="Not you? Use another account").click()

    steps.at(page, "Sign in")
    steps.give_password(page, ben)
    steps.at_relying_party(page, running, "Hello, Ben Example")


def test_cancel_returns_to_the_relying_party(
    either: BrowserContext, running: Running, watch: Watch
) -> None:
    watch.expect("status of 400")
    page = either.new_page()
    steps.start(page, running)

    page.get_by_role("button", name="Cancel and go back to Demo relying party").click()

    steps.at(page, "That did not work")
    assert page.url.startswith(running.relying_party)
    expect(page.get_by_text("nothing was shared")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    steps.at(page, "Sign in")


def test_consent_is_asked_once_and_can_be_denied_and_withdrawn(
    plain: BrowserContext, running: Running, enroll: Enroll, watch: Watch
) -> None:
    watch.expect("status of 400")  # the relying party did not start these requests
    person, page = enroll(totp=False), plain.new_page()
    asking = running.authorize_url("web-post")
    page.goto(asking)
    steps.give_password(page, person)
    steps.at(page, "Allow Partner application to use your account?")
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url("**/callback?error=access_denied**")

    page.goto(asking)  # signed in by now, or asked again: plain way a question follows
    if page.get_by_label("Username").is_visible():
        steps.give_password(page, person)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/callback?code=**")
    page.goto(asking)
    page.wait_for_url("**/callback?code=**")

    page.goto(f"{running.provider.issuer}/account/applications")
    page.get_by_role("button", name="Withdraw access Partner application").click()
    expect(page.get_by_role("status")).to_contain_text("Partner application has no access")
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.goto(asking)
    steps.at(page, "Allow Partner application to use your account?")


def test_signing_out_at_the_provider_asks_first(
    plain: BrowserContext, running: Running, ben: Person
) -> None:
    page = plain.new_page()
    steps.sign_in(page, running, ben)
    page.goto(running.provider.issuer)
    page.get_by_role("link", name="Sign out").click()
    steps.at(page, "Sign out?")
    page.get_by_role("button", name="Stay signed in").click()
    steps.at(page, "Your account")

    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()

    steps.at(page, "You are signed out")
