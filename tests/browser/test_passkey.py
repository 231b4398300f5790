"""Passkeys in the real Chromium, by its virtual authenticator: bind one on the way, sign in with
it alone, use it for a step-up; and what a weaker key, or no key, is told."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from examples import demo
from idp import settings as configuration
from idp.core import create_core
from tests.browser import steps
from tests.browser.conftest import Enroll, Open, Person, Running
from tests.browser.test_looks import PHONE, fits
from tests.live import provider

pytestmark = pytest.mark.xdist_group("browser")

ACRS = {
    "aal1": {"any_of": [["password"], ["passkey"]]},
    "aal2": {"any_of": [["password", ["webauthn", "totp"]], ["passkey"]]},
}
TOUCH = "Press the button. Your device then asks you to confirm that it is you."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo with a policy of its own."""
    folder = tmp_path_factory.mktemp("passkeys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = folder / "state"
    environment = {"IDP_ACR": json.dumps(ACRS), "IDP_WEB__SIGN_IN_RATE": "100000/minute"}
    arguments = ("--relying-party", f"http://localhost:{port}", "--state", str(state))
    with (
        provider(folder, *arguments, environment=environment) as started,
        demo.running_relying_party(dict(started.described), port) as relying_party,
    ):
        settings = configuration.read(issuer=started.issuer, dev=True, state_dir=state, acr=ACRS)
        core = create_core(settings)
        yield Running(started, relying_party, core)
        core.close()
        events = map(json.loads, started.stderr.read_text().splitlines())
        assert [e for e in events if e["event"] in {"request_failed", "factor_failed"}] == []


@pytest.fixture
def person(enroll: Enroll) -> Person:
    return enroll(totp=False)


class Device:
    """The virtual authenticator of a page. It dies with the page."""

    def __init__(self, page: Page, **more: Any) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable")
        self.options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            **more,
        }
        answer = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": self.options})
        self.id = answer["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        answer = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        found: list[dict[str, Any]] = answer["credentials"]
        return found

    def verified(self, yes: bool) -> None:
        given = {"authenticatorId": self.id, "isUserVerified": yes}
        self.session.send("WebAuthn.setUserVerified", given)


Hold = Callable[..., tuple[Page, Device]]
NO_AUTOFILL = """
if (window.PublicKeyCredential)
  PublicKeyCredential.isConditionalMediationAvailable = async () => false;
"""


@pytest.fixture
def hold(profile: Open) -> Hold:
    """A browser with a device. Autofill is off unless wanted: the virtual device answers it at
    once, and no button would ever be pressed."""

    def open_page(*, autofill: bool = False, look: Any = None, **more: Any) -> tuple[Page, Device]:
        context: BrowserContext = profile(**(look or {}))
        if not autofill:
            context.add_init_script(NO_AUTOFILL)
        page = context.new_page()
        return page, Device(page, **more)

    return open_page


def register(page: Page, running: Running, person: Person) -> None:
    """On the way to something that needs more than a password."""
    steps.start(page, running)
    steps.give_password(page, person)
    steps.at_relying_party(page, running)
    page.get_by_role("button", name="Transfer money").click()
    steps.at(page, "Add a passkey or security key")
    page.get_by_role("button", name="Add passkey").click()
    steps.at_relying_party(page, running)
    expect(page.get_by_role("status")).to_have_text("Transfer done, authorised with aal2.")


def forgotten(page: Page) -> None:
    """Another day: no session anywhere."""
    page.context.clear_cookies()


def test_a_passkey_is_added_on_the_way_and_signs_in_alone(
    hold: Hold, running: Running, person: Person
) -> None:
    page, device = hold()
    register(page, running, person)
    (kept,) = device.credentials()
    assert kept["isResidentCredential"]
    assert kept["rpId"] == "localhost"
    forgotten(page)

    steps.start(page, running)
    page.get_by_role("button", name="Sign in with a passkey").click()

    steps.at_relying_party(page, running, f"Hello, {person.username}")
    methods = "proof of a key (pop), proof of presence (user), more than one factor (mfa)"
    expect(page.get_by_text(methods)).to_be_visible()
    page.get_by_role("button", name="Transfer money").click()  # it was two factors in one
    expect(page.get_by_role("status")).to_have_text("Transfer done, authorised with aal2.")


def test_it_is_in_the_autofill_of_the_username(
    hold: Hold, running: Running, person: Person
) -> None:
    page, _ = hold(autofill=True)
    register(page, running, person)
    forgotten(page)

    page.goto(running.relying_party)
    page.get_by_role("link", name="Sign in").click()

    steps.at_relying_party(page, running, f"Hello, {person.username}")


def test_it_serves_a_step_up(hold: Hold, running: Running, person: Person) -> None:
    page, _ = hold()
    register(page, running, person)
    forgotten(page)
    steps.start(page, running)
    steps.give_password(page, person)
    steps.at_relying_party(page, running)
    expect(page.get_by_text("with one factor (aal1)")).to_be_visible()

    page.get_by_role("button", name="Transfer money").click()
    steps.at(page, "Use your passkey or security key")
    expect(page.get_by_text(TOUCH)).to_be_visible()
    expect(page.get_by_text(person.username)).to_be_visible()
    page.get_by_role("button", name="Continue with passkey").click()

    expect(page.get_by_role("status")).to_have_text("Transfer done, authorised with aal2.")


def test_a_key_that_verifies_nobody_is_a_second_factor_and_no_way_in_alone(
    hold: Hold, running: Running, person: Person
) -> None:
    page, device = hold(
        hasUserVerification=False, isUserVerified=False, hasResidentKey=False, transport="usb"
    )
    register(page, running, person)
    assert len(device.credentials()) == 1
    forgotten(page)

    steps.start(page, running)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("try another way")
    steps.give_password(page, person)
    steps.at_relying_party(page, running)

    page.get_by_role("button", name="Transfer money").click()
    steps.at(page, "Use your passkey or security key")
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("status")).to_have_text("Transfer done, authorised with aal2.")


