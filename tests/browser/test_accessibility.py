"""axe-core finds nothing on any page, in light and dark, on a phone and on a desktop.

A new page is one line of PAGES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import steps
from tests.browser.conftest import Enroll, Open, Person, Running, Watch

pytestmark = pytest.mark.xdist_group("browser")

AXE = Path(__file__).parents[1] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
CURE = "run scripts/services.sh once: it installs the npm packages of the tests"
WIDTHS = ({"width": 360, "height": 740}, {"width": 1280, "height": 900})
SCHEMES = ("light", "dark")
# WCAG 2.2 A and AA, and what axe's authors hold to be good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@dataclass
class Visit:
    """A browser page on its way to the page that is looked at."""

    page: Page
    running: Running
    enroll: Enroll

    def ask(self, **more: str) -> "Visit":
        self.page.goto(self.running.authorize_url(**more))
        return self

    def password(self, person: Person, password: str | None = None) -> "Visit":
        steps.give_password(self.page, person, password)
        return self

    def at(self, path: str) -> "Visit":
        self.page.goto(f"{self.running.provider.issuer}{path}")
        return self

    def account(self, path: str = "", **kind: Any) -> "Visit":
        steps.open_account(self.page, self.running, self.enroll(**kind), path)
        return self

    def link(self, username: str) -> "Visit":
        """Behind the link that lets this person choose a new password."""
        user = self.running.core.stores.users.find(username)
        assert user is not None
        life = timedelta(hours=1)
        data = {"email": user.email}
        self.page.goto(self.running.core.links.issue("reset", user.id, data, life))
        return self

    def press(self, name: str) -> "Visit":
        self.page.get_by_role("button", name=name).click()
        return self

    def follow(self, name: str) -> "Visit":
        self.page.get_by_role("link", name=name).first.click()
        return self

    def consented(self) -> "Visit":
        self.ask(client_id="web-post", scope="openid email").password(self.enroll(totp=False))
        self.press("Allow").page.wait_for_url("**/callback?**")
        return self


def app(v: Visit) -> Person:
    return v.enroll(require_acr="aal2")


def bare(v: Visit) -> Person:
    return v.enroll(totp=False)


# Name, the way there, the heading that shows that it is reached.
PAGES: tuple[tuple[str, Callable[[Visit], Any], str], ...] = (
    ("sign in", lambda v: v.ask(), "Sign in"),
    ("wrong password", lambda v: v.ask().password(bare(v), "wrong"), "Sign in"),
    ("code", lambda v: v.ask().password(app(v)), "Enter your code"),
    ("enrolment", lambda v: v.ask(acr_values="aal2").password(bare(v)), "Add your authenticator"),
    ("consent", lambda v: v.ask(client_id="web-post").password(bare(v)), "Allow Partner"),
    ("error", lambda v: v.ask(redirect_uri="https://evil.example/"), "This did not work"),
    ("no page", lambda v: v.at("/nowhere"), "This did not work"),
    ("nobody's front page", lambda v: v.at("/"), "Your account"),
    ("somebody's front page", lambda v: v.account(totp=False).at("/"), "Your account"),
    ("sign out", lambda v: v.account(totp=False).at("/logout"), "Sign out?"),
    ("signed out", lambda v: v.account(totp=False).at("/logout").press("Sign out"), "You are"),
    ("outbox", lambda v: v.at("/dev/outbox"), "Outbox"),
    ("overview", lambda v: v.account(totp=False), "Your account"),
    ("profile", lambda v: v.account("/profile", totp=False), "Profile"),
    ("profile saved", lambda v: v.account("/profile", totp=False).press("Save"), "Profile"),
    ("password", lambda v: v.account("/password", totp=False), "Change your password"),
    ("authenticators", lambda v: v.account("/authenticators"), "Signing in"),
    (
        "authenticator",
        lambda v: (
            v.account("/recovery-codes").at("/account/authenticators").follow("Rename or remove")
        ),
        "Authenticator app",
    ),
    (
        "removal",
        lambda v: (
            v.account("/recovery-codes")
            .at("/account/authenticators")
            .follow("Rename or remove")
            .follow("Remove")
        ),
        "Remove Authenticator app?",
    ),
    ("adding", lambda v: v.account("/authenticators/add/totp", totp=False), "Add your"),
    ("passkey", lambda v: v.account("/authenticators/add/webauthn", totp=False), "Add a passkey"),
    ("text message", lambda v: v.account("/authenticators/add/sms", totp=False), ""),
    ("recovery codes", lambda v: v.account("/recovery-codes"), "Recovery codes"),
    ("codes shown", lambda v: v.account("/recovery-codes").press("Make ten codes"), "Your recov"),
    ("second factor", lambda v: v.account("/second-factor"), "Second step"),
    ("contact", lambda v: v.account("/contact", totp=False), "Email and phone"),
    ("phone", lambda v: v.account("/contact/phone", totp=False), "Phone number"),
    ("mail", lambda v: v.account("/contact/mail", totp=False), "Email address"),
    ("applications", lambda v: v.consented().at("/account/applications"), "Connected apps"),
    ("sessions", lambda v: v.account("/sessions", totp=False), "Signed-in devices"),
    ("recovery", lambda v: v.at("/recover"), "Forgot your password?"),
    ("recovery asked", lambda v: v.at("/recover/sent"), "Look into your mail"),
    ("registration", lambda v: v.at("/register"), "Create an account"),
    ("new password", lambda v: v.link("ben@example.com"), "Choose a new password"),
    ("a link that is gone", lambda v: v.at("/link/gone"), "This did not work"),
    ("history", lambda v: v.account("/history", totp=False), "History"),
)


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.fail(f"{AXE} is missing: {CURE}", pytrace=False)
    return AXE.read_text()


def complaints(page: Page, axe: str) -> list[str]:
    """What axe says of the page as it is now: rule, element, why."""
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("way", "heading"), [p[1:] for p in PAGES], ids=[p[0] for p in PAGES])
def test_axe_finds_nothing(
    profile: Open,
    running: Running,
    enroll: Enroll,
    watch: Watch,
    axe: str,
    way: Callable[[Visit], Any],
    heading: str,
) -> None:
    watch.expect("status of 4")  # some of these pages are refusals
    page = profile(reduced_motion="reduce").new_page()
    way(Visit(page, running, enroll))
    page.get_by_role("heading", level=1).filter(has_text=heading).wait_for(state="attached")
    page.wait_for_load_state()
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in WIDTHS:
            page.set_viewport_size(width)  # type: ignore[arg-type]
            found += [f"{scheme} {width['width']}: {one}" for one in complaints(page, axe)]
    assert found == []


def test_axe_looks_at_all(page: Page, axe: str) -> None:
    """Without this, finding nothing would prove nothing."""
    page.set_content(
        "<html lang=en><body style='color:#ccc;background:#fff'><img src=x>pale</body>"
    )
    assert {one.partition(":")[0] for one in complaints(page, axe)} >= {
        "image-alt",
        "color-contrast",
    }
