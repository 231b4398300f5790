"""The provider in this process, on real SQLite, with a clock that the test moves.

`House` is create_app with the seeds of development mode; `Browser` is a cookie-keeping visitor
of its pages over WSGI; `call` speaks to the machine endpoints. Nothing is replaced but time.
"""

import atexit
import base64
import hashlib
import html
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from idp import settings as configuration
from idp.app import App, create_app
from idp.dev import seeds
from idp.messaging.outbox import Outbox
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.storage.open import upgrade

ISSUER = "http://localhost:8000"
ADMIN_TOKEN = "the-admin-token-of-development"
RELYING_PARTY = "http://localhost:8001"
CALLBACK = f"{RELYING_PARTY}/callback"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class TestClock:
    """Time stands still until the test moves it."""

    __test__ = False

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> None:
        self.now += step


@dataclass
class House:
    app: App
    clock: TestClock
    outbox: Outbox
    users: Mapping[str, Mapping[str, Any]]
    clients: Mapping[str, Mapping[str, Any]]
    user_admin: UserAdmin
    client_admin: ClientAdmin
    issuer: str = ISSUER

    def browser(self) -> "Browser":
        return Browser(self)

    def call(
        self,
        path: str,
        form: Mapping[str, Any] | None = None,
        *,
        client: str | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> TestResponse:
        """A machine's request. `client` authenticates by Basic with its seeded secret."""
        sent = dict(headers or {})
        if client is not None:
            pair = f"{client}:{self.clients[client]['client_secret']}"
            sent["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        visitor = WsgiClient(self.app.wsgi, use_cookies=False)
        verb = method or ("GET" if form is None else "POST")
        return visitor.open(
            path,
            method=verb,
            data=None if form is None else urlencode(form, doseq=True),
            content_type="application/x-www-form-urlencoded" if form is not None else None,
            headers=sent,
            base_url=self.issuer,
        )

    def totp(self, username: str) -> str:
        """A code that was not used yet: the clock moves one step on."""
        self.clock.advance(timedelta(seconds=30))
        return pyotp.TOTP(self.users[username]["totp_secret"]).at(self.clock())

    def tokens(self, username: str = "ben", client: str = "web", **more: Any) -> dict[str, Any]:
        """A whole code flow; the token endpoint's JSON."""
        browser = self.browser()
        request = Request(client_id=client, **more)
        answer = browser.sign_in(request, username)
        response = self.redeem(request, answer["code"], client)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json
        return found

    def redeem(self, request: "Request", code: str, client: str, **more: Any) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.verifier,
            **more,
        }
        form = {name: value for name, value in form.items() if value is not None}
        described = self.clients[client]
        if described["token_endpoint_auth_method"] == "none":
            return self.call("/token", {**form, "client_id": client})
        if described["token_endpoint_auth_method"] == "client_secret_post":
            secret = described["client_secret"]
            return self.call("/token", {**form, "client_id": client, "client_secret": secret})
        return self.call("/token", form, client=client)


@dataclass
class Request:
    """An authorization request with PKCE, as a good client makes it. `more` overrides."""

    client_id: str = "web"
    redirect_uri: str = CALLBACK
    scope: str | None = "openid profile email"
    more: dict[str, Any] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(8))

    def query(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        parameters: dict[str, Any] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **self.more,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return urlencode(given, doseq=True)


class Browser:
    """Follows redirects inside the provider, keeps cookies, fills in plain forms."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.http = WsgiClient(house.app.wsgi)
        self.page: TestResponse | None = None
        self.asked: list[list[str]] = []

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._follow(self.http.get(path, base_url=self._house.issuer, **options))

    def authorize(self, request: Request, **options: Any) -> TestResponse:
        return self.get(f"/authorize?{request.query()}", **options)

    def fields(self) -> dict[str, str]:
        """Inputs of the page's last form with their values."""
        assert self.page is not None
        found = {}
        for tag in re.findall(r"<input[^>]*>", self.page.text):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name:
                found[name[1]] = html.unescape(value[1]) if value else ""
        return found

    def submit(self, **answers: str) -> TestResponse:
        """Post the page's form with these answers."""
        assert self.page is not None
        action = re.search(r'<form[^>]*action="([^"]*)"', self.page.text)
        assert action, self.page.text
        path = urlsplit(html.unescape(action[1])).path
        data = {**self.fields(), **answers}
        return self._follow(self.http.post(path, data=data, base_url=self._house.issuer))

    def enrolling_code(self) -> str:
        """Of the key that the page gives to a new authenticator app."""
        assert self.page is not None
        key = re.search(r'id="secret">([A-Z2-7 ]+)<', self.page.text)
        assert key, self.page.text
        return pyotp.TOTP(key[1].replace(" ", "")).at(self._house.clock())

    def sign_in(self, request: Request, username: str) -> dict[str, str]:
        """Answer every page until the relying party gets its answer; the answer's parameters."""
        response = self.authorize(request)
        for _ in range(6):
            if response.status_code in (302, 303):
                return answer_of(response)
            names = [n for n in self.fields() if n in {"username", "password", "code"}]
            self.asked.append(names)
            response = self.submit(**self.answers(names, username))
        raise AssertionError(f"no end: {response.text}")

    def answers(self, names: list[str], username: str) -> dict[str, str]:
        if not names:
            return {"decision": "allow"}
        known = self._house.users[username]
        answers = {"username": username, "password": known["password"]}
        if "code" in names:
            answers["code"] = self._house.totp(username)
        return {name: answers[name] for name in names}

    def _follow(self, response: TestResponse) -> TestResponse:
        while response.status_code in (302, 303):
            target = response.headers["Location"]
            if not target.startswith(self._house.issuer + "/"):
                break
            parts = urlsplit(target)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            response = self.http.get(path, base_url=self._house.issuer)
        self.page = response
        return response


def answer_of(response: TestResponse) -> dict[str, str]:
    """The parameters of a redirect to the relying party; one value each."""
    query = parse_qs(urlsplit(response.headers["Location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values()), query
    return {name: values[0] for name, values in query.items()}


@dataclass(frozen=True)
class Seeded:
    """A state with keys, people and clients, to be copied: seeding it costs ten times as much."""

    folder: Path
    users: Mapping[str, Mapping[str, Any]]
    clients: Mapping[str, Mapping[str, Any]]


_seeded: dict[str, Seeded] = {}


def build(folder: Path, **overrides: Any) -> House:
    """A provider with the seeded users and clients in `folder`."""
    key = repr(sorted(overrides.items()))
    if key not in _seeded:
        _seeded[key] = _seed(
            Path(
                tempfile.mkdtemp(prefix="idp-seeded-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
            ),
            overrides,
        )
    seeded = _seeded[key]
    shutil.copytree(seeded.folder, folder, dirs_exist_ok=True)
    return _opened(folder, overrides, seeded)


def _seed(folder: Path, overrides: Mapping[str, Any]) -> Seeded:
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    upgrade(_settings(folder, overrides))
    house = _opened(folder, overrides, Seeded(folder, {}, {}))
    users = {u["username"]: u for u in seeds.people(house.user_admin, house.app.authenticators)}
    listed = seeds.clients(house.client_admin, RELYING_PARTY, house.issuer)
    house.app.later.settle()
    house.app.close()
    return Seeded(folder, users, {client["client_id"]: client for client in listed})


def _settings(folder: Path, overrides: Mapping[str, Any]) -> configuration.Settings:
    values: dict[str, Any] = {"issuer": ISSUER, "dev": True, "state_dir": folder, **overrides}
    return configuration.read(**values)


def _opened(folder: Path, overrides: Mapping[str, Any], seeded: Seeded) -> House:
    settings, clock = _settings(folder, overrides), TestClock()
    outbox = Outbox(clock)
    app = create_app(settings, clock=clock, messenger=outbox, admin_token=ADMIN_TOKEN)
    acrs = tuple(app.policy.acrs)
    users = UserAdmin(app.stores, app.factors, app.sessions, app.bus, clock, settings.issuer, acrs)
    clients = ClientAdmin(app.stores.clients, app.bus, clock, acrs)
    told = {name: dict(user) for name, user in seeded.users.items()}
    known = {name: dict(client) for name, client in seeded.clients.items()}
    return House(app, clock, outbox, told, known, users, clients, settings.issuer)
