"""Single sign-on sessions. A session that has ended stays ended: no later write revives it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select

from idp.model import Achieved, Session
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared, Row
from idp.storage.records import Mapped, Shape, storable
from idp.storage.tables import Instant, grant, session

SESSION_ENDED = "session ended"  # why its grants are revoked


def _dump(achieved: Sequence[Achieved]) -> list[dict[str, Any]]:
    return [
        {
            "factor": proof.factor,
            "amr": list(proof.amr),
            "at": proof.at.isoformat(),
            "authenticator_id": proof.authenticator_id,
        }
        for proof in achieved
    ]


def _load(stored: Sequence[dict[str, Any]]) -> tuple[Achieved, ...]:
    return tuple(
        Achieved(
            factor=proof["factor"],
            amr=tuple(proof["amr"]),
            at=datetime.fromisoformat(proof["at"]),
            authenticator_id=proof["authenticator_id"],
        )
        for proof in stored
    )


_FIXED = frozenset({"id", "ended_at"})
_TRACES = ("last_seen_at", "ip", "user_agent")
_mapped = Mapped(Session, session, achieved=Shape(_load, _dump))


class SqlSessions:
    def __init__(self, database: Database) -> None:
        self._database = database
        columns = select(*_mapped.columns)
        presented = bindparam("secret_hash", type_=session.c.secret_hash.type)
        self._by_secret = Prepared(
            database,
            columns.where(
                or_(
                    session.c.secret_hash == presented,
                    (session.c.previous_hash == presented)
                    & (session.c.rotated_at > bindparam("grace_from", type_=Instant)),
                ),
                session.c.ended_at.is_(None),
            ),
        )
        self._add = Command(database, session.insert(), session.c.keys())
        live = session.update().where(
            session.c.id == bindparam("this"), session.c.ended_at.is_(None)
        )
        self._trace = Command(database, live, _TRACES)
        self._rotate = Command(
            database,
            live.where(session.c.rotated_at == bindparam("since", type_=Instant)).values(
                previous_hash=session.c.secret_hash
            ),
            [*(c.name for c in _mapped.columns if c.name not in _FIXED), "secret_hash"],
        )
        self._by_id = Prepared(database, columns.where(session.c.id == bindparam("id")))
        self._of = Prepared(
            database,
            columns.where(session.c.user_id == bindparam("user_id")).order_by(
                session.c.created_at, session.c.id
            ),
        )

    def add(self, record: Session, secret_hash: bytes) -> None:
        values = _mapped.dump(record) | {"secret_hash": secret_hash, "previous_hash": None}
        self._add.run(**values)

    def find(self, secret_hash: bytes, now: datetime, grace: timedelta) -> Session | None:
        """By the cookie's secret, or for `grace` by the one that it replaced; not if ended."""
        return _one(self._by_secret.one(secret_hash=secret_hash, grace_from=now - grace))

    def get(self, session_id: str) -> Session | None:
        return _one(self._by_id.one(id=session_id)) if storable(session_id) else None

    def save(self, record: Session) -> None:
        """What a request leaves behind. Proofs change with the secret alone, by `rotate`:
        a request that read the session before a step-up must not write the old ones back."""
        self._trace.run(this=record.id, **{name: getattr(record, name) for name in _TRACES})

    def rotate(self, record: Session, secret_hash: bytes, *, since: datetime) -> bool:
        """Save it under a new secret; the old one works for a grace from `rotated_at` on.

        False, and nothing is changed, when another request was faster: of two that rotate at
        once, the second must not push the browser's secret out of its grace.
        """
        values = _mapped.dump(record)
        del values["id"], values["ended_at"]
        rotated = self._rotate.run(**values, secret_hash=secret_hash, this=record.id, since=since)
        return bool(rotated)

    def end(self, session_id: str, now: datetime) -> bool:
        """True for the caller who ended it. Grants made from it are revoked in any case."""
        ended = (
            session.update()
            .where(session.c.id == session_id, session.c.ended_at.is_(None))
            .values(ended_at=now)
        )
        revoked = (
            grant.update()
            .where(grant.c.session_id == session_id, grant.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=SESSION_ENDED)
        )
        with self._database.write() as connection:
            done = connection.execute(ended)
            connection.execute(revoked)
            return bool(done.rowcount)

    def of(self, user_id: str) -> Sequence[Session]:
        """All that are kept, oldest first, ended ones too."""
        return [_mapped.load(row) for row in self._of.all(user_id=user_id)]


def _one(row: Row | None) -> Session | None:
    return None if row is None else _mapped.load(row)
