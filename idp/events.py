"""What happens here, one frozen dataclass each, and the bus that carries it to the sinks.

Services emit after commit and count nothing themselves; sinks match on type. No event has a
field that could hold a secret. `WEIGHT` says what the audit trail owes an event: "now" is
written before the answer leaves, "batch" within a fraction of a second (machines' traffic),
"none" is for metrics alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    WEIGHT: ClassVar[str] = "now"
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionEvent(Event):
    """Something in a sign-in. The support code shown to the person leads here."""

    interaction: str
    support_code: str
    client_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionStarted(InteractionEvent):
    WEIGHT: ClassVar[str] = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorVerified(InteractionEvent):
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRejected(InteractionEvent):
    factor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorFailed(InteractionEvent):
    """The plugin raised or took too long: a denial, and the operator's business."""

    factor: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRefused(InteractionEvent):
    """Too many failures: the answer was not looked at."""

    factor: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInCompleted(InteractionEvent):
    acr: str
    amr: tuple[str, ...]
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRefused(InteractionEvent):
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven(Event):
    user_id: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentWithdrawn(Event):
    user_id: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    session_id: str
    user_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued(Event):
    WEIGHT: ClassVar[str] = "batch"
    grant_type: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    jti: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused(Event):
    """An error answer of the token endpoint."""

    WEIGHT: ClassVar[str] = "batch"
    grant_type: str
    client_id: str
    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReplayed(Event):
    client_id: str
    grant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenReused(Event):
    client_id: str
    grant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked(Event):
    client_id: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIntrospected(Event):
    WEIGHT: ClassVar[str] = "none"
    client_id: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInfoServed(Event):
    WEIGHT: ClassVar[str] = "none"
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRotated(Event):
    kids: tuple[str, ...]
    active_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanged(Event):
    """An operator added, disabled, enabled a user or set a password."""

    user_id: str
    change: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientChanged(Event):
    client_id: str
    change: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorAdded(Event):
    """`actor` is the user's own id, an operator, or an administrator's client."""

    user_id: str
    factor: str
    authenticator_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorRemoved(Event):
    user_id: str
    factor: str
    authenticator_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofTaken(Event):
    """A factor was proven outside a sign-in: before a change, or for a program that asked."""

    user_id: str
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRefused(Event):
    """A proof or a binding outside a sign-in was refused."""

    user_id: str
    factor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodeUsed(Event):
    """`left` counts those that still work."""

    user_id: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentDeferred(InteractionEvent):
    """The person put a demanded factor off, within the grace."""

    acr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """`by`: the person, a reset link, an operator."""

    user_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressVerified(Event):
    """`kind` is mail or phone."""

    user_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketIssued(Event):
    """A link was made: to reset, verify, invite or register."""

    purpose: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketUsed(Event):
    purpose: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(Event):
    """`region` is that of a telephone number, empty for mail."""

    kind: str
    about: str
    region: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused(Event):
    """A limit, or the policy on countries and kinds of numbers, kept it from being sent."""

    kind: str
    reason: str
    region: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailed(Event):
    """The gateway did not take it."""

    kind: str
    about: str
    cause: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsAlarm(Event):
    """Far more codes go to a region than come back: artificial traffic, most likely."""

    region: str
    sent: int
    verified: int
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRefused(Event):
    """A request to the admin API that its token does not allow."""

    WEIGHT: ClassVar[str] = "batch"
    operation: str
    client_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRefused(Event):
    """A person saw an error page; the support code on it leads here."""

    WEIGHT: ClassVar[str] = "batch"
    support_code: str
    method: str
    path: str
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed(Event):
    """An exception that nobody expected. The person got the support code, nothing else."""

    WEIGHT: ClassVar[str] = "batch"
    support_code: str
    method: str
    path: str
    cause: str


Sink = Callable[[Event], None]


class Bus:
    """Hands each event to every sink, in the order given.

    A sink that fails on an event of weight "now" fails the caller: what cannot be recorded is
    not done quietly. On lighter events the failure is left to the sink itself.
    """

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self._sinks = tuple(sinks)

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink(event)

    def extended(self, *sinks: Sink) -> "Bus":
        return Bus((*self._sinks, *sinks))
