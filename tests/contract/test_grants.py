"""Grants, codes and refresh tokens: used up once, whoever asks how often."""

import sqlite3
from dataclasses import asdict, replace

import psycopg
import pytest

from idp.model import Grant
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.sessions import SqlSessions
from idp.storage.tables import refresh_token
from idp.storage.users import SqlUsers
from tests.contract.race import race
from tests.contract.samples import (
    CODE,
    GRACE,
    GRANT,
    MICROSECOND,
    MINUTE,
    NOW,
    PLAIN_USER,
    REFRESH,
    SECOND,
    SESSION,
    SUCCESSOR,
    digest,
)

INTEGRITY_ERRORS = (sqlite3.IntegrityError, psycopg.IntegrityError)


@pytest.fixture
def grants(database: Database) -> SqlGrants:
    return SqlGrants(database)


@pytest.fixture
def granted(grants: SqlGrants, database: Database) -> SqlGrants:
    """With one grant, its code and its refresh token."""
    grants.add(GRANT, CODE)
    with database.read() as connection:
        connection.execute(refresh_token.insert().values(asdict(REFRESH)))
    return grants


def test_every_field_comes_back(granted: SqlGrants) -> None:
    assert granted.get(GRANT.id) == GRANT
    assert granted.peek_code(CODE.hash) == CODE
    assert granted.find_refresh(REFRESH.hash) == REFRESH


def test_what_is_not_there(granted: SqlGrants) -> None:
    assert granted.get("grant-9") is None
    assert granted.get("\0") is None
    assert granted.peek_code(digest("guess")) is None
    assert granted.find_refresh(digest("guess")) is None


def test_a_grant_is_stored_with_its_code_or_not_at_all(granted: SqlGrants) -> None:
    with pytest.raises(INTEGRITY_ERRORS):
        granted.add(replace(GRANT, id="grant-2"), CODE)
    assert granted.get("grant-2") is None


@pytest.mark.parametrize("ended", [True, False])
def test_a_grant_of_an_ended_session_is_born_revoked(
    grants: SqlGrants, database: Database, ended: bool
) -> None:
    SqlUsers(database).add(PLAIN_USER)
    sessions = SqlSessions(database)
    sessions.add(SESSION, digest("secret"))
    if ended:
        sessions.end(SESSION.id, NOW)
    grants.add(GRANT, CODE)
    revoked = replace(GRANT, revoked_at=NOW, revoked_because="session ended")
    assert grants.get(GRANT.id) == (revoked if ended else GRANT)


# --- codes


def test_a_code_is_used_once(granted: SqlGrants) -> None:
    used = replace(CODE, used_at=NOW)
    assert granted.use_code(CODE.hash, NOW)
    assert not granted.use_code(CODE.hash, NOW + SECOND)
    assert granted.peek_code(CODE.hash) == used


def test_an_unknown_code(granted: SqlGrants) -> None:
    assert not granted.use_code(digest("guess"), NOW)
    assert granted.use_code(CODE.hash, NOW)


def test_a_code_expires(granted: SqlGrants) -> None:
    assert not granted.use_code(CODE.hash, CODE.expires_at)
    assert granted.peek_code(CODE.hash) == CODE
    assert granted.use_code(CODE.hash, CODE.expires_at - MICROSECOND)


def test_a_code_of_a_revoked_grant(granted: SqlGrants) -> None:
    granted.revoke(GRANT.id, NOW, "because")
    assert not granted.use_code(CODE.hash, NOW)


def test_of_fifty_who_use_a_code_one_gets_it(granted: SqlGrants) -> None:
    answers = race(lambda _: granted.use_code(CODE.hash, NOW))
    assert sorted(answers) == [False] * (len(answers) - 1) + [True]


def test_a_code_is_used_and_its_refresh_token_stored_or_neither(
    granted: SqlGrants, database: Database
) -> None:
    first = replace(REFRESH, hash=digest("first"))
    with pytest.raises(INTEGRITY_ERRORS):
        granted.use_code(CODE.hash, NOW, replace(first, grant_id="no such grant"))
    assert granted.peek_code(CODE.hash) == CODE
    assert granted.use_code(CODE.hash, NOW, first)
    assert granted.find_refresh(first.hash) == first
    second = replace(REFRESH, hash=digest("second"))
    assert not granted.use_code(CODE.hash, NOW, second)
    assert granted.find_refresh(second.hash) is None


# --- refresh tokens


def test_a_refresh_token_gives_way_to_its_successor(granted: SqlGrants) -> None:
    assert granted.rotate_refresh(REFRESH.hash, SUCCESSOR, NOW, GRACE)
    assert granted.find_refresh(REFRESH.hash) == replace(REFRESH, used_at=NOW)
    assert granted.find_refresh(SUCCESSOR.hash) == SUCCESSOR


