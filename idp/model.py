"""The records that everything else speaks of. Frozen: a change is a new value.

Instants are aware UTC datetimes, durations timedeltas, ids opaque strings. Nothing here does
I/O. Fields that hold secrets are excluded from `repr`.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LONGEST_DOMAIN = 253


def fold(identifier: str) -> str:
    """One spelling per name: NFKC, case-folded, without surrounding space; the domain of a mail
    address as it is in the DNS.

    Lockouts and look-ups use the same fold, so that another spelling buys no extra attempts.
    """
    name = unicodedata.normalize("NFKC", identifier).strip()
    local, at, domain = name.rpartition("@")
    if at and not domain.isascii() and len(domain) <= LONGEST_DOMAIN:
        name = f"{local}@{_in_dns(domain)}"
    return name.casefold()


def _in_dns(domain: str) -> str:
    import idna  # rarely needed, and its tables are large

    try:
        return idna.encode(domain.lower(), uts46=True).decode()
    except UnicodeError:  # no domain: a name like any other
        return domain


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account here. `id` is the stable subject (`sub`) in tokens."""

    id: str
    username: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    email_verified: bool = False
    phone: str | None = None
    phone_verified: bool = False
    require_acr: str | None = None  # the person's own choice: asked for at every sign-in
    locale: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)  # other standard claims, OIDC Core 5.1
    disabled_at: datetime | None = None
    enroll_by: datetime | None = None  # until when a demanded factor may be put off


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A thing bound to a user: a password, a seed. `secret` is sealed at rest."""

    id: str
    user_id: str
    factor: str
    created_at: datetime
    secret: bytes = field(repr=False, default=b"")
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    last_used_at: datetime | None = None
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client (RFC 7591 section 2 names) with this provider's policy for it."""

    client_id: str
    name: str
    created_at: datetime
    secret_hash: bytes | None = field(repr=False, default=None)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    scopes: tuple[str, ...] = ("openid",)
    resources: tuple[str, ...] = ()  # RFC 8707: what it may ask tokens for
    token_endpoint_auth_method: str = "client_secret_basic"
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    application_type: str = "web"
    id_token_alg: str = "RS256"
    access_token_alg: str | None = None  # None: the provider's default
    require_acr: str | None = None
    require_pkce: bool = True
    require_consent: bool = True
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    disabled_at: datetime | None = None

    @property
    def public(self) -> bool:
        """RFC 6749 section 2.1: it cannot keep a secret."""
        return self.token_endpoint_auth_method == "none"


@dataclass(frozen=True, slots=True)
class Achieved:
    """A factor that was proven, by which authenticator, and when."""

    factor: str
    amr: tuple[str, ...]
    at: datetime
    authenticator_id: str


