"""The contract of a factor: one class, one file.

A factor has no HTTP, no persistence, no events and no clock of its own. The engine counts the
attempt before `verify`, saves what changed, sends messages, emits events, limits the time and
reads any exception but `Rejected` as a refusal.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
    """The answer was wrong. `detail` goes to the audit trail, never to the person; `public`, marked
    with N_, is what the person may read where "that did not match" would not help. `marked` is the
    authenticator as it is to be saved in spite of the refusal: one that looks copied says so."""

    def __init__(self, detail: str, public: str = "", marked: Authenticator | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.public = public
        self.marked = marked


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
    type: str = "text"  # text | password | code | tel | hidden
    autocomplete: str = "off"
    inputmode: str | None = None
    maxlength: int | None = None
    hint: str | None = None
    required: bool = True
    value: str = ""  # what it is filled with at first


@dataclass(frozen=True, slots=True)
class Form:
    """`text` may have %(name)s for `values`, so that it can be translated."""

    title: str
    fields: tuple[Field, ...]
    text: str | None = None
    submit: str = N_("Continue")
    values: Mapping[str, str] = field(default_factory=dict)


def kept(form: Form) -> Mapping[str, Any]:
    """A form as plain values, to be stored."""
    return asdict(form)


def drawn(values: Mapping[str, Any]) -> Form:
    """The form that `kept` stored."""
    fields = tuple(Field(**field) for field in values["fields"])
    return Form(**{**values, "fields": fields})


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom an answer says that it is about, before any proof: a name that was typed, or the user
    that an authenticator names by itself. Failures count against `authenticator_id` then: whoever
    knows the user's id, as every application does, cannot name that, and so lock nobody out."""

    username: str = ""
    user_id: str | None = None
    authenticator_id: str = ""


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
    identifies: bool  # can start a sign-in: its answer says whom it is about

    def available(self, ctx: Context) -> Available:
        """Yes, or no with a reason. Pure: it may be asked often."""
        ...

    def begin(self, ctx: Context) -> Challenge: ...

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """The authenticator that was proven, changed where it changed. Raises Rejected."""
        ...

    def enroll(self, ctx: Context) -> Challenge: ...

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """The new authenticator. Raises Rejected, or Further when there is more to ask."""
        ...


class Further(Exception):
    """Raised by `confirm`: the answer was taken, and binding goes on with another question: the
    number was given, now comes the code that was sent to it."""

    def __init__(self, challenge: Challenge) -> None:
        super().__init__("another question")
        self.challenge = challenge


# What a factor may have besides; a plain factor needs none of it.


def uses(factor: Factor) -> str:
    """Whose authenticators it works with (`uses`): its own, unless it says another's name. It has
    no settings of its own then, it is constructed with that one's.

    A passkey signs in alone with what was enrolled as `webauthn`.
    """
    return str(getattr(factor, "uses", factor.name))


def covered(factor: Factor, names: Collection[str]) -> bool:
    """Whether one of `names` works with the same authenticators and is their own factor: a person
    is offered that one, not the same thing twice."""
    return uses(factor) != factor.name and uses(factor) in names


def holds(factor: Factor, ctx: Context) -> bool:
    """Whether the user has what this factor works with (`holds(ctx)`), be it of use right now or
    not: a certificate that this connection does not show is still the level to be proven before
    anything is changed."""
    own: Callable[[Context], bool] | None = getattr(factor, "holds", None)
    return bool(ctx.held) if own is None else own(ctx)


def claim(factor: Factor, answer: Answer) -> Claim:
    """Whom the answer is about (`claim(answer)`), for a factor that identifies. Without the method
    it is the `username` of the form."""
    own: Callable[[Answer], Claim] | None = getattr(factor, "claim", None)
    return Claim(username=answer.get("username", "")) if own is None else own(answer)


def ambient(factor: Factor) -> bool:
    """Whether its challenge is shown beside another one's form (`ambient`), so that it can be
    answered without being chosen: a passkey in the autofill of the username."""
    return bool(getattr(factor, "ambient", False))


def lifetime(factor: Factor) -> timedelta | None:
    """How long its challenge may be answered (`lifetime`), and then by one answer: what was refused
    is asked anew. Without it a challenge stands as long as the interaction."""
    found: timedelta | None = getattr(factor, "lifetime", None)
    return found


def sends(factor: Factor) -> str:
    """The kind of message that its challenges need (`sends`): "sms", "mail" or none."""
    return str(getattr(factor, "sends", ""))


def resendable(factor: Factor) -> bool:
    """Whether the person may ask for its message again (`resendable`)."""
    return bool(getattr(factor, "resendable", False))


def enrollable(factor: Factor) -> bool:
    """Whether a person can bind one on a page (`enrollable`); on unless the factor says no: a
    recovery code is issued, a certificate may be bound by an operator alone."""
    return bool(getattr(factor, "enrollable", True))


def one_answer(factor: Factor) -> bool:
    """Whether a challenge takes one answer, right or wrong (it has a `lifetime` of its own)."""
    return lifetime(factor) is not None


def sole(factor: Factor) -> bool:
    """Whether a person has at most one of it (`sole`): a second password is a change of the first,
    which other rules go with."""
    return bool(getattr(factor, "sole", False))


def expendable(factor: Factor) -> bool:
    """Whether what is bound is used up by proving it (`expendable`): it helps once, so it is no way
    in to rely on."""
    return bool(getattr(factor, "expendable", False))
