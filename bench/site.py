"""What the subjects speak to: a provider's address, paths and secrets, whoever made it."""

import base64
import hashlib
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp

from bench import client
from bench.client import Answer, Connection
from bench.server import cpu_seconds

CALLBACK = "http://localhost:8001/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
SCOPE = "openid profile email"
RESOURCE = "https://api.example.com"


@dataclass(frozen=True, slots=True)
class Paths:
    authorize: str = "/authorize"
    token: str = "/token"
    introspect: str = "/introspect"
    userinfo: str = "/userinfo"
    jwks: str = "/jwks"
    discovery: str = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    password: str
    totp_secret: str | None = None
    recovery_codes: tuple[str, ...] = ()


@dataclass
class Site:
    """`settle`: how long after the last answer it may still work, on what it wrote down."""

    name: str
    issuer: str
    pid: int
    secrets: Mapping[str, str]
    people: dict[str, Person]
    paths: Paths = field(default_factory=Paths)
    settle: float = 0.25
    ahead: float = 0.0
    """How far its clock was moved."""

    @property
    def host(self) -> str:
        return urlsplit(self.issuer).netloc

    @property
    def port(self) -> int:
        return urlsplit(self.issuer).port or 80

    @contextmanager
    def meter(self, spent: Callable[[float], None]) -> Iterator[None]:
        """Tell `spent` the CPU seconds of what is done inside and of its aftermath."""
        time.sleep(self.settle)
        before = cpu_seconds(self.pid)
        yield
        time.sleep(self.settle)
        spent(cpu_seconds(self.pid) - before)

    def token_request(self, client_id: str, form: Mapping[str, str]) -> bytes:
        secret = client.basic(client_id, self.secrets[client_id])
        return client.post(self.host, self.paths.token, form, secret)

    def redemption(self, code: str) -> bytes:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return self.token_request("web", form)

    def advance(self, connection: Connection, seconds: int) -> None:
        """Move the clock of `idp dev`."""
        body = json.dumps({"advance": seconds})
        head = f"POST /dev/clock HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json"
        request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        if connection.exchange(request).status != 200:
            raise RuntimeError("the clock did not move")
        self.ahead += seconds


class Visitor:
    """A browser's part: keeps cookies, follows redirects, fills in plain forms."""

    def __init__(self, site: Site, person: str = "ben", acr: str = "") -> None:
        self._site = site
        self._person = site.people[person]
        self._acr = acr
        self._cookies: dict[str, str] = {}

    def code(self, connection: Connection) -> str:
        """One authorization request, answered: with pages the first time, then by the session."""
        answer = self._begin(connection)
        for _ in range(12):
            target = answer.header("Location")
            if target is None:
                answer = self._send(self._filled(answer))
            elif target.startswith(CALLBACK):
                return parse_qs(urlsplit(target).query)["code"][0]
            else:
                answer = self._follow(target)
        raise RuntimeError(f"no code: {answer.head!r}")

    def up_to(self, connection: Connection, factor: str) -> bytes:
        """Answer the pages before the one of `factor`; the request that answers that one."""
        answer = self._begin(connection)
        for _ in range(12):
            target = answer.header("Location")
            if target is not None:
                answer = self._follow(target)
                continue
            request = self._filled(answer)
            if f'name="factor" value="{factor}"'.encode() in answer.body:
                return request
            answer = self._send(request)
        raise RuntimeError(f"no page of {factor}: {answer.head!r}")

    def _begin(self, connection: Connection) -> Answer:
        self._exchange = connection.exchange
        query = {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "state": "state",
            "nonce": "nonce",
            "code_challenge": CHALLENGE.decode(),
            "code_challenge_method": "S256",
        }
        if self._acr:
            query["acr_values"] = self._acr
        return self._get(f"{self._site.paths.authorize}?{urlencode(query)}")

    def _follow(self, target: str) -> Answer:
        parts = urlsplit(target)
        return self._get(f"{parts.path}?{parts.query}" if parts.query else parts.path)

    def _filled(self, page: Answer) -> bytes:
        text = page.body.decode()
        action = re.search(r'<form[^>]*action="([^"]*)"', text)
        if page.status != 200 or not action:
            raise RuntimeError(f"not a form: {page.head!r} {text[:300]}")
        fields = {}
        for tag in re.findall(r"<input[^>]*>", text):
            name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
            if name:
                fields[name[1]] = html.unescape(value[1]) if value else self._answer(name[1], text)
        path = urlsplit(html.unescape(action[1])).path
        return client.post(self._site.host, path, fields, self._cookie())

    def _answer(self, name: str, page: str) -> str:
        if name in {"username", "login"}:
            return self._person.username
        if name == "password":
            return self._person.password
        if name != "code":
            return ""
        given = re.search(r'id="secret">([A-Z2-7 ]+)<', page)
        secret = given[1].replace(" ", "") if given else self._person.totp_secret
        if secret:
            return pyotp.TOTP(secret).at(int(time.time() + self._site.ahead))
        return self._person.recovery_codes[0] if self._person.recovery_codes else ""

    def _get(self, path: str) -> Answer:
        return self._send(client.get(self._site.host, path, self._cookie()))

    def _cookie(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def _send(self, request: bytes) -> Answer:
        answer = self._exchange(request)
        for cookie in answer.headers("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value
            if not value:
                del self._cookies[name.strip()]
        return answer