def test_who_cancels_is_told_what_to_do_and_can_try_again(
    hold: Hold, running: Running, person: Person
) -> None:
    page, device = hold()
    register(page, running, person)
    forgotten(page)
    steps.start(page, running)
    device.verified(False)

    button = page.get_by_role("button", name="Sign in with a passkey")
    button.click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was confirmed.")
    expect(button).to_be_enabled()
    device.verified(True)
    button.click()
    steps.at_relying_party(page, running, f"Hello, {person.username}")


def test_a_passkey_that_was_removed_here_says_so(
    hold: Hold, running: Running, person: Person
) -> None:
    page, _ = hold()
    register(page, running, person)
    store = running.core.stores.authenticators
    (user,) = [running.core.stores.users.find(person.username)]
    assert user is not None
    for held in store.of(user.id):
        if held.factor == "webauthn":
            store.remove(held.id)
    forgotten(page)
    steps.start(page, running)

    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_role("alert").filter(has_text="passkey is not known here")).to_be_visible()
    steps.give_password(page, person)
    steps.at_relying_party(page, running)


def test_a_page_that_was_open_for_long_fetches_what_to_ask_now(
    hold: Hold, running: Running, person: Person
) -> None:
    page, _ = hold()
    register(page, running, person)
    forgotten(page)
    steps.start(page, running)
    page.evaluate("performance.now = () => 301_000")

    with page.expect_request(lambda sent: sent.resource_type == "fetch") as asked:
        page.get_by_role("button", name="Sign in with a passkey").click()

    assert "/interaction/" in asked.value.url
    steps.at_relying_party(page, running, f"Hello, {person.username}")


def test_a_browser_that_knows_only_the_older_interface(
    hold: Hold, running: Running, person: Person
) -> None:
    page, _ = hold()
    page.context.add_init_script(
        """
        if (window.PublicKeyCredential) {
          delete PublicKeyCredential.parseCreationOptionsFromJSON;
          delete PublicKeyCredential.parseRequestOptionsFromJSON;
          delete PublicKeyCredential.prototype.toJSON;
        }
        """
    )
    register(page, running, person)
    forgotten(page)
    steps.start(page, running)

    page.get_by_role("button", name="Sign in with a passkey").click()

    steps.at_relying_party(page, running, f"Hello, {person.username}")


def test_a_browser_without_passkeys_says_so(hold: Hold, running: Running) -> None:
    page, _ = hold()
    page.context.add_init_script("delete window.PublicKeyCredential")
    steps.start(page, running)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    page.get_by_text("Try another way", exact=True).click()
    page.get_by_role("button", name="Passkey", exact=True).click()
    steps.at(page, "Sign in with a passkey")

    expect(page.get_by_role("alert")).to_contain_text("This browser cannot use passkeys.")


def test_without_javascript_the_page_says_what_to_do(
    plain: BrowserContext, running: Running, person: Person
) -> None:
    page = plain.new_page()
    steps.start(page, running)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    page.get_by_text("Try another way", exact=True).click()
    page.get_by_role("button", name="Passkey", exact=True).click()
    steps.at(page, "Sign in with a passkey")
    expect(page.get_by_text("Passkeys need JavaScript.")).to_be_visible()
    page.get_by_text("Try another way", exact=True).click()

    page.get_by_role("button", name="Password").click()

    steps.at(page, "Sign in")
    steps.give_password(page, person)
    steps.at_relying_party(page, running)


def test_the_pages_fit_a_phone_and_have_no_dead_button(
    hold: Hold, running: Running, person: Person
) -> None:
    page, _ = hold(look={"viewport": PHONE, "has_touch": True})
    steps.start(page, running)
    fits(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_be_visible()
    fits(page)
    page.get_by_text("Try another way", exact=True).click()
    page.get_by_role("button", name="Passkey", exact=True).click()
    steps.at(page, "Sign in with a passkey")
    fits(page)
