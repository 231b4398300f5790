"""The tables, and nothing else. Instants are microseconds since the epoch in UTC, so that both
databases compare them alike; `sealed` columns hold envelopes of `seal.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as an integer. A naive one is a mistake: raises TypeError."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


metadata = MetaData()

user = Table(
    "user",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("username", String(256), nullable=False),
    Column("email", String(320)),
    Column("email_verified", Boolean, nullable=False),
    Column("phone", String(32)),
    Column("phone_verified", Boolean, nullable=False),
    Column("require_acr", String(64)),
    Column("locale", String(35)),
    Column("claims", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    Column("enroll_by", Instant),
)

# Usernames and verified addresses: what somebody may sign in by is one namespace.
name = Table(
    "name",
    metadata,
    Column("folded", String(320), primary_key=True),
    Column("user_id", String(32), ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Index("name_user", "user_id"),
)

authenticator = Table(
    "authenticator",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
    Column("factor", String(64), nullable=False),
    Column("name", String(128), nullable=False),
    Column("secret", LargeBinary, nullable=False, info={"sealed": True}),
    Column("data", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Column("disabled_at", Instant),
    Index("authenticator_user", "user_id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("factor", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("client_id", String(128), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("secret_hash", LargeBinary),
    Column("redirect_uris", JSON, nullable=False),
    Column("post_logout_redirect_uris", JSON, nullable=False),
    Column("grant_types", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("token_endpoint_auth_method", String(64), nullable=False),
    Column("jwks", JSON),
    Column("jwks_uri", String(2048)),
    Column("application_type", String(16), nullable=False),
    Column("id_token_alg", String(16), nullable=False),
    Column("access_token_alg", String(16)),
    Column("require_acr", String(64)),
    Column("require_pkce", Boolean, nullable=False),
    Column("require_consent", Boolean, nullable=False),
    Column("logo_uri", String(2048)),
    Column("policy_uri", String(2048)),
    Column("tos_uri", String(2048)),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
)

session = Table(
    "session",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("previous_hash", LargeBinary, unique=True),
    Column("user_id", String(32), ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
    Column("achieved", JSON, nullable=False),
    Column("ip", String(64), nullable=False),
    Column("user_agent", String(256), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("rotated_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("session_user", "user_id"),
)

grant = Table(
    "grant",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("client_id", String(128), nullable=False),
    Column("user_id", String(32), nullable=False),
    Column("session_id", String(32)),
    Column("scopes", JSON, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("acr", String(64), nullable=False),
    Column("amr", JSON, nullable=False),
    Column("auth_time", Instant, nullable=False),
    Column("claims", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_because", String(64)),
    Index("grant_user_client", "user_id", "client_id"),
    Index("grant_session", "session_id"),
)

code = Table(
    "code",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("grant_id", String(32), ForeignKey("grant.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(128), nullable=False),
    Column("redirect_uri", String(2048), nullable=False),
    Column("code_challenge", String(128)),
    Column("nonce", String(1024)),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("code_grant", "grant_id"),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("grant_id", String(32), ForeignKey("grant.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(128), nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("refresh_token_grant", "grant_id"),
)

revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("expires_at", Instant, nullable=False),
)

consent = Table(
    "consent",
    metadata,
    Column("user_id", String(32), primary_key=True),
    Column("client_id", String(128), primary_key=True),
    Column("scopes", JSON, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("granted_at", Instant, nullable=False),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("alg", String(16), nullable=False),
    Column("private", LargeBinary, nullable=False, info={"sealed": True}),
    Column("created_at", Instant, nullable=False),
    Column("active_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

server_secret = Table(
    "server_secret",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False, info={"sealed": True}),
)

ephemeral = Table(
    "ephemeral",
    metadata,
    Column("key", String(256), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("ephemeral_expires", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("event", String(64), nullable=False),
    Column("interaction", String(64)),
    Column("support_code", String(16)),
    Column("user_id", String(32)),
    Column("client_id", String(128)),
    Column("detail", JSON, nullable=False),
    Index("audit_support_code", "support_code"),
    Index("audit_user", "user_id"),
)

quota = Table(
    "quota",
    metadata,
    Column("key", String(256), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("quota_ends", "ends_at"),
)

ticket = Table(
    "ticket",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("user_id", String(32), ForeignKey("user.id", ondelete="CASCADE")),
    Column("data", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("ticket_user", "user_id"),
)

mail = Table(
    "mail",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False, info={"sealed": True}),  # to, subject, text
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("because", String(256)),
    Index("mail_due", "due_at"),
)
