"""The contract of a factor: one class, one file.

A factor has no HTTP, no persistence, no events and no clock of its own. The engine counts the
attempt before `verify`, saves what changed, sends messages, emits events, limits the time and
reads any exception but `Rejected` as a refusal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from idp.model import Authenticator, Message, User

Answer = Mapping[str, str]


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for "translate this later"
    """Mark a text for translation; the page that shows it translates it."""
    return text


class Kind(Enum):
    """What a factor proves (NIST SP 800-63B section 2.2.1)."""

    KNOWS = "knows"
    HAS = "has"
    IS = "is"


class Rejected(Exception):
    """The answer was wrong. `detail` goes to the audit trail, never to the person."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Available:
    yes: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.yes


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a form: plain HTML with a stable name, drawn by any theme."""

    name: str
    label: str
    type: str = "text"  # text | password | code
    autocomplete: str = "off"
    inputmode: str | None = None
    maxlength: int | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    title: str
    fields: tuple[Field, ...]
    text: str | None = None
    submit: str = N_("Continue")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one step asks: `public` goes to the browser, `private` stays here."""

    form: Form
    public: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict, repr=False)
    send: Message | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """All that a factor may know. `once` is True for the first caller of a key within `ttl`."""

    now: datetime
    issuer: str
    user: User | None
    held: Sequence[Authenticator]
    once: Callable[[str, timedelta], bool]
    peer: bytes | None = None  # client certificate, DER


class Factor(Protocol):
    """What the engine needs of a plugin (entry point group `idp.factors`).

    The class is constructed once with its own section of the settings:
    `MyFactor(settings: Mapping[str, Any])`, and raises `ValueError` for one it cannot use.
    """

    name: str  # config key, template name, event label
    label: str  # what a person calls it; marked with N_
    amr: tuple[str, ...]  # RFC 8176
    kind: Kind
    phishing_resistant: bool
    identifies: bool  # can start a sign-in: takes a `username` along with its answer

    def available(self, ctx: Context) -> Available:
        """Yes, or no with a reason. Pure: it may be asked often."""
        ...

    def begin(self, ctx: Context) -> Challenge: ...

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """The authenticator that was proven, changed where it changed. Raises Rejected."""
        ...

    def enroll(self, ctx: Context) -> Challenge: ...

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator: ...
