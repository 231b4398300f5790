"""The queue of mails: sealed, delivered by one at a time, given back by who dies."""

import pytest
from sqlalchemy import select

from idp.model import Mail
from idp.storage.database import Database
from idp.storage.mails import SqlMails
from idp.storage.seal import Sealer
from idp.storage.tables import mail
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, MINUTE, NOW

LETTER = Mail("m1", "k@example.com", "Hello", "https://login.example/link/abc", NOW)


@pytest.fixture
def mails(database: Database, sealer: Sealer) -> SqlMails:
    return SqlMails(database, sealer)


def test_what_was_put_in_comes_out(mails: SqlMails) -> None:
    mails.add(LETTER, NOW)
    assert mails.waiting() == 1
    (claimed,) = mails.claim(NOW, MINUTE)
    assert (claimed.to, claimed.subject, claimed.text) == (LETTER.to, LETTER.subject, LETTER.text)
    assert (claimed.created_at, claimed.tries) == (NOW, 1)


def test_at_rest_it_is_sealed(mails: SqlMails, database: Database) -> None:
    mails.add(LETTER, NOW)
    with database.read() as connection:
        (row,) = connection.execute(select(mail)).all()
    assert b"example" not in bytes(row.sealed)
    assert not any("example" in str(value) for value in row if isinstance(value, str))


def test_it_is_not_due_before_its_time(mails: SqlMails) -> None:
    mails.add(LETTER, NOW + MINUTE)
    assert mails.claim(NOW + MINUTE - MICROSECOND, MINUTE) == []
    assert len(mails.claim(NOW + MINUTE, MINUTE)) == 1


def test_who_claims_has_it_alone_for_a_while(mails: SqlMails) -> None:
    mails.add(LETTER, NOW)
    mails.claim(NOW, MINUTE)
    assert mails.claim(NOW + MINUTE - MICROSECOND, MINUTE) == []
    (again,) = mails.claim(NOW + MINUTE, MINUTE)
    assert again.tries == 2


def test_done_is_gone(mails: SqlMails) -> None:
    mails.add(LETTER, NOW)
    mails.claim(NOW, MINUTE)
    mails.done(LETTER.id)
    assert mails.waiting() == 0
    assert mails.claim(NOW + MINUTE, MINUTE) == []


def test_later_is_later(mails: SqlMails) -> None:
    mails.add(LETTER, NOW)
    mails.claim(NOW, MINUTE)
    mails.later(LETTER.id, NOW + 5 * MINUTE, "the server is away" * 99)
    assert mails.claim(NOW + 2 * MINUTE, MINUTE) == []
    assert len(mails.claim(NOW + 5 * MINUTE, MINUTE)) == 1


def test_no_more_than_asked_for_oldest_first(mails: SqlMails) -> None:
    for number in range(5):
        mails.add(Mail(f"m{number}", "a@b.c", "s", "t", NOW), NOW + number * MICROSECOND)
    claimed = mails.claim(NOW + MINUTE, MINUTE, limit=3)
    assert [one.id for one in claimed] == ["m0", "m1", "m2"]


def test_fifty_at_once_claim_each_once(mails: SqlMails) -> None:
    for number in range(10):
        mails.add(Mail(f"m{number}", "a@b.c", "s", "t", NOW), NOW)
    claimed = [one.id for found in race(lambda _: mails.claim(NOW, MINUTE)) for one in found]
    assert sorted(claimed) == sorted(set(claimed))
    assert len(claimed) == 10
