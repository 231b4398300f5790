"""From settings to stores: which database, which keyring, Redis or not."""

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import URL, select

from idp.errors import ConfigError
from idp.ports import Clock, Stores
from idp.settings import Settings
from idp.storage import resealing, schema
from idp.storage.attempts import SqlAttempts
from idp.storage.audit import SqlAuditTrail
from idp.storage.authenticators import SqlAuthenticators
from idp.storage.clients import SqlClients
from idp.storage.consents import SqlConsents
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.mails import SqlMails
from idp.storage.purge import purge
from idp.storage.quotas import SqlQuotas
from idp.storage.seal import Keyring, Sealed, Sealer, SealError, create_keyring, load_keyring
from idp.storage.server_secrets import SqlServerSecrets
from idp.storage.sessions import SqlSessions
from idp.storage.signing_keys import SqlSigningKeys
from idp.storage.sql_ephemeral import SqlEphemeral
from idp.storage.tables import server_secret
from idp.storage.tickets import SqlTickets
from idp.storage.users import SqlUsers

if TYPE_CHECKING:
    from idp.storage.redis import RedisEphemeral


def open_stores(settings: Settings, clock: Clock) -> Stores:
    """Raises ConfigError when the database, its schema, the keyring or Redis cannot be used."""
    database = _database(settings)
    try:
        database.require_reachable()
        schema.require_current(database)
        sealer = _sealer(settings)
        _require_opens(database, sealer)
        redis = _redis(settings)
    except ConfigError:
        database.dispose()
        raise

    passing = _database(settings, durable=False) if database.is_sqlite else database

    authenticators = SqlAuthenticators(database, sealer)

    def close() -> None:
        database.dispose()
        passing.dispose()
        if redis is not None:
            redis.close()

    def healthy() -> bool:
        return schema.answers(database) and (redis is None or redis.answers())

    def forget(before: datetime) -> int:
        return purge(database, before)

    return Stores(
        users=SqlUsers(database, authenticators.bind),
        authenticators=authenticators,
        attempts=SqlAttempts(database),
        clients=SqlClients(database),
        sessions=SqlSessions(database),
        grants=SqlGrants(database),
        consents=SqlConsents(database),
        signing_keys=SqlSigningKeys(database, sealer),
        server_secrets=SqlServerSecrets(database, sealer),
        ephemeral=redis or SqlEphemeral(passing, clock, once_in=database),
        audit=SqlAuditTrail(database),
        quotas=SqlQuotas(database),
        tickets=SqlTickets(database),
        mails=SqlMails(database, sealer),
        sealing=Sealed(sealer),
        close=close,
        healthy=healthy,
        purge=forget,
    )


def upgrade(settings: Settings) -> None:
    """Bring the schema to this code's. Harmless when it is there, or when two try at once."""
    database = _database(settings)
    try:
        database.require_reachable()
        schema.upgrade(database)
    finally:
        database.dispose()


def schema_current(settings: Settings) -> bool:
    """Whether the database has exactly this code's schema."""
    database = _database(settings)
    try:
        database.require_reachable()
        return schema.is_current(database)
    finally:
        database.dispose()


def reseal(settings: Settings) -> int:
    """Wrap every sealed value under the keyring's primary key; returns how many were not.

    Restart every process with the new keyring first: one that has the old keyring goes on
    sealing under the old key.
    """
    database = _database(settings)
    try:
        database.require_reachable()
        schema.require_current(database)
        return resealing.reseal(database, _sealer(settings))
    except SealError as problem:
        raise ConfigError(str(problem)) from None
    finally:
        database.dispose()


def _database(settings: Settings, *, durable: bool = True) -> Database:
    embedded = URL.create("sqlite", database=str(settings.state_dir / "idp.db"))
    return Database(
        settings.storage.database_url or embedded.render_as_string(),
        password=_plain(settings.database_password),
        pool_size=settings.storage.pool_size,
        durable=durable,
    )


def _sealer(settings: Settings) -> Sealer:
    try:
        return Sealer(_keyring(settings))
    except SealError as problem:
        raise ConfigError(str(problem)) from None


def _keyring(settings: Settings) -> Keyring:
    if settings.seal_keys is not None:
        return Keyring.parse(settings.seal_keys.get_secret_value())
    if settings.seal_key_file is not None:
        return load_keyring(settings.seal_key_file)
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return create_keyring(settings.state_dir / "seal.keys")


def _require_opens(database: Database, sealer: Sealer) -> None:
    """Not every key needs to be there, but another database's keyring is found out at the start."""
    some = select(server_secret.c.name, server_secret.c.value).order_by(server_secret.c.name)
    with database.read() as connection:
        row = connection.execute(some.limit(1)).first()
    if row is None:
        return
    try:
        sealer.open(bytes(row.value), table=server_secret.name, column="value", row=row.name)
    except SealError as problem:
        raise ConfigError(f"this keyring does not open {database!r}: {problem}") from None


def _redis(settings: Settings) -> "RedisEphemeral | None":
    if not settings.storage.redis_url:
        return None
    from idp.storage.redis import RedisEphemeral

    redis = RedisEphemeral(settings.storage.redis_url, password=_plain(settings.redis_password))
    redis.require_reachable()
    return redis


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
