"""Secrets that the server makes for itself, one per name for all processes; sealed at rest."""

import secrets

from sqlalchemy import bindparam, select

from idp.storage.database import Database
from idp.storage.prepared import Prepared
from idp.storage.seal import Sealer
from idp.storage.tables import server_secret

BYTES = 32


class SqlServerSecrets:
    """A value never changes, so each is read once."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._known: dict[str, bytes] = {}
        self._read = Prepared(
            database,
            select(server_secret.c.value).where(server_secret.c.name == bindparam("name")),
        )

    def get(self, name: str) -> bytes:
        if name not in self._known:
            self._known[name] = self._open(name, self._stored(name) or self._make(name))
        return self._known[name]

    def _stored(self, name: str) -> bytes | None:
        row = self._read.one(name=name)
        return None if row is None else bytes(row[0])

    def _make(self, name: str) -> bytes:
        """Offer a value; what counts is the one that is stored."""
        sealed = self._sealer.seal(
            secrets.token_bytes(BYTES), table=server_secret.name, column="value", row=name
        )
        offer = self._database.insert(server_secret).values(name=name, value=sealed)
        with self._database.read() as connection:
            connection.execute(offer.on_conflict_do_nothing(index_elements=["name"]))
        return self._stored(name) or sealed

    def _open(self, name: str, sealed: bytes) -> bytes:
        return self._sealer.open(sealed, table=server_secret.name, column="value", row=name)
