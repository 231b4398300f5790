"""The signing key ring. Private keys are sealed before they reach the database.

Of each algorithm one key at most is not retired: of processes that make the ring's next key at
the same time, the database lets one win, and the others read its key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from idp.model import SigningKey
from idp.storage.database import Database
from idp.storage.prepared import Prepared, Row
from idp.storage.records import Mapped
from idp.storage.seal import Sealer
from idp.storage.tables import signing_key

_mapped = Mapped(SigningKey, signing_key)
_UNRETIRED = select(signing_key.c.alg).where(signing_key.c.retired_at.is_(None))


class SqlSigningKeys:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._all = Prepared(
            database,
            select(*_mapped.columns).order_by(signing_key.c.active_at, signing_key.c.kid),
        )

    def all(self) -> Sequence[SigningKey]:
        """The whole ring, oldest first."""
        return [self._load(row) for row in self._all.all()]

    def publish(self, keys: Sequence[SigningKey], *, retire: Mapping[str, datetime]) -> None:
        """Retire keys and add others, or do neither.

        A key is not added where its algorithm has one that is not retired: another process was
        first, so read the ring. A date of retirement is only ever brought forward.
        """
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                connection.exec_driver_sql("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE")
            for kid, at in retire.items():
                later = or_(signing_key.c.retired_at.is_(None), signing_key.c.retired_at > at)
                chosen = signing_key.update().where(signing_key.c.kid == kid, later)
                connection.execute(chosen.values(retired_at=at))
            present = set(connection.scalars(_UNRETIRED))
            for key in keys:
                if key.alg not in present:
                    connection.execute(signing_key.insert().values(self._dump(key)))

    def remove(self, before: datetime) -> int:
        """Forget keys that were retired by then: pass a time so long ago that
        every token they signed has expired."""
        with self._database.read() as connection:
            gone = signing_key.delete().where(signing_key.c.retired_at <= before)
            return connection.execute(gone).rowcount

    def _dump(self, key: SigningKey) -> dict[str, Any]:
        sealed = self._sealer.seal(
            key.private, table=signing_key.name, column="private", row=key.kid
        )
        return _mapped.dump(key) | {"private": sealed}

    def _load(self, row: Row) -> SigningKey:
        key = _mapped.load(row)
        opened = self._sealer.open(
            key.private, table=signing_key.name, column="private", row=key.kid
        )
        return replace(key, private=opened)