@dataclass(frozen=True, slots=True)
class Session:
    """The single sign-on session of one browser. The cookie's secret is stored hashed."""

    id: str
    user_id: str
    created_at: datetime
    last_seen_at: datetime
    rotated_at: datetime
    expires_at: datetime
    achieved: tuple[Achieved, ...] = ()
    ip: str = ""
    user_agent: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A validated request of `/authorize`. `parameters` are kept to be validated again."""

    client_id: str
    redirect_uri: str
    response_mode: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    state: str | None
    nonce: str | None
    code_challenge: str | None
    prompts: frozenset[str]
    max_age: int | None  # seconds, as the parameter gives it
    login_hint: str | None
    hint_sub: str | None  # the subject of a valid id_token_hint
    ui_locales: tuple[str, ...]
    acr_values: tuple[str, ...]
    essential_acr: tuple[str, ...]
    claims: Mapping[str, Any]
    parameters: Mapping[str, tuple[str, ...]]
    response_type: str = "code"


@dataclass(frozen=True, slots=True)
class Pending:
    """The challenge that an interaction waits on; `private` never leaves the server."""

    factor: str
    public: Mapping[str, Any]
    private: Mapping[str, Any] = field(repr=False)
    asked_at: datetime
    receipt: str = ""  # of the message that carried it, for whoever counts what was of use
    form: Mapping[str, Any] | None = None  # of a binding, which draws no form a second time
    id: str = ""  # of a binding, which is completed once


@dataclass(frozen=True, slots=True)
class Interaction:
    """One visit of one browser for one authorization request.

    `browser` is the hash of the cookie it is bound to: the id in the path is never enough.
    """

    id: str
    browser: str
    created_at: datetime
    parameters: Mapping[str, tuple[str, ...]]
    client_id: str
    user_id: str | None = None
    identifier: str | None = None  # what was typed as the user's name, until a proof settles it
    achieved: tuple[Achieved, ...] = ()
    pending: tuple[Pending, ...] = ()  # the one that is asked first, then those shown beside it
    enrolling: Pending | None = None  # the authenticator that is being bound
    deferred: bool = False  # the person put a demanded enrolment off
    chosen: str | None = None  # the factor picked by "another way"
    notice: str | None = None  # what was wrong with the last answer, until the next is taken
    retry_at: datetime | None = None
    session_id: str | None = None  # the session it started from
    fresh_user: bool = False  # the person asked to use another account


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, stored by its SHA-256 (RFC 6749 section 4.1.2)."""

    hash: bytes = field(repr=False)
    grant_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str | None
    nonce: str | None
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a subject allowed a client at one authorization: the unit of revocation."""

    id: str
    client_id: str
    user_id: str
    session_id: str | None
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
    created_at: datetime
    claims: Mapping[str, Any] = field(default_factory=dict)  # the `claims` parameter
    revoked_at: datetime | None = None
    revoked_because: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One generation of a refresh token; its family is its grant (RFC 9700 section 4.14.2)."""

    hash: bytes = field(repr=False)
    grant_id: str
    client_id: str
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user allowed a client for as long as it is not withdrawn."""

    user_id: str
    client_id: str
    scopes: frozenset[str]
    resources: frozenset[str]
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of the ring: signs from `active_at` to `retired_at`, published until the last token
    that it signed has expired."""

    kid: str
    alg: str
    private: bytes = field(repr=False)  # JWK as JSON; sealed at rest
    created_at: datetime
    active_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """The answer to one counted attempt: whether it may be verified, and from when the next."""

    allowed: bool
    failures: int
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What revocation knows of an access token: one row, read anew at every use."""

    token_revoked: bool
    grant_revoked: bool
    user_disabled: bool


@dataclass(frozen=True, slots=True)
class Message:
    """An SMS or mail to a person. `text` and `values` may hold a code: never logged.

    `text` and `subject` are marked with N_ and have %(name)s for `values`; what sends it puts it
    into the person's language.
    """

    kind: str  # "sms" | "mail"
    to: str = field(repr=False)
    text: str = field(repr=False)
    subject: str = ""
    values: Mapping[str, str] = field(repr=False, default_factory=dict)
    locale: str | None = None
    about: str = "code"  # what it is for, for events and limits: code | notice | link
    words: Mapping[str, str] = field(default_factory=dict)  # as values, but marked with N_
    tail: str = field(repr=False, default="")  # its last line, for programs: never translated


@dataclass(frozen=True, slots=True)
class Mail:
    """A message in the queue of mails, ready to go out. The body is sealed at rest."""

    id: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    created_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A link or code that is good for one thing, once. Stored by its SHA-256."""

    hash: bytes = field(repr=False)
    purpose: str  # reset | verify | invite | register
    user_id: str | None
    data: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """The answer of a budget: whether it had room, how much is used, and when it is whole again."""

    allowed: bool
    count: int
    whole_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit trail. `detail` is JSON of the event's own fields, no secrets."""

    at: datetime
    event: str
    interaction: str | None
    support_code: str | None
    user_id: str | None
    client_id: str | None
    detail: Mapping[str, Any]
