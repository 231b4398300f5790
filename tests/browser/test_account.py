"""A person's own account in the real Chromium, with and without JavaScript."""

import re
from time import time
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import steps
from tests.browser.conftest import Enroll, Open, Person, Running, Watch
from tests.browser.pictures import qr

pytestmark = pytest.mark.xdist_group("browser")


def add_app(page: Page, chromium: Browser) -> str:
    """Scan the picture on the page and type the code; the key that the app has now."""
    blank = chromium.new_page()
    uri = urlsplit(qr(page.get_by_role("img", name="QR code"), blank))
    blank.close()
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    seed = parse_qs(uri.query)["secret"][0]
    shown = page.locator("#secret").inner_text()
    assert shown.replace(" ", "") == seed
    steps.give_code(page, pyotp.TOTP(seed).at(int(time())))
    return seed


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_app_is_enrolled_by_the_picture_on_the_page(
    profile: Open, chromium: Browser, running: Running, enroll: Enroll, scheme: str
) -> None:
    person, page = enroll(totp=False), profile(color_scheme=scheme).new_page()
    steps.open_account(page, running, person, "/authenticators")
    page.get_by_role("link", name="Add Authenticator app").click()
    steps.at(page, "Add your authenticator app")

    add_app(page, chromium)

    steps.at(page, "Authenticator app")
    expect(page.get_by_role("status")).to_contain_text("It was added.")
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Save the name").click()
    steps.at(page, "Signing in")
    expect(page.get_by_role("heading", name="My phone")).to_be_visible()


def test_an_app_is_enrolled_within_a_sign_in(
    either: BrowserContext, chromium: Browser, running: Running, enroll: Enroll, watch: Watch
) -> None:
    watch.expect("status of 400")  # the relying party did not start this request
    person, page = enroll(totp=False), either.new_page()
    page.goto(running.authorize_url(acr_values="aal2"))
    steps.give_password(page, person)
    steps.at(page, "Add your authenticator app")

    add_app(page, chromium)

    page.wait_for_url(f"{running.relying_party}/callback?**")


def test_a_second_factor_is_asked_for_before_anything_is_changed(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(), either.new_page()
    page.goto(f"{running.provider.issuer}/account")
    steps.give_password(page, person)
    expect(page.get_by_text(f"Signed in as {person.username}")).to_be_visible()
    page.get_by_role("link", name="Signing in").first.click()
    page.get_by_role("link", name="Change Password").click()
    steps.at(page, "Enter your code")

    steps.give_code(page, person.code())

    steps.at(page, "Change your password")
    page.get_by_label("Current password").fill(person.password)
    page.get_by_label("New password").fill("a whole new password")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password was changed.")


def test_an_authenticator_is_removed_after_a_question(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(), either.new_page()
    steps.open_account(page, running, person, "/second-factor")
    page.get_by_role("link", name="Signing in").first.click()
    page.get_by_role("link", name="Rename or remove").click()
    page.get_by_role("link", name="Remove").click()
    steps.at(page, "Remove Authenticator app?")
    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("link", name="Rename or remove")).to_be_visible()
    page.get_by_role("link", name="Rename or remove").click()
    page.get_by_role("link", name="Remove").click()

    page.get_by_role("button", name="Remove").click()

    expect(page.get_by_role("status")).to_contain_text("Authenticator app was removed.")
    expect(page.get_by_role("link", name="Rename or remove")).to_have_count(0)


def test_the_last_way_in_is_kept(either: BrowserContext, running: Running, enroll: Enroll) -> None:
    person, page = enroll(require_acr="aal2"), either.new_page()
    steps.open_account(page, running, person, "/second-factor")
    page.get_by_role("link", name="Signing in").first.click()
    page.get_by_role("link", name="Rename or remove").click()
    page.get_by_role("link", name="Remove").click()

    page.get_by_role("button", name="Remove").click()

    expect(page.get_by_role("alert")).to_contain_text("Add another way first.")
    expect(page.get_by_role("link", name="Rename or remove")).to_be_visible()


def test_recovery_codes_are_kept_as_a_file_and_lead_back_in(
    either: BrowserContext, profile: Open, running: Running, enroll: Enroll
) -> None:
    """Lose everything but the paper: the password and one code lead in, and the lost app goes."""
    person, page = enroll(require_acr="aal2"), either.new_page()
    steps.open_account(page, running, person, "/recovery-codes")
    page.get_by_role("button", name="Make ten codes").click()
    steps.at(page, "Your recovery codes")
    shown = page.locator(".codes code").all_inner_texts()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download as a file").click()
    kept = coming.value.path().read_text()
    assert coming.value.suggested_filename == "recovery-codes.txt"
    assert len(shown) == 10
    assert all(code in kept for code in shown)
    assert not any(code in page.url for code in shown)

    lost = profile(javascript=False).new_page()
    lost.goto(f"{running.provider.issuer}/account/authenticators")
    steps.give_password(lost, person)
    steps.at(lost, "Enter your code")
    lost.get_by_text("Try another way").click()
    lost.get_by_role("button", name="Recovery code").click()
    lost.get_by_label("Recovery code").fill(shown[4].lower())
    lost.get_by_role("button", name="Continue").click()
    steps.at(lost, "Signing in")
    expect(lost.get_by_text("9 codes left")).to_be_visible()
    lost.get_by_role("link", name="Add Authenticator app").click()
    steps.at(lost, "Add your authenticator app")


def test_on_paper_there_are_the_codes_and_whose_they_are(
    page: Page, running: Running, enroll: Enroll
) -> None:
    person = enroll()
    steps.open_account(page, running, person, "/recovery-codes")
    page.get_by_role("button", name="Make ten codes").click()
    expect(page.get_by_role("button", name="Print")).to_be_visible()

    page.emulate_media(media="print")

    expect(page.locator(".codes li")).to_have_count(10)
    expect(page.locator(".codes li").last).to_be_visible()
    expect(page.get_by_text(f"Recovery codes of {person.username}")).to_be_visible()
    for unneeded in (page.locator("button"), page.locator("nav"), page.locator(".button")):
        for one in unneeded.all():
            expect(one).to_be_hidden()


def test_the_keyboard_is_enough(page: Page, running: Running, enroll: Enroll) -> None:
    person = enroll(totp=False)
    steps.open_account(page, running, person, "/password")
    expect(page.get_by_label("Current password")).to_be_focused()

    page.keyboard.type(person.password)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("New password")).to_be_focused()
    page.keyboard.type("short")
    page.keyboard.press("Enter")

    new = page.get_by_label("New password")
    expect(page.get_by_role("alert")).to_contain_text("Choose another password")
    expect(new).to_be_focused()
    expect(new).to_have_attribute("aria-invalid", "true")
    expect(new).to_have_accessible_description(re.compile("this one is too short"))


