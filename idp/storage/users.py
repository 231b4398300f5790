"""The people with an account here, and the names that they sign in by."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from idp.errors import Conflict, NotFound
from idp.model import Authenticator, User, fold
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import MAPPING, Mapped, storable
from idp.storage.tables import consent, grant, name, user

Bind = Callable[[Any, Authenticator], object]
_mapped = Mapped(User, user, claims=MAPPING)


class SqlUsers:
    def __init__(self, database: Database, bind: Bind | None = None) -> None:
        """`bind` writes an authenticator within the transaction that it is given."""
        self._bind = bind
        self._database = database
        columns = select(*_mapped.columns)
        self._by_id = Prepared(database, columns.where(user.c.id == bindparam("id")))
        self._to_change = Prepared(
            database, columns.where(user.c.id == bindparam("id")).with_for_update()
        )
        self._by_name = Prepared(
            database,
            columns.join_from(user, name, name.c.user_id == user.c.id).where(
                name.c.folded == bindparam("folded")
            ),
        )
        self._page = Prepared(
            database,
            columns.where(user.c.id > bindparam("after"))
            .order_by(user.c.id)
            .limit(bindparam("limit")),
        )
        self._add = Command(database, user.insert(), user.c.keys())
        self._save = Command(
            database, user.update().where(user.c.id == bindparam("this")), user.c.keys()
        )
        self._names_of = Prepared(
            database,
            select(name.c.folded, name.c.kind)
            .where(name.c.user_id == bindparam("user_id"))
            .order_by(name.c.folded),
        )
        self._forget_names = Command(
            database, name.delete().where(name.c.user_id == bindparam("user_id"))
        )
        self._remove_what_is_theirs = tuple(  # the rest goes with the row of the user
            Command(database, table.delete().where(table.c.user_id == bindparam("user_id")))
            for table in (grant, consent)
        )
        self._remove = Command(database, user.delete().where(user.c.id == bindparam("user_id")))
        self._add_name = Command(database, name.insert(), name.c.keys())

    def add(self, record: User, *held: Authenticator) -> None:
        """With what they sign in with: all of it or nothing. Raises Conflict when one of the names,
        in any spelling, is taken."""
        try:
            with self._database.driver() as driver:
                self._add.on(driver, **_mapped.dump(record))
                self._take_names(driver, record)
                for authenticator in held:
                    self._bound(driver, authenticator)
        except self._database.integrity_errors():
            raise _taken(record) from None

    def get(self, user_id: str) -> User | None:
        if not storable(user_id):
            return None
        row = self._by_id.one(id=user_id)
        return None if row is None else _mapped.load(row)

    def find(self, identifier: str) -> User | None:
        """By username or verified address, in any spelling that folds to it."""
        folded = fold(identifier)
        row = self._by_name.one(folded=folded) if storable(folded) else None
        return None if row is None else _mapped.load(row)

    def save(self, record: User) -> None:
        """Raises NotFound when the user is gone, Conflict when a new name is taken."""
        try:
            with self._database.driver() as driver:
                self._write(driver, record)
        except self._database.integrity_errors():
            raise _taken(record) from None

    def change(self, user_id: str, how: Callable[[User], User]) -> tuple[User, User]:
        """The user before and after. Raises NotFound, Conflict when a new name is taken, and what
        `how` raises; nothing is written then. Whoever else changes the user waits."""
        after: User | None = None
        try:
            with self._database.driver() as driver:
                rows = self._to_change.on(driver, id=user_id) if storable(user_id) else ()
                if not rows:
                    raise NotFound(f"There is no user {user_id!r}.")
                before = _mapped.load(rows[0])
                after = how(before)
                if after != before:
                    self._write(driver, after)
        except self._database.integrity_errors():
            if after is None:
                raise
            raise _taken(after) from None
        return before, after

    def remove(self, user_id: str) -> bool:
        """The user and all that is theirs, in one transaction; the audit trail stays."""
        with self._database.driver() as driver:
            for command in self._remove_what_is_theirs:
                command.touched(driver, user_id=user_id)
            return bool(self._remove.touched(driver, user_id=user_id))

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        return [_mapped.load(row) for row in self._page.all(after=after, limit=limit)]

    def _write(self, driver: Any, record: User) -> None:
        if not self._save.touched(driver, **_mapped.dump(record), this=record.id):
            raise NotFound(f"There is no user {record.id}.")
        held = [(row[0], row[1]) for row in self._names_of.on(driver, user_id=record.id)]
        if sorted(_names(record)) != held:
            self._forget_names.on(driver, user_id=record.id)
            self._take_names(driver, record)

    def _bound(self, driver: Any, authenticator: Authenticator) -> None:
        if self._bind is None:
            raise TypeError("these users were opened without authenticators")
        self._bind(driver, authenticator)

    def _take_names(self, driver: Any, record: User) -> None:
        for folded, kind in _names(record):
            self._add_name.on(driver, folded=folded, user_id=record.id, kind=kind)


def _names(record: User) -> list[tuple[str, str]]:
    """An address counts once it is verified: nobody can take another's by claiming it."""
    names = {fold(record.username): "username"}
    if record.email and record.email_verified:
        names.setdefault(fold(record.email), "mail")
    return list(names.items())


def _taken(record: User) -> Conflict:
    return Conflict(f"The username {record.username!r}, or the address with it, is taken.")
