"""What users allowed clients, one row per pair."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from idp.model import Consent
from idp.storage.database import Database
from idp.storage.prepared import Prepared
from idp.storage.records import SET, Mapped
from idp.storage.tables import consent

_mapped = Mapped(Consent, consent, scopes=SET, resources=SET)


class SqlConsents:
    def __init__(self, database: Database) -> None:
        self._database = database
        columns = select(*_mapped.columns)
        of_user = consent.c.user_id == bindparam("user_id")
        self._one = Prepared(
            database, columns.where(of_user, consent.c.client_id == bindparam("client_id"))
        )
        self._of = Prepared(database, columns.where(of_user).order_by(consent.c.client_id))

    def get(self, user_id: str, client_id: str) -> Consent | None:
        row = self._one.one(user_id=user_id, client_id=client_id)
        return None if row is None else _mapped.load(row)

    def save(self, record: Consent) -> None:
        """In place of what was allowed before."""
        statement = self._database.insert(consent).values(_mapped.dump(record))
        new = statement.excluded
        replacing = statement.on_conflict_do_update(
            index_elements=["user_id", "client_id"],
            set_={
                "scopes": new.scopes,
                "resources": new.resources,
                "granted_at": new.granted_at,
            },
        )
        with self._database.read() as connection:
            connection.execute(replacing)

    def withdraw(self, user_id: str, client_id: str) -> bool:
        pair = (consent.c.user_id == user_id, consent.c.client_id == client_id)
        with self._database.read() as connection:
            return bool(connection.execute(consent.delete().where(*pair)).rowcount)

    def of(self, user_id: str) -> Sequence[Consent]:
        return [_mapped.load(row) for row in self._of.all(user_id=user_id)]
