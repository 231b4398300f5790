"""What the engine answers with, and what a request brings to it: values, no behaviour."""

from dataclasses import dataclass
from datetime import timedelta

from idp.factors.base import Challenge
from idp.flow.interactions import Stored
from idp.flow.policy import Reached
from idp.model import AuthorizationRequest, Client, Interaction, Session, User


@dataclass(frozen=True, slots=True)
class Choice:
    """Another way to answer."""

    factor: str
    label: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A challenge that can be answered without being chosen."""

    factor: str
    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Asked:
    """The next thing to ask of the person. `username` is who is signing in, once typed.

    `enrolling`: the answer binds a new authenticator of `factor`; `deferrable`: the person may put
    that off. `resendable`: the message that carries the challenge can be asked for again.
    """

    stored: Stored
    factor: str
    challenge: Challenge
    choices: tuple[Choice, ...]
    username: str | None
    error: str | None = None
    retry_after: timedelta | None = None
    beside: tuple[Beside, ...] = ()
    resendable: bool = False
    enrolling: bool = False
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """Every requirement holds."""

    stored: Stored
    user: User
    reached: Reached


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot go on: `error` is the OAuth code for the client, `reason` for the operator."""

    stored: Stored
    error: str
    reason: str
    user: User | None


Step = Asked | Done | Refused


@dataclass(frozen=True, slots=True)
class Visit:
    """What one request brings: the interaction, the request it is for, the browser's session."""

    stored: Stored
    request: AuthorizationRequest
    client: Client
    session: Session | None
    peer: bytes | None = None
    address: str = ""

    @property
    def interaction(self) -> Interaction:
        return self.stored.interaction
