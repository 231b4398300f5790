"""What expired goes; what still says something stays."""

from dataclasses import replace
from datetime import timedelta

from idp.storage.attempts import SqlAttempts
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.purge import ATTEMPTS_KEPT, purge
from idp.storage.sessions import SqlSessions
from idp.storage.sql_ephemeral import SqlEphemeral
from idp.storage.users import SqlUsers
from tests.contract.samples import (
    CODE,
    GRANT,
    MICROSECOND,
    MINUTE,
    NOW,
    PLAIN_USER,
    REFRESH,
    SESSION,
    digest,
)


def test_nothing_to_forget(database: Database) -> None:
    assert purge(database, NOW) == 0


def test_what_expires_goes_at_its_time(database: Database) -> None:
    SqlUsers(database).add(PLAIN_USER)
    sessions, grants = SqlSessions(database), SqlGrants(database)
    ephemeral = SqlEphemeral(database, lambda: NOW - MINUTE)
    sessions.add(replace(SESSION, expires_at=NOW), digest("secret"))
    grants.revoke_token("jti", NOW)
    ephemeral.put("k", b"v", MINUTE)
    assert purge(database, NOW - MICROSECOND) == 0
    assert purge(database, NOW) == 3
    assert sessions.get(SESSION.id) is None
    assert not grants.standing("jti", "", "").token_revoked
    assert ephemeral.get("k") is None
    assert SqlUsers(database).get(PLAIN_USER.id) == PLAIN_USER


def test_a_grant_goes_when_nothing_hangs_on_it(database: Database) -> None:
    grants = SqlGrants(database)
    grants.add(GRANT, CODE)
    assert grants.use_code(CODE.hash, NOW, REFRESH)
    assert purge(database, CODE.expires_at) == 1
    assert grants.peek_code(CODE.hash) is None
    assert grants.get(GRANT.id) == GRANT
    assert purge(database, REFRESH.expires_at) == 2
    assert grants.find_refresh(REFRESH.hash) is None
    assert grants.get(GRANT.id) is None


def test_a_grant_with_a_code_alone_stays_with_it(database: Database) -> None:
    grants = SqlGrants(database)
    grants.add(GRANT, CODE)
    assert purge(database, CODE.expires_at - MICROSECOND) == 0
    assert grants.get(GRANT.id) == GRANT


def test_a_young_grant_stays(database: Database) -> None:
    grants = SqlGrants(database)
    grants.add(replace(GRANT, created_at=NOW + MINUTE), replace(CODE, expires_at=NOW))
    assert purge(database, NOW) == 1
    assert grants.get(GRANT.id) is not None


def test_failures_are_kept_for_a_day(database: Database) -> None:
    attempts = SqlAttempts(database)
    for _ in range(5):
        attempts.count("käthe", "totp", NOW)
    retry_at = NOW + timedelta(seconds=30)
    assert purge(database, retry_at + ATTEMPTS_KEPT - MICROSECOND) == 0
    assert purge(database, retry_at + ATTEMPTS_KEPT) == 1
