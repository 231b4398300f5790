"""Going through the account pages over HTTP, for the tests of flows and of attacks."""

import re
from pathlib import Path
from typing import Any

from tests.house import Browser, House, build

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
HELD = r"/account/authenticators/([0-9a-f]{32})"


def provider(folder: Path, **more: Any) -> House:
    """As `idp dev` has it, with cheap password hashes."""
    return build(folder, **{"factors": CHEAP, **more})


def enter(house: House, username: str, path: str = "/account") -> Browser:
    """A browser at this page, whatever had to be proven on the way."""
    browser = house.browser()
    visit(house, browser, username, path)
    return browser


def visit(house: House, browser: Browser, username: str, path: str) -> str:
    """The page at `path`, after every question on the way to it was answered."""
    page = browser.get(path)
    for _ in range(4):
        if not page.request.path.startswith("/interaction/"):
            return page.text
        names = [n for n in browser.fields() if n in {"username", "password", "code"}]
        page = browser.submit(**browser.answers(names, username))
    raise AssertionError(f"no end: {page.text}")


def post(house: House, browser: Browser, path: str, **form: str) -> Any:
    """Send a form to `path` with the token of its own page; the answer itself, not followed."""
    browser.get(path)
    return browser.http.post(
        path, data={**browser.fields(), **form}, base_url=house.issuer, follow_redirects=False
    )


def send(house: House, browser: Browser, path: str, **form: str) -> str:
    """The same, and the page that it led to."""
    return browser._follow(post(house, browser, path, **form)).text


def held(house: House, username: str) -> dict[str, list[str]]:
    """Ids of what works now, by factor."""
    found: dict[str, list[str]] = {}
    for one in house.app.stores.authenticators.of(house.users[username]["sub"]):
        if one.disabled_at is None:
            found.setdefault(one.factor, []).append(one.id)
    return found


def links(page: str) -> list[str]:
    """The authenticators that a page leads to."""
    return sorted(set(re.findall(HELD, page)))


def codes(page: str) -> list[str]:
    return re.findall(r"<code>([0-9A-Z-]{24})</code>", page)
