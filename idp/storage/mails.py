"""The queue of mails. A process claims some for a while; one that dies gives them back by that."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select

from idp.model import Mail
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared, Row
from idp.storage.seal import Sealer
from idp.storage.tables import Instant, mail

LONGEST_CAUSE = 256


class SqlMails:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._add = Command(database, mail.insert(), mail.c.keys())
        due = mail.c.due_at <= bindparam("now", type_=Instant)
        self._due = Prepared(
            database,
            select(mail.c.id).where(due).order_by(mail.c.due_at).limit(bindparam("limit")),
        )
        this = mail.c.id == bindparam("this")
        self._claim = Command(
            database,
            mail.update()
            .where(this, due)
            .values(due_at=bindparam("until", type_=Instant), tries=mail.c.tries + 1)
            .returning(mail.c.id, mail.c.sealed, mail.c.created_at, mail.c.tries),
        )
        self._done = Command(database, mail.delete().where(this))
        self._later = Command(
            database,
            mail.update()
            .where(this)
            .values(due_at=bindparam("at", type_=Instant), because=bindparam("why")),
        )
        self._waiting = Prepared(database, select(func.count()).select_from(mail))

    def add(self, record: Mail, now: datetime) -> None:
        plain = json.dumps([record.to, record.subject, record.text]).encode()
        self._add.run(
            id=record.id,
            sealed=self._sealer.seal(plain, table=mail.name, column="sealed", row=record.id),
            created_at=record.created_at,
            due_at=now,
            tries=record.tries,
            because=None,
        )

    def claim(self, now: datetime, lease: timedelta, limit: int = 10) -> Sequence[Mail]:
        """What is due, for this caller alone until `lease` is over; then it is due again."""
        found = []
        for (mail_id,) in self._due.all(now=now, limit=limit):
            row = self._claim.one(this=mail_id, now=now, until=now + lease)
            if row is not None:
                found.append(self._load(row))
        return found

    def done(self, mail_id: str) -> None:
        self._done.run(this=mail_id)

    def later(self, mail_id: str, at: datetime, because: str) -> None:
        self._later.run(this=mail_id, at=at, why=because[:LONGEST_CAUSE])

    def waiting(self) -> int:
        row = self._waiting.one()
        return 0 if row is None else int(row[0])

    def _load(self, row: Row) -> Mail:
        opened = self._sealer.open(bytes(row[1]), table=mail.name, column="sealed", row=row[0])
        to, subject, text = json.loads(opened)
        return Mail(row[0], to, subject, text, row[2], int(row[3]))
