"""What the services need of the world: one small Protocol per store, and Ephemeral, Clock,
Messenger, Fetcher. Adapters live in `storage`, `messaging`, `outbound`; one contract suite per
port runs against all real engines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from idp.model import (
    Attempt,
    AuditRow,
    Authenticator,
    Client,
    Code,
    Consent,
    Grant,
    Mail,
    Message,
    RefreshToken,
    Session,
    SigningKey,
    Spent,
    Standing,
    Ticket,
    User,
)

Clock = Callable[[], datetime]


class Users(Protocol):
    def add(self, user: User, *held: Authenticator) -> None: ...  # all of it; raises Conflict
    def get(self, user_id: str) -> User | None: ...
    def find(self, identifier: str) -> User | None: ...  # username or verified address, folded
    def save(self, user: User) -> None: ...
    def change(
        self, user_id: str, how: Callable[[User], User]
    ) -> tuple[User, User]: ...  # before and after; nobody writes between. `how` may raise
    def remove(self, user_id: str) -> bool: ...  # and everything that is theirs
    def list(self, *, after: str = "", limit: int = 100) -> Sequence[User]: ...


class Authenticators(Protocol):
    def add(self, authenticator: Authenticator) -> None: ...  # raises Conflict
    def of(self, user_id: str) -> Sequence[Authenticator]: ...
    def save(self, authenticator: Authenticator) -> None: ...
    def change(
        self, authenticator_id: str, how: Callable[[Authenticator], Authenticator]
    ) -> Authenticator: ...  # nobody writes between. `how` may raise
    def remove(self, authenticator_id: str) -> None: ...


class Attempts(Protocol):
    """Failures per subject and factor. Counted before the check, in one atomic statement."""

    def count(self, subject: str, factor: str, now: datetime) -> Attempt: ...
    def forgive(self, subject: str, factor: str) -> None: ...  # nobody looked
    def reset(self, subject: str, factor: str) -> None: ...


class Clients(Protocol):
    def add(self, client: Client) -> None: ...  # raises Conflict
    def get(self, client_id: str) -> Client | None: ...
    def save(self, client: Client) -> None: ...
    def change(
        self, client_id: str, how: Callable[[Client], Client]
    ) -> tuple[Client, Client]: ...  # before and after; nobody writes between. `how` may raise
    def remove(self, client_id: str) -> bool: ...
    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Client]: ...


class Sessions(Protocol):
    def add(self, session: Session, secret_hash: bytes) -> None: ...
    def find(self, secret_hash: bytes, now: datetime, grace: timedelta) -> Session | None: ...
    def get(self, session_id: str) -> Session | None: ...
    def save(self, session: Session) -> None: ...
    def rotate(
        self, session: Session, secret_hash: bytes, *, since: datetime
    ) -> bool: ...  # only if its secret is still the one from `since`
    def end(self, session_id: str, now: datetime) -> bool: ...  # and every grant made from it
    def of(self, user_id: str) -> Sequence[Session]: ...


class Grants(Protocol):
    """Grants, and the codes and refresh tokens that hang on them."""

    def add(self, grant: Grant, code: Code) -> None: ...
    def get(self, grant_id: str) -> Grant | None: ...
    def use_code(
        self, code_hash: bytes, now: datetime, refresh: RefreshToken | None = None
    ) -> bool: ...  # and store what it is exchanged for: both or neither
    def peek_code(self, code_hash: bytes) -> Code | None: ...
    def find_refresh(self, token_hash: bytes) -> RefreshToken | None: ...
    def rotate_refresh(
        self, token_hash: bytes, successor: RefreshToken, now: datetime, grace: timedelta
    ) -> bool: ...
    def revoke(self, grant_id: str, now: datetime, because: str) -> bool: ...
    def revoke_between(self, user_id: str, client_id: str, now: datetime, because: str) -> int: ...
    def revoke_all(self, user_id: str, now: datetime, because: str) -> int: ...
    def revoke_token(self, jti: str, expires_at: datetime) -> None: ...
    def standing(self, jti: str, grant_id: str, user_id: str) -> Standing: ...


class Consents(Protocol):
    def get(self, user_id: str, client_id: str) -> Consent | None: ...
    def save(self, consent: Consent) -> None: ...
    def withdraw(self, user_id: str, client_id: str) -> bool: ...
    def of(self, user_id: str) -> Sequence[Consent]: ...


class SigningKeys(Protocol):
    def all(self) -> Sequence[SigningKey]: ...
    def publish(self, keys: Sequence[SigningKey], *, retire: Mapping[str, datetime]) -> None: ...
    def remove(self, before: datetime) -> int: ...


class ServerSecrets(Protocol):
    def get(self, name: str) -> bytes: ...  # 256 bits, made on first use, one for all processes


class Ephemeral(Protocol):
    """Short-lived values. Every verb is atomic; losing them ends half-done sign-ins only."""

    def put(
        self, key: str, value: bytes, ttl: timedelta, *, expect: bytes | None = None
    ) -> bool: ...  # with `expect`: only over exactly that value
    def get(self, key: str) -> bytes | None: ...
    def take(self, key: str) -> bytes | None: ...
    def once(self, key: str, ttl: timedelta) -> bool: ...  # True for the first caller only
    def incr(self, key: str, ttl: timedelta) -> int: ...


class AuditTrail(Protocol):
    """Append-only."""

    def append(self, rows: Sequence[AuditRow]) -> None: ...
    def read(
        self, *, after: int = 0, support_code: str | None = None, limit: int = 100
    ) -> Sequence[tuple[int, AuditRow]]: ...
    def about(self, user_id: str, events: Sequence[str], *, limit: int = 100) -> Sequence[AuditRow]:
        """The newest first."""
        ...


class Quotas(Protocol):
    """Budgets that outlive a restart. Spent before the act, in one atomic statement."""

    def spend(self, key: str, limit: int, window: timedelta, now: datetime) -> Spent: ...
    def used(self, key: str, now: datetime) -> int: ...


class Tickets(Protocol):
    """Links and codes that work once."""

    def add(self, ticket: Ticket) -> None: ...  # an earlier one of the same purpose and user dies
    def find(self, ticket_hash: bytes, now: datetime) -> Ticket | None: ...  # live and unused
    def use(self, ticket_hash: bytes, now: datetime) -> Ticket | None: ...  # for one caller only
    def revoke(self, user_id: str, now: datetime) -> int: ...  # all of a user's


class Mails(Protocol):
    """Mails that wait to go out. They outlive a restart; of several processes one sends each."""

    def add(self, mail: Mail, now: datetime) -> None: ...
    def claim(self, now: datetime, lease: timedelta, limit: int = 10) -> Sequence[Mail]: ...
    def done(self, mail_id: str) -> None: ...
    def later(self, mail_id: str, at: datetime, because: str) -> None: ...
    def waiting(self) -> int: ...


class Messenger(Protocol):
    """A gateway. Raises what it raises: the caller decides what that means."""

    def send(self, message: Message) -> None: ...


class Sealing(Protocol):
    """Encryption at rest; `name` binds a value to its place, and it opens nowhere else."""

    def seal(self, value: bytes, name: str) -> bytes: ...
    def open(self, sealed: bytes, name: str) -> bytes: ...


class Fetcher(Protocol):
    """A JSON document from a URL that a client chose: SSRF-safe. Raises on anything odd."""

    def get_json(self, url: str, *, fresh: bool = False) -> Any: ...  # fresh: past any cache


@dataclass(frozen=True, slots=True)
class Stores:
    """Every store of one process, opened over one database."""

    users: Users
    authenticators: Authenticators
    attempts: Attempts
    clients: Clients
    sessions: Sessions
    grants: Grants
    consents: Consents
    signing_keys: SigningKeys
    server_secrets: ServerSecrets
    ephemeral: Ephemeral
    audit: AuditTrail
    quotas: Quotas
    tickets: Tickets
    mails: Mails
    sealing: Sealing
    close: Callable[[], None]
    healthy: Callable[[], bool]
    purge: Callable[[datetime], int]  # forget what expired before
