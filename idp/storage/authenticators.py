"""What is bound to users. Secrets are sealed before they reach the database."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from idp.errors import Conflict, NotFound
from idp.model import Authenticator
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared, Row
from idp.storage.records import MAPPING, Mapped, storable
from idp.storage.seal import Sealer
from idp.storage.tables import authenticator

_mapped = Mapped(Authenticator, authenticator, data=MAPPING)
_names = [column.name for column in _mapped.columns]
ID, SECRET = _names.index("id"), _names.index("secret")


class SqlAuthenticators:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._add = Command(database, authenticator.insert(), authenticator.c.keys())
        self._save = Command(
            database,
            authenticator.update().where(authenticator.c.id == bindparam("this")),
            authenticator.c.keys(),
        )
        self._to_change = Prepared(
            database,
            select(*_mapped.columns).where(authenticator.c.id == bindparam("id")).with_for_update(),
        )
        self._of = Prepared(
            database,
            select(*_mapped.columns)
            .where(authenticator.c.user_id == bindparam("user_id"))
            .order_by(authenticator.c.created_at, authenticator.c.id),
        )

    def add(self, record: Authenticator) -> None:
        """Raises Conflict when there is one of that id, be it of another user."""
        try:
            self._add.run(**self._dump(record))
        except self._database.integrity_errors():
            raise Conflict("This authenticator is there already.") from None

    def bind(self, driver: Any, record: Authenticator) -> None:
        """Inside the caller's transaction (`Database.driver`)."""
        self._add.on(driver, **self._dump(record))

    def of(self, user_id: str) -> Sequence[Authenticator]:
        """All of them, oldest first, disabled ones too."""
        if not storable(user_id):
            return []
        return [self._load(row) for row in self._of.all(user_id=user_id)]

    def save(self, record: Authenticator) -> None:
        """Raises NotFound when it was removed: a proof by it must not count either."""
        if not self._save.run(**self._dump(record), this=record.id):
            raise NotFound(f"There is no authenticator {record.id}.")

    def change(
        self, authenticator_id: str, how: Callable[[Authenticator], Authenticator]
    ) -> Authenticator:
        """Raises NotFound, and what `how` raises; nothing is written then. Whoever else changes it
        waits."""
        with self._database.driver() as driver:
            rows = self._to_change.on(driver, id=authenticator_id)
            if not rows:
                raise NotFound(f"There is no authenticator {authenticator_id}.")
            after = how(self._load(rows[0]))
            self._save.touched(driver, **self._dump(after), this=authenticator_id)
        return after

    def remove(self, authenticator_id: str) -> None:
        with self._database.read() as connection:
            connection.execute(authenticator.delete().where(authenticator.c.id == authenticator_id))

    def _dump(self, record: Authenticator) -> dict[str, Any]:
        sealed = self._sealer.seal(
            record.secret, table=authenticator.name, column="secret", row=record.id
        )
        return _mapped.dump(record) | {"secret": sealed}

    def _load(self, row: Row) -> Authenticator:
        values = list(row)
        values[SECRET] = self._sealer.open(
            row[SECRET], table=authenticator.name, column="secret", row=row[ID]
        )
        return _mapped.load(values)
