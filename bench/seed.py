"""Fill a provider's SQLite database from beside it: users with all that hangs on them.

Every row is a copy of one that the provider itself wrote, under keys of its own; so whatever
columns there are, they hold what they hold in use.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
from sqlalchemy import Connection, Table, create_engine, select

from bench.site import Person
from idp import settings as configuration
from idp.app import create_core
from idp.cli.admin import user_admin
from idp.factors.admin import AuthenticatorAdmin
from idp.operate.users import UserAdmin
from idp.storage import tables

BATCH = 10_000
ALGORITHMS = ("RS256", "Ed25519")

Row = dict[str, Any]
Keys = Callable[[int], Row]


def clients(state: Path) -> None:
    """`service` once more for each other algorithm, with the same secret."""
    table = tables.client
    with _transaction(state) as connection:
        found = connection.execute(select(table).where(table.c.client_id == "service"))
        service = found.mappings().one()
        for alg in ALGORITHMS:
            keys = {"client_id": f"service-{alg.lower()}", "access_token_alg": alg}
            connection.execute(table.insert(), [{**service, **keys}])


def users(state: Path, count: int) -> None:
    """`count` users more, each with a password, session, grant, used code, refresh token, consent,
    revoked access token and client, as years of use leave them behind. Somebody must have signed
    in before."""
    with _transaction(state) as connection:
        for table, keys in _KEYS.items():
            _fill(connection, table, count, _template(connection, table), keys)
        _fill(connection, tables.revoked_token, count, {}, _revoked)
        _fill(connection, tables.consent, count, {}, _consent)
    with create_engine(_url(state), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill(
    connection: Connection, table: Table, count: int, template: Mapping[str, Any], keys: Keys
) -> None:
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        connection.execute(table.insert(), [{**template, **keys(number)} for number in numbers])


def _template(connection: Connection, table: Table) -> Mapping[str, Any]:
    return dict(connection.execute(select(table).limit(1)).mappings().one())


def _id(kind: str, number: int) -> str:
    """Scattered over the index, as random ids are."""
    return _hash(kind, number).hex()[:32]


def _hash(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()


def _user(number: int) -> Row:
    name = f"user-{number}"
    return {"id": _id("user", number), "username": name, "email": None}


def _name(number: int) -> Row:
    return {"folded": f"user-{number}", "user_id": _id("user", number), "kind": "username"}


def _authenticator(number: int) -> Row:
    return {"id": _id("authenticator", number), "user_id": _id("user", number)}


def _session(number: int) -> Row:
    return {
        "id": _id("session", number),
        "secret_hash": _hash("session", number),
        "previous_hash": _hash("previous", number),
        "user_id": _id("user", number),
    }


def _grant(number: int) -> Row:
    return {
        "id": _id("grant", number),
        "user_id": _id("user", number),
        "session_id": _id("session", number),
    }


def _code(number: int) -> Row:
    return {"hash": _hash("code", number), "grant_id": _id("grant", number)}


def _refresh(number: int) -> Row:
    return {"hash": _hash("refresh", number), "grant_id": _id("grant", number)}


def _client(number: int) -> Row:
    return {"client_id": f"client-{number}"}


def _revoked(number: int) -> Row:
    return {"jti": _id("jti", number), "expires_at": datetime.now(UTC) + timedelta(days=1)}


def _consent(number: int) -> Row:
    return {
        "user_id": _id("user", number),
        "client_id": "web-post",
        "scopes": ["openid"],
        "resources": [],
        "granted_at": datetime.now(UTC),
    }


_KEYS: Mapping[Table, Keys] = {
    tables.user: _user,
    tables.name: _name,
    tables.authenticator: _authenticator,
    tables.session: _session,
    tables.grant: _grant,
    tables.code: _code,
    tables.refresh_token: _refresh,
    tables.client: _client,
}


def _url(state: Path) -> str:
    return f"sqlite:///{state / 'idp.db'}"


@contextmanager
def _transaction(state: Path) -> Iterator[Connection]:
    engine = create_engine(_url(state))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def people(state: Path, issuer: str, count: int, second: str = "totp") -> list[Person]:
    """`count` people more, each with a password and a second factor of their own, or none; written
    by the services themselves, since what they keep is sealed for its row."""
    core = create_core(configuration.read(issuer=issuer, dev=True, state_dir=state))
    admin = user_admin(core)
    prefix = f"{second or 'alone'}-{secrets.token_hex(2)}"
    try:
        return [
            _person(core.authenticators, admin, f"{prefix}-{number}", second)
            for number in range(count)
        ]
    finally:
        core.close()


def _person(authenticators: AuthenticatorAdmin, admin: UserAdmin, name: str, second: str) -> Person:
    password = secrets.token_urlsafe(12)
    user = admin.add(name, password=password, actor="bench")
    if second == "recovery_code":
        codes = authenticators.issue_codes(user.id, actor="bench")
        return Person(name, password, recovery_codes=codes)
    if second != "totp":
        return Person(name, password)
    past = authenticators.clock() - timedelta(days=1)
    earlier = replace(authenticators, clock=lambda: past)
    seed = str(earlier.begin(user.id, "totp").public["secret"])
    earlier.confirm(user.id, "totp", {"code": pyotp.TOTP(seed).at(past)}, actor="bench")
    return Person(name, password, seed)
