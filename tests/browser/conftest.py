"""The real demo in the real Chromium: provider, relying party and browser for this folder.

Everything here runs in one worker (`xdist_group("browser")`) and ends with its last test.
"""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from time import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from examples import demo
from idp import settings as configuration
from idp.cli.admin import user_admin
from idp.cli.authenticators import enroll_totp
from idp.core import Core, create_core
from tests.live import Provider, provider

CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 10_000  # milliseconds
PASSWORD = "correct horse battery staple"


@dataclass
class Running:
    """The demo: the provider, the relying party's address, and the state below them."""

    provider: Provider
    relying_party: str
    core: Core
    numbers: Iterator[int] = field(default_factory=count)

    def authorize_url(self, client_id: str = "web", **more: str) -> str:
        """A valid request for a sign-in that the demo's relying party did not start."""
        asked = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": f"{self.relying_party}/callback",
            "scope": "openid profile",
            "state": "st",
            "nonce": "n",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        return f"{self.provider.issuer}/authorize?{urlencode(asked | more)}"


@dataclass(frozen=True)
class Person:
    """Someone with an account, and the authenticator app in their hand."""

    username: str
    password: str
    totp_secret: str = ""

    def code(self) -> str:
        return pyotp.TOTP(self.totp_secret).at(int(time()))


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("demo")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}"
    with (
        provider(
            folder,
            "--relying-party",
            url,
            "--state",
            str(folder / "state"),
            environment={
                "IDP_WEB__SIGN_IN_RATE": "100000/minute",
                "IDP_REGISTRATION__OPEN": "true",
            },
        ) as started,
        demo.running_relying_party(dict(started.described), port) as relying_party,
    ):
        settings = configuration.read(issuer=started.issuer, dev=True, state_dir=folder / "state")
        core = create_core(settings)
        yield Running(started, relying_party, core)
        core.close()
        events = map(json.loads, started.stderr.read_text().splitlines())
        assert [e for e in events if e["event"] == "request_failed"] == []


@pytest.fixture(scope="package")
def chromium(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(CHROMIUM))
        yield browser
        browser.close()


Enroll = Callable[..., Person]


@pytest.fixture
def enroll(running: Running) -> Enroll:
    """A person nobody else uses. A TOTP code works once, so tests do not share its owner."""

    core = running.core
    admin = user_admin(core)

    def add(*, totp: bool = True, require_acr: str | None = None) -> Person:
        name = f"person{next(running.numbers)}"
        user = admin.add(name, password=PASSWORD, actor="test", require_acr=require_acr)
        uri = enroll_totp(core, user) if totp else ""
        secret = parse_qs(urlsplit(uri).query).get("secret", [""])[0]
        return Person(name, PASSWORD, secret)

    return add


@pytest.fixture
def ben(running: Running) -> Person:
    """A password alone, so he can sign in as often as tests like."""
    told = running.provider.user("ben")
    return Person("ben", told["password"])


@dataclass
class Watch:
    """What a browser complained of. A test names the complaints that it provokes."""

    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on(
            "console",
            lambda said: (
                self.complaints.append(f"{said.type}: {said.text} ({page.url})")
                if said.type in {"error", "warning"}
                else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(f"{error} ({page.url})"))

    def expect(self, words: str) -> None:
        self.expected.append(words)

    def unexpected(self) -> list[str]:
        return [c for c in self.complaints if not any(words in c for words in self.expected)]


@pytest.fixture
def watch() -> Watch:
    return Watch()


Open = Callable[..., BrowserContext]


@pytest.fixture
def profile(chromium: Browser, watch: Watch) -> Iterator[Open]:
    """Open a browser profile; nothing in its console may go unnoticed."""
    opened: list[BrowserContext] = []

    def open_profile(*, javascript: bool = True, **options: Any) -> BrowserContext:
        options = {"locale": "en-GB", **options}
        context = chromium.new_context(java_script_enabled=javascript, **options)
        context.set_default_timeout(PATIENCE)
        context.on("page", watch.follow)
        opened.append(context)
        return context

    yield open_profile
    for context in opened:
        context.close()
    assert watch.unexpected() == []


@pytest.fixture(params=[True, False], ids=["js", "nojs"])
def either(request: pytest.FixtureRequest, profile: Open) -> BrowserContext:
    """A browser profile with JavaScript, then one without."""
    return profile(javascript=request.param)


@pytest.fixture
def plain(profile: Open) -> BrowserContext:
    """A browser profile without JavaScript, where it makes no difference."""
    return profile(javascript=False)


@pytest.fixture
def page(profile: Open) -> Page:
    return profile().new_page()
