"""The forms themselves: messages, focus, keyboard, and what assistive technology is told."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import steps
from tests.browser.conftest import Enroll, Open, Person, Running, Watch

pytestmark = pytest.mark.xdist_group("browser")

REFUSED = "That did not match. Check what you typed and try again."


def test_a_wrong_password_says_so_and_keeps_the_name(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(totp=False), either.new_page()
    steps.start(page, running)

    steps.give_password(page, person, "wrong")

    expect(page.get_by_role("alert")).to_contain_text(REFUSED)
    expect(page).to_have_title(re.compile("^Error: Sign in"))
    expect(page.get_by_text("Support code: ")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value(person.username)
    password = page.get_by_label("Password", exact=True)
    expect(password).to_be_focused()
    expect(password).to_have_value("")
    expect(password).to_have_accessible_description(REFUSED)
    expect(password).to_have_attribute("aria-invalid", "true")


def test_an_unknown_name_looks_like_a_wrong_password(page: Page, running: Running) -> None:
    steps.start(page, running)

    steps.give_password(page, Person("nobody-here", "some password"))

    expect(page.get_by_role("alert")).to_contain_text(REFUSED)


def test_a_wrong_code_says_so_and_the_right_one_is_taken(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()
    steps.start(page, running)
    steps.give_password(page, person)
    steps.at(page, "Enter your code")
    right = person.code()

    steps.give_code(page, str((int(right) + 500_000) % 1_000_000).zfill(6))

    expect(page.get_by_role("alert")).to_contain_text(REFUSED)
    code = page.get_by_label("Code")
    expect(code).to_be_focused()
    expect(code).to_have_value("")
    expect(code).to_have_accessible_description(REFUSED)
    steps.give_code(page, f"{right[:3]} {right[3:]}")  # as authenticator apps show it
    steps.at_relying_party(page, running)


def test_the_cursor_waits_in_the_first_empty_field(
    plain: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), plain.new_page()
    steps.start(page, running)
    expect(page.get_by_label("Username")).to_be_focused()

    steps.give_password(page, person)

    steps.at(page, "Enter your code")
    expect(page.get_by_label("Code")).to_be_focused()


def test_an_empty_form_is_not_sent(page: Page, running: Running) -> None:
    steps.start(page, running)
    before = page.url

    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page.get_by_label("Username")).to_be_focused()
    assert page.url == before
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_keyboard_is_enough(either: BrowserContext, running: Running, enroll: Enroll) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()
    page.goto(running.relying_party)
    page.get_by_role("link", name="Sign in").focus()
    page.keyboard.press("Enter")
    steps.at(page, "Sign in")
    expect(page.get_by_label("Username")).to_be_focused()

    page.keyboard.type(person.username)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")

    steps.at(page, "Enter your code")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(person.code())
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Continue")).to_be_focused()
    page.keyboard.press("Enter")
    steps.at_relying_party(page, running)


def test_tab_follows_the_order_of_the_page(page: Page, running: Running) -> None:
    steps.start(page, running)
    expect(page.get_by_label("Username")).to_be_focused()
    focused = "(document.activeElement.name || document.activeElement.innerText).trim()"
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))

    assert reached == [
        "password",
        "Show password",
        "Sign in",
        "Sign in with a passkey",
        "Forgot your password?",
        "Create an account",
        "Try another way",
        "cancel",
    ]


def test_the_first_tab_stop_skips_to_the_content(
    page: Page, running: Running, watch: Watch
) -> None:
    watch.expect("status of 404")
    page.goto(f"{running.provider.issuer}/nowhere")

    page.keyboard.press("Tab")

    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_password_can_be_shown_and_is_hidden_again(page: Page, running: Running) -> None:
    steps.start(page, running)
    field = page.get_by_label("Password", exact=True)
    field.fill("secret")

    page.get_by_role("button", name="Show password").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide password").click()

    expect(field).to_have_attribute("type", "password")
    expect(field).to_have_value("secret")


def test_without_javascript_no_button_is_idle(profile: Open, running: Running) -> None:
    page = profile(javascript=False).new_page()
    steps.start(page, running)

    expect(page.get_by_role("button", name="Show password")).to_have_count(0)


def test_password_managers_and_phones_are_told_what_is_asked(
    page: Page, running: Running, enroll: Enroll
) -> None:
    steps.start(page, running)
    expect(page.get_by_label("Username")).to_have_attribute("autocomplete", "username webauthn")
    password = page.get_by_label("Password", exact=True)
    expect(password).to_have_attribute("autocomplete", "current-password")

    steps.give_password(page, enroll(require_acr="aal2"))

    code = page.get_by_label("Code")
    expect(code).to_have_attribute("autocomplete", "one-time-code")
    expect(code).to_have_attribute("inputmode", "numeric")
