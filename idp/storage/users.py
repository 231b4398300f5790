"""The people with an account here."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from idp.errors import Conflict, NotFound
from idp.model import User, fold
from idp.storage.database import Database
from idp.storage.prepared import Prepared
from idp.storage.records import MAPPING, Mapped, storable
from idp.storage.tables import user

_mapped = Mapped(User, user, claims=MAPPING)


class SqlUsers:
    def __init__(self, database: Database) -> None:
        self._database = database
        columns = select(*_mapped.columns)
        self._by_id = Prepared(database, columns.where(user.c.id == bindparam("id")))
        self._by_name = Prepared(
            database, columns.where(user.c.username_folded == bindparam("folded"))
        )
        self._page = Prepared(
            database,
            columns.where(user.c.id > bindparam("after"))
            .order_by(user.c.id)
            .limit(bindparam("limit")),
        )

    def add(self, record: User) -> None:
        """Raises Conflict when the name, in any spelling, is taken."""
        values = _mapped.dump(record)
        try:
            with self._database.read() as connection:
                connection.execute(
                    user.insert().values(values | {"username_folded": fold(record.username)})
                )
        except IntegrityError:
            raise _taken(record) from None

    def get(self, user_id: str) -> User | None:
        if not storable(user_id):
            return None
        row = self._by_id.one(id=user_id)
        return None if row is None else _mapped.load(row)

    def find(self, identifier: str) -> User | None:
        """By username, in any spelling that folds to it."""
        folded = fold(identifier)
        row = self._by_name.one(folded=folded) if storable(folded) else None
        return None if row is None else _mapped.load(row)

    def save(self, record: User) -> None:
        """Raises NotFound when the user is gone, Conflict when the new name is taken."""
        values = _mapped.dump(record)
        statement = user.update().where(user.c.id == record.id)
        try:
            with self._database.read() as connection:
                done = connection.execute(
                    statement.values(values | {"username_folded": fold(record.username)})
                )
        except IntegrityError:
            raise _taken(record) from None
        if not done.rowcount:
            raise NotFound(f"There is no user {record.id}.")

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        return [_mapped.load(row) for row in self._page.all(after=after, limit=limit)]


def _taken(record: User) -> Conflict:
    return Conflict(f"The username {record.username!r} is taken.")
