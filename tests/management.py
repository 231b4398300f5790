"""What the tests of multi-factor management share: the surfaces, and how a person answers.

A surface gives what the functions give, as JSON says it. Another one is one more class and its
name in SURFACES.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pyotp
import pytest

from idp.cli import main
from idp.cli.output import _encode
from idp.core import Core, create_core
from idp.factors import management
from idp.factors.management import (
    disable_mfa,
    enable_mfa,
    generate_backup_codes,
    use,
    verify_mfa,
)
from idp.model import Message, User
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.testing.passkey import VirtualPasskey
from idp.web.admin.build import AdminServices
from idp.web.admin.build import build as build_admin
from tests.house import ISSUER, House, build

SECOND = ["totp", "sms", "webauthn", "recovery_code"]
POLICY = {
    "aal1": {"any_of": [["password"]]},
    "aal2": {"any_of": [["password", SECOND]]},
}
CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
PERIOD = timedelta(seconds=30)

Json = dict[str, Any]
TOKEN = "the-token-of-development"


class Surface(Protocol):
    """The four functions, however they are reached. A refusal of `codes` is {"reason": ...}."""

    def enable(self, user_id: str, method: str) -> Json: ...
    def verify(self, user_id: str, code: str) -> Json: ...
    def codes(self, user_id: str) -> Json: ...
    def disable(self, user_id: str, verification: str) -> Json: ...


class Python:
    def __init__(self, core: Core, _: pytest.MonkeyPatch) -> None:
        use(core.management)

    def enable(self, user_id: str, method: str) -> Json:
        return plain(enable_mfa(user_id, method))

    def verify(self, user_id: str, code: str) -> Json:
        return plain(verify_mfa(user_id, code))

    def codes(self, user_id: str) -> Json:
        try:
            return {"codes": generate_backup_codes(user_id)}
        except management.IdpError as error:
            return {"reason": error.code, "public": error.public}

    def disable(self, user_id: str, verification: str) -> Json:
        return plain(disable_mfa(user_id, verification))


class Commands:
    """`idp mfa ... --json` with the code on standard input, over the same stores and time."""

    def __init__(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def opened(_: Path | None) -> Iterator[Core]:
            yield core

        monkeypatch.setattr("idp.cli.mfa.opened", opened)
        self._patch = monkeypatch

    def enable(self, user_id: str, method: str) -> Json:
        return self._run("enable", user_id, method)

    def verify(self, user_id: str, code: str) -> Json:
        return self._run("verify", user_id, typed=code)

    def codes(self, user_id: str) -> Json:
        return self._run("codes", user_id)

    def disable(self, user_id: str, verification: str) -> Json:
        return self._run("disable", user_id, typed=verification)

    def _run(self, *words: str, typed: str = "") -> Json:
        out, err = io.StringIO(), io.StringIO()
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["idp", "mfa", *words, "--json"])
            patch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as stop:
                main()
        if not out.getvalue():
            return {"error": err.getvalue(), "exit": stop.value.code}
        found: Json = json.loads(out.getvalue())
        assert stop.value.code == (1 if found.get("status") == "refused" else 0)
        return found


class Api:
    """The admin API, by the token of development, over the same stores and time."""

    def __init__(self, core: Core, _: pytest.MonkeyPatch) -> None:
        issuer = core.settings.issuer
        acrs = tuple(core.policy.acrs)
        unused: Any = None
        services = AdminServices(
            UserAdmin(core.stores, core.factors, core.sessions, core.bus, core.clock, issuer, acrs),
            ClientAdmin(core.stores.clients, core.bus, core.clock, acrs),
            core.authenticators,
            core.management,
            core.stores,
            unused,
            unused,
            core.bus,
            core.clock,
            lambda *_: None,
            TOKEN,
        )
        self._client = build_admin(core.settings, services).test_client()

    def enable(self, user_id: str, method: str) -> Json:
        return self._post(f"/users/{user_id}/mfa", {"method": method})

    def verify(self, user_id: str, code: str) -> Json:
        return self._post(f"/users/{user_id}/mfa/verify", {"code": code})

    def codes(self, user_id: str) -> Json:
        return self._post(f"/users/{user_id}/mfa/codes", None)

    def disable(self, user_id: str, verification: str) -> Json:
        return self._post(f"/users/{user_id}/mfa/disable", {"verification": verification})

    def _post(self, path: str, body: Json | None) -> Json:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = self._client.post(path, json=body, headers=headers)
        found: Json = answer.json or {}
        if answer.mimetype == "application/problem+json":
            return {"reason": found["code"], "public": found["detail"], "error": found["detail"]}
        return found


SURFACES: Mapping[str, Callable[[Core, pytest.MonkeyPatch], Surface]] = {
    "python": Python,
    "cli": Commands,
    "http": Api,
}


def plain(result: Any) -> Json:
    found: Json = json.loads(json.dumps(asdict(result), default=_encode))
    return found


@dataclass
class Place:
    """A provider, and one of its people as the methods see them."""

    house: House
    core: Core
    surface: Surface
    device: VirtualPasskey = field(default_factory=lambda: VirtualPasskey(ISSUER))
    seed: str = ""
    known: tuple[str, ...] = ()

    @property
    def ben(self) -> str:
        return str(self.house.users["ben"]["sub"])

    def user(self) -> User:
        return self.core.authenticators.user(self.ben)

    def factors(self) -> list[str]:
        """The password first, then by name: what is bound at one instant has no order."""
        held = {a.factor for a in self.core.authenticators.of(self.ben)}
        return sorted(held, key=lambda factor: (factor != "password", factor))

    def message(self) -> Message:
        """The last text message."""
        return next(m for _, m in self.house.outbox.messages() if m.kind == "sms")

    def notices(self) -> list[str]:
        """What ben was told by mail, oldest first."""
        address = self.house.users["ben"]["email"]
        mails = [m for _, m in self.house.outbox.messages() if (m.kind, m.to) == ("mail", address)]
        return [mail.text.partition("\n")[0] for mail in reversed(mails)]

    def events(self, name: str) -> list[Mapping[str, Any]]:
        rows = self.core.stores.audit.read(limit=1000)
        return [r.detail for _, r in rows if r.event == name and r.user_id == self.ben]


@dataclass(frozen=True)
class Method:
    """How a person answers: what binds it, what proves it again, and what does neither."""

    bind: Callable[[Place, Json], str]
    prove: Callable[[Place, Json | None], str]
    wrong: Callable[[Place, Json | None], str]
    asks: str
    begun: bool  # a proof of it has to be begun


def seeded(place: Place, question: Json) -> str:
    place.seed = pyotp.parse_uri(question["provisioning_uri"]).secret
    return pyotp.TOTP(place.seed).at(place.house.clock())


def app_code(place: Place, _: Json | None) -> str:
    place.house.clock.advance(PERIOD)
    return pyotp.TOTP(place.seed).at(place.house.clock())


def old_code(place: Place, question: Json | None) -> str:
    seed = place.seed or pyotp.parse_uri((question or {})["provisioning_uri"]).secret
    return pyotp.TOTP(seed).at(place.house.clock() - 3 * PERIOD)


def sent_code(place: Place, _: Json | None) -> str:
    found = re.search(r"\b\d{6}\b", place.message().text)
    assert found
    return found[0]


def not_sent_code(place: Place, _: Json | None) -> str:
    return f"{(int(sent_code(place, None)) + 1) % 10**6:06}"


def registered(place: Place, question: Json) -> str:
    return json.dumps(place.device.create(question["options"]["publicKey"]))


def signed(place: Place, question: Json | None) -> str:
    assert question is not None
    return json.dumps(place.device.get(question["options"]["publicKey"]))


def signed_otherwise(place: Place, question: Json | None) -> str:
    """What answers another challenge than the one that was asked."""
    assert question is not None
    options = {**question["options"]["publicKey"], "challenge": "A" * 43}
    device = VirtualPasskey(ISSUER) if "rp" in options else place.device
    return json.dumps(device.create(options) if "rp" in options else device.get(options))


def kept_code(place: Place, _: Json | None) -> str:
    code, *rest = place.known
    place.known = tuple(rest)
    return code


METHODS: Mapping[str, Method] = {
    "totp": Method(seeded, app_code, old_code, "code", begun=False),
    "sms": Method(sent_code, sent_code, not_sent_code, "code", begun=True),
    "webauthn": Method(registered, signed, signed_otherwise, "credential", begun=True),
}


def provided(
    surface: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> Iterator[Place]:
    house = build(folder, factors=CHEAP, **{"acr": POLICY, **settings})
    core = create_core(house.app.settings, house.app.stores, house.clock, house.outbox)
    yield Place(house, core, SURFACES[surface](core, monkeypatch))
    house.app.close()


def enabled(place: Place, method: str) -> None:
    """Ben has it."""
    begun = place.surface.enable(place.ben, method)
    if method == "recovery_code":
        place.known = tuple(begun["codes"])
        return
    done = place.surface.verify(place.ben, METHODS[method].bind(place, begun["question"]))
    assert done["status"] == "confirmed", done
    place.house.clock.advance(timedelta(minutes=6))  # past the spacing of messages


def asked(place: Place, method: str, ask: Callable[[str, str], Json]) -> Json | None:
    """Begin what has to be begun before it can be proven."""
    if not METHODS[method].begun:
        return None
    begun = ask(place.ben, "")
    assert begun["status"] == "pending", begun
    question: Json = begun["question"]
    return question