def test_a_retry_within_the_grace_changes_nothing(granted: SqlGrants) -> None:
    granted.rotate_refresh(REFRESH.hash, SUCCESSOR, NOW, GRACE)
    late = NOW + GRACE - MICROSECOND
    again = replace(SUCCESSOR, issued_at=late)
    assert granted.rotate_refresh(REFRESH.hash, again, late, GRACE)
    assert granted.find_refresh(REFRESH.hash) == replace(REFRESH, used_at=NOW)
    assert granted.find_refresh(SUCCESSOR.hash) == SUCCESSOR


def test_after_the_grace_it_is_refused(granted: SqlGrants) -> None:
    granted.rotate_refresh(REFRESH.hash, SUCCESSOR, NOW, GRACE)
    other = replace(SUCCESSOR, hash=digest("other"))
    assert not granted.rotate_refresh(REFRESH.hash, other, NOW + GRACE, GRACE)
    assert granted.find_refresh(other.hash) is None


def test_an_expired_or_unknown_refresh_token(granted: SqlGrants) -> None:
    assert not granted.rotate_refresh(REFRESH.hash, SUCCESSOR, REFRESH.expires_at, GRACE)
    assert not granted.rotate_refresh(digest("guess"), SUCCESSOR, NOW, GRACE)
    assert granted.find_refresh(SUCCESSOR.hash) is None
    assert granted.find_refresh(REFRESH.hash) == REFRESH


def test_a_refresh_token_of_a_revoked_grant(granted: SqlGrants) -> None:
    granted.revoke(GRANT.id, NOW, "because")
    assert not granted.rotate_refresh(REFRESH.hash, SUCCESSOR, NOW, GRACE)
    assert granted.find_refresh(SUCCESSOR.hash) is None


def test_another_live_grant_does_not_help_a_revoked_one(granted: SqlGrants) -> None:
    granted.add(replace(GRANT, id="grant-2"), replace(CODE, hash=digest("2"), grant_id="grant-2"))
    granted.revoke(GRANT.id, NOW, "because")
    assert not granted.rotate_refresh(REFRESH.hash, SUCCESSOR, NOW, GRACE)


def test_rotation_is_whole_or_not_at_all(granted: SqlGrants) -> None:
    orphan = replace(SUCCESSOR, grant_id="grant-9")
    with pytest.raises(INTEGRITY_ERRORS):
        granted.rotate_refresh(REFRESH.hash, orphan, NOW, GRACE)
    assert granted.find_refresh(REFRESH.hash) == REFRESH


def test_fifty_retries_at_once_make_one_successor(granted: SqlGrants) -> None:
    def rotate(number: int) -> bool:
        token = replace(SUCCESSOR, issued_at=NOW + number * SECOND)
        return granted.rotate_refresh(REFRESH.hash, token, NOW, GRACE)

    assert all(race(rotate))
    kept = granted.find_refresh(SUCCESSOR.hash)
    assert kept is not None
    assert granted.find_refresh(REFRESH.hash) == replace(REFRESH, used_at=NOW)


def test_without_grace_fifty_at_once_have_one_winner(granted: SqlGrants) -> None:
    def rotate(number: int) -> bool:
        token = replace(SUCCESSOR, hash=digest(str(number)))
        return granted.rotate_refresh(REFRESH.hash, token, NOW, 0 * SECOND)

    results = race(rotate)
    stored = [granted.find_refresh(digest(str(n))) is not None for n in range(len(results))]
    assert sum(results) == 1
    assert stored == results


# --- revocation


def test_revoke_once_and_keep_the_first_reason(granted: SqlGrants) -> None:
    assert granted.revoke(GRANT.id, NOW, "first")
    assert not granted.revoke(GRANT.id, NOW + SECOND, "second")
    assert not granted.revoke("grant-9", NOW, "none")
    assert granted.get(GRANT.id) == replace(GRANT, revoked_at=NOW, revoked_because="first")


def test_revoke_between_a_user_and_a_client(grants: SqlGrants) -> None:
    pairs = [("u1", "c1"), ("u1", "c1"), ("u1", "c1"), ("u1", "c2"), ("u2", "c1")]
    for number, (user_id, client_id) in enumerate(pairs):
        _add(grants, replace(GRANT, id=f"g{number}", user_id=user_id, client_id=client_id))
    grants.revoke("g0", NOW, "earlier")
    assert grants.revoke_between("u1", "c1", NOW, "withdrawn") == 2
    assert grants.revoke_between("u1", "c1", NOW, "again") == 0
    found = [grants.get(f"g{number}") for number in range(5)]
    reasons = [grant.revoked_because for grant in found if grant]
    assert reasons == ["earlier", "withdrawn", "withdrawn", None, None]


def test_revoking_a_token_twice_is_harmless(grants: SqlGrants) -> None:
    grants.revoke_token("jti-1", NOW + MINUTE)
    grants.revoke_token("jti-1", NOW + MINUTE)
    assert grants.standing("jti-1", "", "").token_revoked
    assert not grants.standing("jti-2", "", "").token_revoked


def _add(grants: SqlGrants, grant: Grant) -> None:
    grants.add(grant, replace(CODE, hash=digest(grant.id), grant_id=grant.id))
