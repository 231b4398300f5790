"""Links and codes that work once, by their SHA-256. What is used up is used up by one statement."""

from datetime import datetime

from sqlalchemy import LargeBinary, bindparam, select

from idp.model import Ticket
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import MAPPING, Mapped, storable
from idp.storage.tables import Instant, ticket, user

_mapped = Mapped(Ticket, ticket, data=MAPPING)


class SqlTickets:
    def __init__(self, database: Database) -> None:
        self._database = database
        now = bindparam("now", type_=Instant)
        live = (
            ticket.c.hash == bindparam("hash_", type_=LargeBinary),
            ticket.c.used_at.is_(None),
            ticket.c.expires_at > now,
        )
        self._add = Command(database, ticket.insert(), ticket.c.keys())
        self._find = Prepared(database, select(*_mapped.columns).where(*live))
        self._use = Command(
            database, ticket.update().where(*live).values(used_at=now).returning(*_mapped.columns)
        )
        of_user = (ticket.c.user_id == bindparam("owner"), ticket.c.used_at.is_(None))
        self._owner = Prepared(  # locked, so that of two at once the later one knows of the other
            database,
            select(user.c.id).where(user.c.id == bindparam("owner")).with_for_update(),
        )
        self._replace = Command(
            database,
            ticket.update()
            .where(*of_user, ticket.c.purpose == bindparam("why"))
            .values(used_at=now),
        )
        self._revoke = Command(database, ticket.update().where(*of_user).values(used_at=now))

    def add(self, record: Ticket) -> None:
        """In place of what the same user has for the same purpose."""
        with self._database.driver() as driver:
            if record.user_id is not None:
                self._owner.on(driver, owner=record.user_id)
                self._replace.on(
                    driver, owner=record.user_id, why=record.purpose, now=record.created_at
                )
            self._add.on(driver, **_mapped.dump(record))

    def find(self, ticket_hash: bytes, now: datetime) -> Ticket | None:
        row = self._find.one(hash_=ticket_hash, now=now)
        return None if row is None else _mapped.load(row)

    def use(self, ticket_hash: bytes, now: datetime) -> Ticket | None:
        """Use it up; None for everybody but the first, and after its end."""
        row = self._use.one(hash_=ticket_hash, now=now)
        return None if row is None else _mapped.load(row)

    def revoke(self, user_id: str, now: datetime) -> int:
        return self._revoke.run(owner=user_id, now=now) if storable(user_id) else 0
