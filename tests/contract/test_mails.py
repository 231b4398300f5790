"""The queue of mails: none lost, none carried by two at once, none legible at rest."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.model import Mail
from idp.storage.database import Database
from idp.storage.mails import LONGEST_CAUSE, SqlMails
from idp.storage.resealing import reseal
from idp.storage.seal import Keyring, Sealer, SealError
from idp.storage.tables import mail as table
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, MINUTE, NOW, SECOND

LEASE = 2 * MINUTE
MAIL = Mail("mail-1", "käthe@example.com", "A new password", "Choose it here: …", NOW - SECOND)


@pytest.fixture
def mails(database: Database, sealer: Sealer) -> SqlMails:
    return SqlMails(database, sealer)


def ids(found: object) -> list[str]:
    assert isinstance(found, list)
    return [mail.id for mail in found]


def test_every_field_comes_back(mails: SqlMails) -> None:
    mails.add(MAIL, NOW)
    assert mails.claim(NOW, LEASE) == [replace(MAIL, tries=1)]
    assert mails.waiting() == 1


def test_nothing_to_carry(mails: SqlMails) -> None:
    assert mails.claim(NOW, LEASE) == []
    assert mails.waiting() == 0


def test_nothing_is_claimed_before_it_is_due(mails: SqlMails) -> None:
    mails.add(MAIL, NOW)
    assert mails.claim(NOW - MICROSECOND, LEASE) == []
    assert ids(mails.claim(NOW, LEASE)) == [MAIL.id]


def test_who_claimed_and_died_gives_it_back_by_the_end_of_the_lease(mails: SqlMails) -> None:
    mails.add(MAIL, NOW)
    mails.claim(NOW, LEASE)
    assert mails.claim(NOW + LEASE - MICROSECOND, LEASE) == []
    assert mails.claim(NOW + LEASE, LEASE) == [replace(MAIL, tries=2)]


def test_done_is_done(mails: SqlMails) -> None:
    mails.add(MAIL, NOW)
    mails.claim(NOW, LEASE)
    mails.done(MAIL.id)
    mails.done(MAIL.id)
    assert mails.waiting() == 0
    assert mails.claim(NOW + LEASE, LEASE) == []


def test_later_is_then(mails: SqlMails, database: Database) -> None:
    mails.add(MAIL, NOW)
    mails.claim(NOW, LEASE)
    mails.later(MAIL.id, NOW + 5 * MINUTE, "x" * 1000)
    assert mails.claim(NOW + 5 * MINUTE - MICROSECOND, LEASE) == []
    assert mails.claim(NOW + 5 * MINUTE, LEASE) == [replace(MAIL, tries=2)]
    with database.read() as connection:
        assert connection.scalar(select(table.c.because)) == "x" * LONGEST_CAUSE


def test_the_oldest_goes_first_and_no_more_than_asked_for(mails: SqlMails) -> None:
    for number in (3, 1, 2):
        mails.add(replace(MAIL, id=f"mail-{number}"), NOW + number * SECOND)
    assert ids(mails.claim(NOW + MINUTE, LEASE, 2)) == ["mail-1", "mail-2"]
    assert ids(mails.claim(NOW + MINUTE, LEASE, 2)) == ["mail-3"]


def test_of_fifty_who_claim_each_mail_is_one_ones(mails: SqlMails) -> None:
    for number in range(20):
        mails.add(replace(MAIL, id=f"mail-{number}"), NOW)
    answers = race(lambda _: ids(mails.claim(NOW, LEASE)))
    claimed = [mail_id for answer in answers for mail_id in answer]
    left = ids(mails.claim(NOW, LEASE, 20))
    assert sorted([*claimed, *left]) == sorted(f"mail-{n}" for n in range(20))


def test_at_rest_nobody_reads_it(mails: SqlMails, database: Database) -> None:
    mails.add(MAIL, NOW)
    with database.read() as connection:
        row = connection.execute(select(table)).one()
    for secret in (MAIL.to, MAIL.subject, MAIL.text, "example.com"):
        assert secret.encode() not in bytes(row.sealed)
        assert secret not in str(row)


def test_a_sealed_mail_opens_in_its_own_row_alone(mails: SqlMails, database: Database) -> None:
    mails.add(MAIL, NOW)
    mails.add(replace(MAIL, id="mail-2", to="mallory@example.com"), NOW)
    with database.write() as connection:
        sealed = connection.scalar(select(table.c.sealed).where(table.c.id == MAIL.id))
        connection.execute(table.update().where(table.c.id == "mail-2").values(sealed=sealed))
    with pytest.raises(SealError):
        mails.claim(NOW, LEASE)


def test_a_new_key_opens_what_waits(database: Database) -> None:
    old = Keyring.generate("k1")
    SqlMails(database, Sealer(Keyring.parse(old))).add(MAIL, NOW)
    new = Keyring.generate("k2")
    assert reseal(database, Sealer(Keyring.parse(f"{new}\n{old}"))) == 1
    mails = SqlMails(database, Sealer(Keyring.parse(new)))
    assert mails.claim(NOW, LEASE) == [replace(MAIL, tries=1)]
