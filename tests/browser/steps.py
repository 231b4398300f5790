"""What a person does on the pages, by what the pages show them: labels, buttons, headings."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Person, Running


def at(page: Page, heading: str) -> None:
    """Wait for the page under that heading, its style sheet included."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    page.wait_for_load_state()


def start(page: Page, running: Running) -> None:
    """Press Sign in at the relying party; the provider's first page shows."""
    page.goto(running.relying_party)
    page.get_by_role("link", name="Sign in").click()
    at(page, "Sign in")


def give_password(page: Page, person: Person, password: str | None = None) -> None:
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(password or person.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def give_code(page: Page, code: str) -> None:
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name="Continue").click()


def sign_in(page: Page, running: Running, person: Person) -> None:
    """All of it, for a person who is asked for the password alone."""
    start(page, running)
    give_password(page, person)
    at_relying_party(page, running)


def at_relying_party(page: Page, running: Running, greeting: str = "Hello, ") -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(greeting)
    page.wait_for_load_state()
    assert page.url.startswith(f"{running.relying_party}/")


def open_account(page: Page, running: Running, person: Person, path: str = "") -> None:
    """A page of the account, whatever has to be proven on the way."""
    page.goto(f"{running.provider.issuer}/account{path}")
    if page.get_by_label("Username").count():
        give_password(page, person)
    if page.get_by_role("heading", name="Enter your code").count():
        give_code(page, person.code())
    page.wait_for_url(f"**/account{path}")
    page.wait_for_load_state()
