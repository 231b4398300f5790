"""The key ring: sealed, changed whole, and the same one for all processes."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from idp.storage import tables
from idp.storage.database import Database
from idp.storage.seal import Sealer, SealError
from idp.storage.signing_keys import SqlSigningKeys
from tests.contract.race import race
from tests.contract.samples import KEY, MICROSECOND, MINUTE, NOW

NEXT = replace(KEY, kid="kid-2", active_at=NOW + MINUTE)


@pytest.fixture
def keys(database: Database, sealer: Sealer) -> SqlSigningKeys:
    return SqlSigningKeys(database, sealer)


def test_every_field_comes_back_oldest_first(keys: SqlSigningKeys) -> None:
    other = replace(
        KEY,
        kid="kid-0",
        alg="RS256",
        active_at=NOW + MINUTE,
        retired_at=NOW + 2 * MINUTE,
    )
    keys.publish([other, KEY], retire={})
    assert keys.all() == [KEY, other]


def test_rotation(keys: SqlSigningKeys) -> None:
    other = replace(KEY, kid="kid-9", alg="RS256")
    keys.publish([KEY, other], retire={})
    keys.publish([NEXT], retire={KEY.kid: NOW + MINUTE})
    assert keys.all() == [replace(KEY, retired_at=NOW + MINUTE), other, NEXT]


def test_a_retirement_is_only_brought_forward(keys: SqlSigningKeys) -> None:
    keys.publish([KEY], retire={})
    for at in (NOW + 2 * MINUTE, NOW + MINUTE, NOW + 3 * MINUTE):
        keys.publish([], retire={KEY.kid: at})
    assert keys.all() == [replace(KEY, retired_at=NOW + MINUTE)]


def test_the_ring_has_one_key_of_an_algorithm_that_is_not_retired(keys: SqlSigningKeys) -> None:
    other = replace(NEXT, kid="kid-3", alg="Ed25519")
    keys.publish([KEY], retire={})
    keys.publish([NEXT, other], retire={})
    assert keys.all() == [KEY, other]


def test_publish_does_all_or_nothing(keys: SqlSigningKeys) -> None:
    keys.publish([KEY], retire={})
    with pytest.raises(IntegrityError):
        keys.publish([NEXT, KEY], retire={KEY.kid: NOW})
    assert keys.all() == [KEY]


def test_remove_what_went_long_ago(keys: SqlSigningKeys) -> None:
    retired = replace(KEY, kid="kid-2", retired_at=NOW)
    keys.publish([KEY, retired], retire={})
    assert keys.remove(NOW - MICROSECOND) == 0
    assert keys.remove(NOW) == 1
    assert keys.all() == [KEY]


def test_fifty_first_starts_make_one_key(keys: SqlSigningKeys) -> None:
    race(lambda n: keys.publish([replace(KEY, kid=f"kid-{n}")], retire={}))
    assert len(keys.all()) == 1


def test_fifty_rotations_at_once_make_one_successor(keys: SqlSigningKeys) -> None:
    keys.publish([KEY], retire={})
    race(lambda n: keys.publish([replace(NEXT, kid=f"next-{n}")], retire={KEY.kid: NEXT.active_at}))
    first, second = keys.all()
    assert first == replace(KEY, retired_at=NEXT.active_at)
    assert second.retired_at is None


def test_the_row_holds_no_private_key(keys: SqlSigningKeys, database: Database) -> None:
    keys.publish([KEY], retire={})
    with database.read() as connection:
        stored = bytes(connection.scalars(select(tables.signing_key.c.private)).one())
    assert KEY.private not in stored
    assert b"private-key-material" not in stored


def test_a_private_key_does_not_open_in_another_row(
    keys: SqlSigningKeys, database: Database
) -> None:
    keys.publish([KEY], retire={})
    with database.read() as connection:
        connection.execute(tables.signing_key.update().values(kid="kid-9"))
    with pytest.raises(SealError):
        keys.all()
