"""Authenticators: their secrets are never in the database as they are."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.errors import Conflict, NotFound
from idp.storage import tables
from idp.storage.authenticators import SqlAuthenticators
from idp.storage.database import Database
from idp.storage.seal import Sealer, SealError
from idp.storage.users import SqlUsers
from tests.contract.race import race
from tests.contract.samples import AUTHENTICATOR, NOW, PLAIN_USER, SECOND, USER


@pytest.fixture
def authenticators(database: Database, sealer: Sealer) -> SqlAuthenticators:
    users = SqlUsers(database)
    users.add(USER)
    users.add(PLAIN_USER)
    return SqlAuthenticators(database, sealer)


def test_every_field_comes_back(authenticators: SqlAuthenticators) -> None:
    authenticators.add(AUTHENTICATOR)
    assert authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR]


def test_of_one_user_oldest_first(authenticators: SqlAuthenticators) -> None:
    second = replace(AUTHENTICATOR, id="a-2", created_at=NOW + SECOND)
    third = replace(AUTHENTICATOR, id="a-0", created_at=NOW + 2 * SECOND)
    others = replace(AUTHENTICATOR, id="a-3", user_id=USER.id)
    for authenticator in (third, others, second, AUTHENTICATOR):
        authenticators.add(authenticator)
    assert authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR, second, third]
    assert authenticators.of("user-9") == []
    assert authenticators.of("\0") == []


def test_save_writes_every_field_of_one(authenticators: SqlAuthenticators) -> None:
    other = replace(AUTHENTICATOR, id="a-2", created_at=NOW + SECOND)
    authenticators.add(replace(AUTHENTICATOR, data={}, secret=b"old", last_used_at=None))
    authenticators.add(other)
    authenticators.save(AUTHENTICATOR)
    assert authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR, other]


def test_a_removed_one_cannot_be_saved(authenticators: SqlAuthenticators) -> None:
    other = replace(AUTHENTICATOR, id="a-2")
    authenticators.add(AUTHENTICATOR)
    authenticators.add(other)
    authenticators.remove(AUTHENTICATOR.id)
    assert authenticators.of(PLAIN_USER.id) == [other]
    with pytest.raises(NotFound):
        authenticators.save(AUTHENTICATOR)


def test_the_row_holds_no_secret(authenticators: SqlAuthenticators, database: Database) -> None:
    authenticators.add(AUTHENTICATOR)
    assert AUTHENTICATOR.secret not in _stored(database)
    authenticators.save(AUTHENTICATOR)
    assert AUTHENTICATOR.secret not in _stored(database)


def test_a_secret_does_not_open_in_another_row(
    authenticators: SqlAuthenticators, database: Database
) -> None:
    authenticators.add(AUTHENTICATOR)
    with database.read() as connection:
        connection.execute(tables.authenticator.update().values(id="a-9"))
    with pytest.raises(SealError):
        authenticators.of(PLAIN_USER.id)


def _stored(database: Database) -> bytes:
    with database.read() as connection:
        return bytes(connection.scalars(select(tables.authenticator.c.secret)).one())


def test_one_id_is_there_once_whosever_it_is(authenticators: SqlAuthenticators) -> None:
    authenticators.add(AUTHENTICATOR)
    with pytest.raises(Conflict):
        authenticators.add(replace(AUTHENTICATOR, user_id=USER.id))
    assert authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR]
    assert authenticators.of(USER.id) == []


def test_of_fifty_changes_at_once_none_is_lost(authenticators: SqlAuthenticators) -> None:
    authenticators.add(replace(AUTHENTICATOR, data={}))

    def append(number: int) -> None:
        authenticators.change(
            AUTHENTICATOR.id, lambda held: replace(held, data={**held.data, f"n{number}": 1})
        )

    race(append)
    (changed,) = authenticators.of(PLAIN_USER.id)
    assert len(changed.data) == 50
    assert changed.secret == AUTHENTICATOR.secret


def test_a_change_of_what_is_gone(authenticators: SqlAuthenticators) -> None:
    with pytest.raises(NotFound):
        authenticators.change(AUTHENTICATOR.id, lambda held: held)


def test_a_changed_row_holds_no_secret(
    authenticators: SqlAuthenticators, database: Database
) -> None:
    authenticators.add(AUTHENTICATOR)
    authenticators.change(AUTHENTICATOR.id, lambda held: replace(held, name="other"))
    assert AUTHENTICATOR.secret not in _stored(database)
