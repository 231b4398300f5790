"""The seeded people, with what they hold: each answers whatever the provider may ask of them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyotp

from idp.testing.passkey import VirtualPasskey

Page = Mapping[str, Any]
PERIOD = 30  # seconds of a TOTP code
PASSKEYS = {"webauthn", "passkey"}


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent to somebody."""

    kind: str
    to: str
    text: str
    at: datetime

    @property
    def code(self) -> str:
        """The digits in it. Raises AssertionError when there are none."""
        found = re.search(r"(?<!\d)\d{6,8}(?!\d)", self.text)
        assert found is not None, f"no code in the message to {self.to}: {self.text!r}"
        return found[0]

    @property
    def link(self) -> str:
        """The address in it. Raises AssertionError when there is none."""
        found = re.search(r"https?://[^\s<>\"]+", self.text)
        assert found is not None, f"no link in the message to {self.to}: {self.text!r}"
        return found[0]


@dataclass
class Person:
    """Somebody with an account, and a device. What is enrolled on the way is remembered here."""

    username: str
    password: str = field(repr=False)
    sub: str
    email: str
    phone: str
    device: VirtualPasskey = field(repr=False)
    totp_secret: str = field(default="", repr=False)
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    last_step: int = -1
    """Of the TOTP code that was used last: none works twice."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a person can do besides: wait, and read messages."""

    now: Callable[[], datetime]
    wait: Callable[[float], object]
    latest: Callable[[str], Message]


def answer(person: Person, page: Page, around: Surroundings) -> Mapping[str, str]:
    """What this person types into this page. Raises AssertionError for a page that none of it
    answers: a factor of somebody else's."""
    factor, names = page["factor"], [f["name"] for f in page["fields"]]
    if factor == "totp":
        return {"code": _totp(person, page, around)}
    if factor == "recovery_code":
        assert person.recovery_codes, f"{person.username} has no recovery code left"
        return {"code": person.recovery_codes.pop(0)}
    if factor in PASSKEYS:
        options = page["public"]["publicKey"]
        made = person.device.create if page["step"] == "enroll" else person.device.get
        return {"credential": json.dumps(made(options))}
    known = {"username": person.username, "password": person.password}
    if factor == "sms":
        if "code" in names:
            return {"code": around.latest(person.phone).code}
        known |= dict.fromkeys(names, person.phone)
    missing = [name for name in names if name not in known]
    if missing:
        raise AssertionError(
            f"the provider asks {person.username} for {', '.join(missing)} ({factor}); "
            f'give answers={{"{factor}": {{...}}}}'
        )
    return {name: known[name] for name in names}


def _totp(person: Person, page: Page, around: Surroundings) -> str:
    """A code that was not used yet: it may have to wait for the next one."""
    if page["step"] == "enroll":
        person.totp_secret, person.last_step = page["public"]["secret"], -1
    assert person.totp_secret, f"{person.username} has no authenticator app"
    if int(around.now().timestamp()) // PERIOD <= person.last_step:
        around.wait(PERIOD)
    now = around.now()
    person.last_step = int(now.timestamp()) // PERIOD
    return pyotp.TOTP(person.totp_secret).at(now)