def test_a_phone_number_is_confirmed_by_the_message(
    either: BrowserContext, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(totp=False), either.new_page()
    number = f"+4915112{next(running.numbers):06}"
    steps.open_account(page, running, person, "/contact/phone")
    page.get_by_label("Phone number").fill(number)
    page.get_by_role("button", name="Send a code").click()
    expect(page.get_by_text(f"We sent a code to {number}")).to_be_visible()
    outbox = page.context.new_page()
    outbox.goto(running.provider.described["outbox_url"])
    text = outbox.locator("li", has_text=number).first.inner_text()
    code = next(word for word in text.split() if word.isdigit() and len(word) == 6)

    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_role("status")).to_contain_text(f"{number} is now your phone number.")


def test_a_passkey_is_added_and_signs_in_alone_and_steps_up(
    profile: Open, running: Running, enroll: Enroll
) -> None:
    person, context = enroll(totp=False), profile()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    steps.open_account(page, running, person, "/authenticators")
    page.get_by_role("link", name="Add Passkey").click()
    page.locator(".ceremony button").click()
    expect(page.get_by_role("status")).to_contain_text("It was added.")
    page.get_by_label("Name").fill("This laptop")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_role("heading", name="This laptop")).to_be_visible()

    context.clear_cookies()
    page.goto(f"{running.provider.issuer}/account/password")

    # The device answers by itself, in the autofill of the name; it is as strong as it gets.
    steps.at(page, "Change your password")


def test_another_device_is_signed_out(
    either: BrowserContext, profile: Open, running: Running, enroll: Enroll
) -> None:
    person, page, other = enroll(totp=False), either.new_page(), profile().new_page()
    steps.open_account(other, running, person)
    steps.open_account(page, running, person, "/sessions")

    page.get_by_role("button", name="Sign out Chrome on Linux").click()

    expect(page.get_by_role("status")).to_contain_text("The device was signed out.")
    other.reload()
    steps.at(other, "Sign in")


def test_signing_out_from_the_account(
    either: BrowserContext, running: Running, ben: Person
) -> None:
    page = either.new_page()
    steps.open_account(page, running, ben)
    page.get_by_role("banner").get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    steps.at(page, "You are signed out")
