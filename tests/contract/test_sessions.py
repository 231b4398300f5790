"""Sessions: found by their secret, ended for good, together with every grant made from them."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.model import Session
from idp.storage import tables
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.sessions import SqlSessions
from idp.storage.users import SqlUsers
from tests.contract.race import race
from tests.contract.samples import (
    CODE,
    GRACE,
    GRANT,
    MICROSECOND,
    MINUTE,
    NOW,
    PASSWORD,
    PLAIN_USER,
    SECOND,
    SESSION,
    USER,
    digest,
)

SECRET, NEXT, LAST = digest("secret"), digest("next"), digest("last")


@pytest.fixture
def sessions(database: Database) -> SqlSessions:
    users = SqlUsers(database)
    users.add(USER)
    users.add(PLAIN_USER)
    return SqlSessions(database)


@pytest.fixture
def grants(database: Database) -> SqlGrants:
    return SqlGrants(database)


@pytest.mark.parametrize("session", [SESSION, replace(SESSION, achieved=())])
def test_every_field_comes_back(sessions: SqlSessions, session: Session) -> None:
    sessions.add(session, SECRET)
    assert sessions.get(session.id) == session
    assert sessions.find(SECRET, NOW, GRACE) == session


def test_what_is_not_there(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    assert sessions.find(digest("guess"), NOW, GRACE) is None
    assert sessions.get("session-9") is None
    assert sessions.get("\0") is None


def test_a_session_without_previous_secret_is_not_found_by_none(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    assert sessions.find(b"", NOW, GRACE) is None


def test_rotate_changes_the_secret_and_saves_the_rest(sessions: SqlSessions) -> None:
    sessions.add(replace(SESSION, achieved=(PASSWORD,), rotated_at=NOW - MINUTE), SECRET)
    assert sessions.rotate(SESSION, NEXT, since=NOW - MINUTE)
    assert sessions.find(NEXT, NOW, GRACE) == SESSION
    assert sessions.get(SESSION.id) == SESSION


def test_the_old_secret_works_for_the_grace_alone(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    rotated = replace(SESSION, rotated_at=NOW)
    assert sessions.rotate(rotated, NEXT, since=SESSION.rotated_at)
    assert sessions.find(SECRET, NOW + GRACE - MICROSECOND, GRACE) == rotated
    assert sessions.find(SECRET, NOW + GRACE, GRACE) is None
    assert sessions.find(NEXT, NOW + GRACE, GRACE) == rotated


def test_two_rotations_back_is_too_old(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    sessions.rotate(replace(SESSION, rotated_at=NOW), NEXT, since=SESSION.rotated_at)
    sessions.rotate(replace(SESSION, rotated_at=NOW), LAST, since=NOW)
    assert sessions.find(SECRET, NOW, GRACE) is None
    assert sessions.find(NEXT, NOW, GRACE) is not None
    assert sessions.find(LAST, NOW, GRACE) is not None


def test_rotate_touches_no_other_session(sessions: SqlSessions) -> None:
    other = replace(SESSION, id="session-2")
    sessions.add(SESSION, SECRET)
    sessions.add(other, LAST)
    assert sessions.rotate(SESSION, NEXT, since=SESSION.rotated_at)
    assert sessions.find(LAST, NOW, GRACE) == other


def test_save_keeps_traces_of_one_session(sessions: SqlSessions) -> None:
    other = replace(SESSION, id="session-2")
    sessions.add(SESSION, SECRET)
    sessions.add(other, LAST)
    seen = replace(SESSION, last_seen_at=NOW + MINUTE, ip="192.0.2.1", user_agent="Other")
    sessions.save(seen)
    assert sessions.find(SECRET, NOW, GRACE) == seen
    assert sessions.get(other.id) == other


def test_save_of_a_stale_record_undoes_no_step_up(sessions: SqlSessions) -> None:
    stale = replace(SESSION, achieved=(PASSWORD,), rotated_at=NOW - MINUTE)
    sessions.add(stale, SECRET)
    assert sessions.rotate(SESSION, NEXT, since=stale.rotated_at)
    sessions.save(replace(stale, last_seen_at=NOW + MINUTE))
    assert sessions.get(SESSION.id) == replace(SESSION, last_seen_at=NOW + MINUTE)


def test_end(sessions: SqlSessions) -> None:
    other = replace(SESSION, id="session-2")
    sessions.add(SESSION, SECRET)
    sessions.add(other, LAST)
    assert sessions.end(SESSION.id, NOW)
    assert not sessions.end(SESSION.id, NOW + SECOND)
    assert not sessions.end("session-9", NOW)
    assert sessions.find(SECRET, NOW, GRACE) is None
    assert sessions.get(SESSION.id) == replace(SESSION, ended_at=NOW)
    assert sessions.find(LAST, NOW, GRACE) == other


def test_nothing_revives_an_ended_session(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    sessions.end(SESSION.id, NOW)
    ended = sessions.get(SESSION.id)
    sessions.save(replace(SESSION, ip="192.0.2.1"))
    assert not sessions.rotate(replace(SESSION, rotated_at=NOW), NEXT, since=SESSION.rotated_at)
    assert sessions.get(SESSION.id) == ended
    for secret in (SECRET, NEXT):
        assert sessions.find(secret, NOW, GRACE) is None


def test_only_end_ends_a_session(sessions: SqlSessions) -> None:
    """Or its grants would outlive it."""
    sessions.add(SESSION, SECRET)
    ended = replace(SESSION, ended_at=NOW)
    sessions.save(ended)
    assert sessions.get(SESSION.id) == SESSION
    assert sessions.rotate(ended, NEXT, since=SESSION.rotated_at)
    assert sessions.get(SESSION.id) == SESSION


def test_of_fifty_rotations_at_once_one_replaces_the_secret(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    rotated = replace(SESSION, rotated_at=NOW + MINUTE)
    done = race(lambda n: sessions.rotate(rotated, digest(f"new {n}"), since=SESSION.rotated_at))
    assert sorted(done) == [False] * (len(done) - 1) + [True]
    assert sessions.find(SECRET, NOW + MINUTE, GRACE) == rotated
    assert sessions.find(digest(f"new {done.index(True)}"), NOW + MINUTE, GRACE) == rotated


def test_end_revokes_the_live_grants_made_from_it(sessions: SqlSessions, grants: SqlGrants) -> None:
    sessions.add(SESSION, SECRET)
    sessions.add(replace(SESSION, id="session-2"), LAST)
    made_from = {"g1": SESSION.id, "g2": SESSION.id, "g3": "session-2", "g4": None}
    for id_, session_id in made_from.items():
        grant = replace(GRANT, id=id_, session_id=session_id)
        grants.add(grant, replace(CODE, hash=digest(id_), grant_id=id_))
    grants.revoke("g2", NOW - SECOND, "because")
    sessions.end(SESSION.id, NOW)
    reasons = {}
    for id_ in made_from:
        found = grants.get(id_)
        assert found is not None
        reasons[id_] = (found.revoked_at, found.revoked_because)
    assert reasons == {
        "g1": (NOW, "session ended"),
        "g2": (NOW - SECOND, "because"),
        "g3": (None, None),
        "g4": (None, None),
    }


def test_of_one_user_oldest_first(sessions: SqlSessions) -> None:
    second = replace(SESSION, id="a", created_at=NOW + SECOND)
    others = replace(SESSION, id="b", user_id=USER.id)
    sessions.add(second, SECRET)
    sessions.add(others, NEXT)
    sessions.add(SESSION, LAST)
    assert sessions.of(PLAIN_USER.id) == [SESSION, second]


def test_of_fifty_who_end_it_one_did(sessions: SqlSessions) -> None:
    sessions.add(SESSION, SECRET)
    assert sum(race(lambda _: sessions.end(SESSION.id, NOW))) == 1


def test_no_grant_survives_the_end_that_it_races_with(
    sessions: SqlSessions, grants: SqlGrants, database: Database
) -> None:
    sessions.add(SESSION, SECRET)

    def step(number: int) -> None:
        if number == 25:
            sessions.end(SESSION.id, NOW)
        else:
            id_ = f"g{number}"
            grants.add(replace(GRANT, id=id_), replace(CODE, hash=digest(id_), grant_id=id_))

    race(step)
    with database.read() as connection:
        ends = connection.scalars(select(tables.grant.c.revoked_at)).all()
    assert ends == [NOW] * 49
