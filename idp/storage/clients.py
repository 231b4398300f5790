"""OAuth clients and this provider's policy for each."""

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from idp.errors import Conflict, NotFound
from idp.model import Client
from idp.storage.database import Database
from idp.storage.prepared import Prepared
from idp.storage.records import TUPLE, Mapped, storable
from idp.storage.tables import client

_mapped = Mapped(
    Client,
    client,
    redirect_uris=TUPLE,
    post_logout_redirect_uris=TUPLE,
    grant_types=TUPLE,
    scopes=TUPLE,
    resources=TUPLE,
)


class SqlClients:
    def __init__(self, database: Database) -> None:
        self._database = database
        columns = select(*_mapped.columns)
        self._by_id = Prepared(
            database, columns.where(client.c.client_id == bindparam("client_id"))
        )
        self._page = Prepared(
            database,
            columns.where(client.c.client_id > bindparam("after"))
            .order_by(client.c.client_id)
            .limit(bindparam("limit")),
        )

    def add(self, record: Client) -> None:
        try:
            with self._database.read() as connection:
                connection.execute(client.insert().values(_mapped.dump(record)))
        except IntegrityError:
            raise Conflict(f"The client id {record.client_id!r} is taken.") from None

    def get(self, client_id: str) -> Client | None:
        if not storable(client_id):
            return None
        row = self._by_id.one(client_id=client_id)
        return None if row is None else _mapped.load(row)

    def save(self, record: Client) -> None:
        """Raises NotFound when the client is gone."""
        statement = client.update().where(client.c.client_id == record.client_id)
        with self._database.read() as connection:
            done = connection.execute(statement.values(_mapped.dump(record)))
        if not done.rowcount:
            raise NotFound(f"There is no client {record.client_id!r}.")

    def change(self, client_id: str, how: Callable[[Client], Client]) -> tuple[Client, Client]:
        """The client before and after. Raises NotFound, and what `how` raises; nothing is written
        then. Whoever else changes the client waits."""
        if not storable(client_id):
            raise NotFound(f"There is no client {client_id!r}.")
        this = client.c.client_id == client_id
        with self._database.write() as connection:
            row = connection.execute(
                select(*_mapped.columns).where(this).with_for_update()
            ).one_or_none()
            if row is None:
                raise NotFound(f"There is no client {client_id!r}.")
            before = _mapped.load(row)
            after = how(before)
            if after != before:
                connection.execute(client.update().where(this).values(_mapped.dump(after)))
        return before, after

    def remove(self, client_id: str) -> bool:
        with self._database.read() as connection:
            done = connection.execute(client.delete().where(client.c.client_id == client_id))
        return bool(done.rowcount)

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Client]:
        return [_mapped.load(row) for row in self._page.all(after=after, limit=limit)]
