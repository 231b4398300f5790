"""The running provider of a test: who and what is seeded in it, and one line to tokens."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests

from idp.testing.browser import TIMEOUT, Answers, Browser, NotSignedIn, parameters
from idp.testing.passkey import VirtualPasskey
from idp.testing.people import Message, Person, Surroundings

SCOPE = "openid profile email"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The token endpoint's answer. `claims` are those of the ID token, `{}` without one; they came
    straight from the provider, so nothing is verified here."""

    access_token: str = field(repr=False)
    claims: Mapping[str, Any]
    scope: str
    expires_in: int
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def bearer(self) -> Mapping[str, str]:
        """The header of a request to a resource server (RFC 6750)."""
        return {"Authorization": f"Bearer {self.access_token}"}


class Clock:
    """The provider's time: the machine's, plus what it was advanced by."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, step: timedelta) -> datetime:
        body = {"advance": step.total_seconds()}
        answer = requests.post(self._url, json=body, timeout=TIMEOUT)
        assert answer.ok, f"the clock did not move: {answer.text[:300]}"
        self._ahead += step
        return self.now()


class Outbox:
    """Messages that would have been sent: nothing leaves the machine."""

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> Sequence[Message]:
        """Newest first."""
        json_please = {"Accept": "application/json"}
        found = requests.get(self._url, headers=json_please, timeout=TIMEOUT).json()
        return tuple(
            Message(m["kind"], m["to"], m["text"], datetime.fromisoformat(m["at"])) for m in found
        )

    def latest(self, to: str) -> Message:
        """The newest one to an address or number. Raises AssertionError when there is none."""
        sent = self.all()
        found = next((message for message in sent if message.to == to), None)
        others = ", ".join(sorted({m.to for m in sent})) or "nobody"
        assert found is not None, f"nothing was sent to {to}; messages went to {others}"
        return found


class Provider:
    """`users` and `clients` are those of `idp dev`, by name."""

    def __init__(
        self,
        described: Mapping[str, Any],
        start: Callable[..., AbstractContextManager["Provider"]],
    ) -> None:
        self.issuer: str = described["issuer"]
        self.described = described
        self.clock = Clock(described["clock_url"])
        self.outbox = Outbox(described["outbox_url"])
        self.clients: Mapping[str, Mapping[str, Any]] = {
            client["client_id"]: client for client in described["clients"]
        }
        self.users: Mapping[str, Person] = {
            user["username"]: _person(user, self.issuer) for user in described["users"]
        }
        self._start = start

    def login(
        self,
        username: str,
        acr: str = "",
        *,
        client: str = "web",
        scope: str = SCOPE,
        resource: str | Sequence[str] = (),
        by: str | Sequence[str] = (),
        answers: Answers | None = None,
        browser: Browser | None = None,
        **request: str,
    ) -> Tokens:
        """Sign in, as a browser that was never here unless one is given. Raises NotSignedIn.

        `by` names the factors to choose where there is a choice, `answers` those of your own;
        `request` holds more parameters of the authorization request, such as `claims`.
        """
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        redirect_uri = self.clients[client]["redirect_uris"][0]
        url = self.authorize_url(
            client, acr, scope=scope, resource=resource, verifier=verifier, state=state, **request
        )
        visitor = browser or self.browser(username)
        answer = parameters(visitor.visit(url, by=by, answers=answers))
        if "code" not in answer:
            raise NotSignedIn(f"{username} at {client}: the provider refused: {answer}", answer)
        assert answer.get("state") == state, "the provider changed `state`"
        return self.token(
            client,
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=redirect_uri,
            code_verifier=verifier,
            resource=resource,
        )

    def authorize_url(
        self,
        client: str = "web",
        acr: str = "",
        *,
        scope: str = SCOPE,
        resource: str | Sequence[str] = (),
        verifier: str = "",
        **request: str,
    ) -> str:
        """Where a browser starts. With PKCE: give the `verifier` to redeem the code by it."""
        digest = hashlib.sha256((verifier or secrets.token_urlsafe(48)).encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": self.clients[client]["redirect_uris"][0],
            "scope": scope,
            "acr_values": acr,
            "resource": resource,
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **request,
        }
        given = {name: value for name, value in asked.items() if value}
        return f"{self.issuer}/authorize?{urlencode(given, doseq=True)}"

    def browser(self, username: str) -> Browser:
        """One that was never here, with this person in front of it."""
        around = Surroundings(
            self.clock.now,
            lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
            self.outbox.latest,
        )
        assert username in self.users, f"no {username!r} here; there are {', '.join(self.users)}"
        return Browser(self.issuer, self.users[username], around)

    def token(self, client: str = "service", **form: str | Sequence[str]) -> Tokens:
        """A request to the token endpoint, `client_credentials` unless the form says otherwise."""
        asked = {name: v for name, v in {"grant_type": "client_credentials", **form}.items() if v}
        known = self.clients[client]
        basic = None
        if known["token_endpoint_auth_method"] == "client_secret_basic":
            basic = (client, known["client_secret"])
        else:
            asked |= {"client_id": client}
            if known["token_endpoint_auth_method"] == "client_secret_post":
                asked |= {"client_secret": known["client_secret"]}
        answer = requests.post(f"{self.issuer}/token", data=asked, auth=basic, timeout=TIMEOUT)
        assert answer.ok, f"/token answered {answer.status_code} to {client}: {answer.text[:300]}"
        body = answer.json()
        return Tokens(
            body["access_token"],
            _claims(body.get("id_token")),
            body.get("scope", ""),
            body["expires_in"],
            body.get("id_token"),
            body.get("refresh_token"),
        )

    def settings(
        self, *, relying_party: str = "", **values: Any
    ) -> AbstractContextManager["Provider"]:
        """Another provider, with these settings, for as long as the `with` lasts: sections are
        mappings, as in the TOML file. `relying_party` is where its clients may return to."""
        return self._start(relying_party=relying_party, **values)


def _person(user: Mapping[str, Any], issuer: str) -> Person:
    return Person(
        username=user["username"],
        password=user["password"],
        sub=user["sub"],
        email=user["email"],
        phone=user["phone"],
        device=VirtualPasskey(issuer),
        totp_secret=user["totp_secret"] or "",
        recovery_codes=list(user.get("recovery_codes") or ()),
    )


def _claims(id_token: str | None) -> Mapping[str, Any]:
    if id_token is None:
        return {}
    payload = id_token.split(".")[1]
    found: Mapping[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return found
