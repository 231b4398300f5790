"""Short-lived values in the database, for a deployment without Redis. What has expired is absent
to every verb, whether or not it was purged.
"""

from datetime import timedelta

from sqlalchemy import BigInteger, LargeBinary, Text, bindparam, case, cast, func, select
from sqlalchemy.sql.elements import ColumnElement

from idp.ports import Clock
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import storable
from idp.storage.tables import Instant, ephemeral

ONCE = b"1"  # what `once` leaves behind
FIRST = b"1"  # where `incr` begins: a decimal, as Redis keeps it


class SqlEphemeral:
    """`once_in` holds what must not be forgotten with the power: that something was used."""

    def __init__(
        self, database: Database, clock: Clock, *, once_in: Database | None = None
    ) -> None:
        self._clock = clock
        this = ephemeral.c.key == bindparam("k")
        now = bindparam("now", type_=Instant)
        alive, expired = ephemeral.c.expires_at > now, ephemeral.c.expires_at <= now
        self._get = Prepared(database, select(ephemeral.c.value).where(this, alive))
        self._take = Command(
            database, ephemeral.delete().where(this, alive).returning(ephemeral.c.value)
        )
        swap = ephemeral.update().where(this, alive, ephemeral.c.value == bindparam("expect"))
        self._swap = Command(
            database, swap.values(value=bindparam("new"), expires_at=bindparam("until"))
        )
        insert = database.insert(ephemeral)
        new = {"value": insert.excluded.value, "expires_at": insert.excluded.expires_at}
        columns = ephemeral.c.keys()
        put = insert.on_conflict_do_update(index_elements=["key"], set_=new)
        once = insert.on_conflict_do_update(index_elements=["key"], set_=new, where=expired)
        incr = insert.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "value": case((expired, new["value"]), else_=_incremented(database.is_sqlite)),
                "expires_at": case((expired, new["expires_at"]), else_=ephemeral.c.expires_at),
            },
        )
        self._put = Command(database, put, columns)
        self._once = Command(once_in or database, once.returning(ephemeral.c.key), columns)
        self._incr = Command(database, incr.returning(ephemeral.c.value), columns)

    def put(self, key: str, value: bytes, ttl: timedelta, *, expect: bytes | None = None) -> bool:
        now = self._clock()
        if expect is None:
            self._put.run(key=key, value=value, expires_at=now + ttl)
            return True
        return bool(self._swap.run(k=key, now=now, expect=expect, new=value, until=now + ttl))

    def get(self, key: str) -> bytes | None:
        if not storable(key):
            return None
        row = self._get.one(k=key, now=self._clock())
        return None if row is None else bytes(row[0])

    def take(self, key: str) -> bytes | None:
        if not storable(key):
            return None
        row = self._take.one(k=key, now=self._clock())
        return None if row is None else bytes(row[0])

    def once(self, key: str, ttl: timedelta) -> bool:
        now = self._clock()
        row = self._once.one(key=key, value=ONCE, expires_at=now + ttl, now=now)
        return row is not None

    def incr(self, key: str, ttl: timedelta) -> int:
        """A fixed window: it ends `ttl` after its first call, however many follow."""
        now = self._clock()
        row = self._incr.one(key=key, value=FIRST, expires_at=now + ttl, now=now)
        return int(bytes(row[0]) if row else FIRST)


def _incremented(is_sqlite: bool) -> ColumnElement[bytes]:
    value = ephemeral.c.value
    if is_sqlite:
        count = cast(cast(value, Text), BigInteger) + 1
        return cast(cast(count, Text), LargeBinary)
    count = cast(func.convert_from(value, "UTF8"), BigInteger) + 1
    return func.convert_to(cast(count, Text), "UTF8", type_=LargeBinary)
