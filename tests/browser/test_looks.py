"""Phones, the dark, other languages: what can be measured of how the pages look."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import Enroll, Open, Person, Running, Watch

pytestmark = pytest.mark.xdist_group("browser")

PHONE = {"width": 320, "height": 568}
OVERFLOW = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """
[...document.querySelectorAll('main button, main input:not([type=hidden]), main a.button')]
  .filter(e => e.offsetParent && e.getBoundingClientRect().height < 44)
  .map(e => `${e.name || e.innerText} ${e.getBoundingClientRect().height}`)
"""


def fits(page: Page) -> None:
    page.wait_for_load_state()
    assert page.evaluate(OVERFLOW) <= 0, f"{page.url} scrolls sideways"
    assert page.evaluate(SMALL) == []


def test_a_phone_of_320_pixels_never_scrolls_sideways(
    profile: Open, running: Running, enroll: Enroll, watch: Watch
) -> None:
    watch.expect("status of 4")  # the errors shown below
    person, page = enroll(require_acr="aal2"), profile(viewport=PHONE, has_touch=True).new_page()
    steps.start(page, running)
    fits(page)
    steps.give_password(page, person, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    fits(page)
    steps.give_password(page, person)
    steps.at(page, "Enter your code")
    fits(page)
    steps.give_code(page, person.code())
    steps.at_relying_party(page, running)
    assert page.evaluate(OVERFLOW) <= 0
    page.goto(running.authorize_url("web-post"))
    steps.at(page, "Allow Partner application to use your account?")
    fits(page)
    page.goto(f"{running.provider.issuer}/authorize?client_id=nobody")
    fits(page)
    page.goto(running.provider.issuer)
    fits(page)
    page.goto(f"{running.provider.issuer}/logout")
    fits(page)
    page.get_by_role("button", name="Sign out").click()
    steps.at(page, "You are signed out")
    fits(page)


def luminance(page: Page, selector: str, what: str) -> float:
    """Mean of red, green and blue of a computed colour, 0 to 255."""
    script = f"e => getComputedStyle(e).{what}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    colour: list[float] = page.eval_on_selector(selector, script)
    return sum(colour) / 3


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_pages_follow_the_scheme_of_the_system(
    profile: Open, running: Running, scheme: str, dark: bool
) -> None:
    page = profile(color_scheme=scheme).new_page()
    steps.start(page, running)

    card, text = luminance(page, "main", "backgroundColor"), luminance(page, "h1", "color")

    assert (card < text) is dark
    assert abs(card - text) > 120


@pytest.mark.parametrize(
    ("language", "direction", "letters"),
    [("ar", "rtl", ("\u0600", "\u06ff")), ("ja", "ltr", ("\u3040", "\u9fff"))],
)
def test_the_pages_speak_the_language_that_the_application_asks_for(
    profile: Open, running: Running, language: str, direction: str, letters: tuple[str, str]
) -> None:
    page = profile().new_page()

    page.goto(running.authorize_url(ui_locales=f"xx {language}"))

    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("html")).to_have_attribute("dir", direction)
    for words in (page.locator("h1"), page.locator("form button.main"), page.locator("label")):
        assert any(letters[0] <= c <= letters[1] for c in words.first.inner_text())
    page.set_viewport_size(PHONE)
    fits(page)
    sides = "e => [getComputedStyle(e).textAlign, getComputedStyle(e).direction]"
    assert page.eval_on_selector("h1", sides) == ["start", direction]


def test_the_language_can_be_changed_on_the_page_and_stays(
    profile: Open, running: Running, enroll: Enroll
) -> None:
    person, page = enroll(require_acr="aal2"), profile().new_page()
    steps.start(page, running)

    page.get_by_role("link", name="日本語").click()

    expect(page.locator("html")).to_have_attribute("lang", "ja")
    page.locator("[name=username]").fill(person.username)
    page.locator("[name=password]").fill(person.password)
    page.locator("button.main").click()
    expect(page.locator("[name=code]")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_the_language_follows_the_browser(profile: Open, running: Running) -> None:
    page = profile(locale="ar").new_page()

    page.goto(running.authorize_url())

    expect(page.locator("html")).to_have_attribute("dir", "rtl")


def test_an_error_page_says_what_to_do(profile: Open, running: Running, watch: Watch) -> None:
    watch.expect("status of 400")
    page = profile().new_page()

    page.goto(running.authorize_url(redirect_uri="https://evil.example/callback"))

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="What you can do")).to_be_visible()
    expect(page.get_by_text("Problem with: redirect_uri")).to_be_visible()
    expect(page.get_by_text("Support code: ")).to_be_visible()


def test_the_dev_outbox_is_a_page(profile: Open, running: Running, ben: Person) -> None:
    page = profile().new_page()

    page.goto(running.provider.described["outbox_url"])

    steps.at(page, "Outbox")
