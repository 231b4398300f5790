"""What revocation knows of an access token: one statement, whatever there is to look at."""

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from idp.model import Standing
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.users import SqlUsers
from tests.contract.samples import CODE, GRANT, MINUTE, NOW, PLAIN_USER, digest

GOOD = Standing(token_revoked=False, grant_revoked=False, user_disabled=False)


@pytest.fixture
def users(database: Database) -> SqlUsers:
    users = SqlUsers(database)
    users.add(PLAIN_USER)
    return users


@pytest.fixture
def grants(database: Database, users: SqlUsers) -> SqlGrants:
    grants = SqlGrants(database)
    grants.add(GRANT, CODE)
    grants.add(replace(GRANT, id="other"), replace(CODE, hash=digest("o"), grant_id="other"))
    return grants


def test_a_good_token(grants: SqlGrants) -> None:
    standing = grants.standing("jti", GRANT.id, PLAIN_USER.id)
    assert standing == GOOD
    assert standing.token_revoked is False  # a bool, not the database's number


def test_a_revoked_token(grants: SqlGrants) -> None:
    grants.revoke_token("jti", NOW + MINUTE)
    assert grants.standing("jti", GRANT.id, PLAIN_USER.id) == replace(GOOD, token_revoked=True)
    assert grants.standing("jti-2", GRANT.id, PLAIN_USER.id) == GOOD


def test_a_revoked_grant(grants: SqlGrants) -> None:
    grants.revoke(GRANT.id, NOW, "because")
    assert grants.standing("jti", GRANT.id, PLAIN_USER.id) == replace(GOOD, grant_revoked=True)
    assert grants.standing("jti", "other", PLAIN_USER.id) == GOOD


def test_a_disabled_user(grants: SqlGrants, users: SqlUsers) -> None:
    users.add(replace(PLAIN_USER, id="user-3", username="carol"))
    users.save(replace(PLAIN_USER, disabled_at=NOW))
    assert grants.standing("jti", GRANT.id, PLAIN_USER.id) == replace(GOOD, user_disabled=True)
    assert grants.standing("jti", GRANT.id, "user-3") == GOOD


def test_what_is_missing_is_not_good(grants: SqlGrants) -> None:
    assert grants.standing("jti", "grant-9", PLAIN_USER.id) == replace(GOOD, grant_revoked=True)
    assert grants.standing("jti", GRANT.id, "user-9") == replace(GOOD, user_disabled=True)


def test_a_machines_token_has_no_grant_and_no_user(grants: SqlGrants) -> None:
    assert grants.standing("jti", "", "") == GOOD


@pytest.mark.parametrize("place", range(3))
def test_what_no_database_can_hold_is_not_good(grants: SqlGrants, place: int) -> None:
    arguments = ["jti", GRANT.id, PLAIN_USER.id]
    arguments[place] += "\0"
    assert grants.standing(*arguments) == Standing(True, True, True)


def test_standing_is_one_statement(
    grants: SqlGrants, users: SqlUsers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        grants.revoke_token(f"jti-{number}", NOW)
        users.add(replace(PLAIN_USER, id=f"u{number}", username=f"n{number}"))
    statements = _recorded(database, monkeypatch)
    grants.standing("jti-1", GRANT.id, PLAIN_USER.id)
    assert len(statements) == 1


def _recorded(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that reaches the driver from here on, from any layer above it."""
    statements: list[str] = []
    if database.is_sqlite:
        with database.read() as connection:
            driver: Any = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_trace_callback(statements.append)
    else:
        from psycopg import Cursor

        execute = Cursor.execute

        def record(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            statements.append(str(query))
            return execute(self, query, *args, **kwargs)

        monkeypatch.setattr(Cursor, "execute", record)
    return statements
