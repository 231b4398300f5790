"""Grants, and the codes and refresh tokens that hang on them. What is used up is used up by one
statement, so that of any number of callers one gets it.
"""

from datetime import datetime, timedelta

from sqlalchemy import (
    LargeBinary,
    Select,
    String,
    Update,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from idp.model import Code, Grant, RefreshToken, Standing
from idp.storage.database import Database
from idp.storage.prepared import Command, Prepared
from idp.storage.records import MAPPING, TUPLE, Mapped, storable
from idp.storage.sessions import SESSION_ENDED
from idp.storage.tables import Instant, code, grant, refresh_token, revoked_token, session, user

_grant = Mapped(Grant, grant, scopes=TUPLE, resources=TUPLE, amr=TUPLE, claims=MAPPING)
_code = Mapped(Code, code)
_refresh = Mapped(RefreshToken, refresh_token)


class SqlGrants:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id = Prepared(
            database, select(*_grant.columns).where(grant.c.id == bindparam("id"))
        )
        self._code = Prepared(
            database, select(*_code.columns).where(code.c.hash == bindparam("hash"))
        )
        self._refresh = Prepared(
            database,
            select(*_refresh.columns).where(refresh_token.c.hash == bindparam("hash")),
        )
        self._standing = Prepared(database, _standing())
        self._session_end = Command(
            database,
            # Locked on PostgreSQL, so that an end under way is waited for and seen.
            select(session.c.ended_at)
            .where(session.c.id == bindparam("id"))
            .with_for_update(read=True),
        )
        self._add = Command(database, grant.insert(), grant.c.keys())
        self._add_code = Command(database, code.insert(), code.c.keys())
        self._use_code = Command(database, _use_code())
        self._use_refresh = Command(database, _use_refresh())
        self._keep_refresh = Command(
            database,
            database.insert(refresh_token).on_conflict_do_nothing(index_elements=["hash"]),
            refresh_token.c.keys(),
        )
        self._revoke_token = Command(
            database,
            database.insert(revoked_token).on_conflict_do_nothing(index_elements=["jti"]),
            revoked_token.c.keys(),
        )

    def add(self, record: Grant, its_code: Code) -> None:
        """Both or neither. A grant from a session that ended meanwhile is born revoked."""
        values = _grant.dump(record)
        with self._database.driver() as driver:
            if record.session_id is not None:
                ended = self._session_end.on(driver, id=record.session_id)
                if ended is not None and ended[0] is not None:
                    values |= {"revoked_at": ended[0], "revoked_because": SESSION_ENDED}
            self._add.on(driver, **values)
            self._add_code.on(driver, **_code.dump(its_code))

    def get(self, grant_id: str) -> Grant | None:
        row = self._by_id.one(id=grant_id) if storable(grant_id) else None
        return None if row is None else _grant.load(row)

    def use_code(
        self, code_hash: bytes, now: datetime, refresh: RefreshToken | None = None
    ) -> bool:
        """Use it up, and store the refresh token that it is exchanged for: both or neither.

        False: unknown, used, expired, or its grant is revoked.
        """
        with self._database.driver() as driver:
            used = self._use_code.on(driver, code=code_hash, now=now) is not None
            if used and refresh is not None:
                self._keep_refresh.on(driver, **_refresh.dump(refresh))
        return used

    def peek_code(self, code_hash: bytes) -> Code | None:
        """As it is, used or not: tells a replay from a code that never was."""
        row = self._code.one(hash=code_hash)
        return None if row is None else _code.load(row)

    def find_refresh(self, token_hash: bytes) -> RefreshToken | None:
        row = self._refresh.one(hash=token_hash)
        return None if row is None else _refresh.load(row)

    def rotate_refresh(
        self, token_hash: bytes, successor: RefreshToken, now: datetime, grace: timedelta
    ) -> bool:
        """Use it up and store its successor. A retry within the grace changes nothing and is
        true as well: the successor is derived from the token, so it is the same one."""
        with self._database.driver() as driver:
            used = self._use_refresh.on(driver, token=token_hash, now=now, since=now - grace)
            if used is not None:
                self._keep_refresh.on(driver, **_refresh.dump(successor))
        return used is not None

    def revoke(self, grant_id: str, now: datetime, because: str) -> bool:
        """True for the caller who did it; the first reason stays."""
        return bool(self._revoke(grant.c.id == grant_id, now, because))

    def revoke_between(self, user_id: str, client_id: str, now: datetime, because: str) -> int:
        pair = and_(grant.c.user_id == user_id, grant.c.client_id == client_id)
        return self._revoke(pair, now, because)

    def revoke_all(self, user_id: str, now: datetime, because: str) -> int:
        """Every grant of the user, those without a session too."""
        return self._revoke(grant.c.user_id == user_id, now, because)

    def _revoke(self, which: ColumnElement[bool], now: datetime, because: str) -> int:
        statement = (
            grant.update()
            .where(which, grant.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=because)
        )
        with self._database.read() as connection:
            return connection.execute(statement).rowcount

    def revoke_token(self, jti: str, expires_at: datetime) -> None:
        """One access token, remembered until it expires by itself."""
        self._revoke_token.run(jti=jti, expires_at=expires_at)

    def standing(self, jti: str, grant_id: str, user_id: str) -> Standing:
        """One statement. What is named and missing counts as revoked or disabled; an empty
        `grant_id` or `user_id` is a machine's token, which has none."""
        if not (storable(jti) and storable(grant_id) and storable(user_id)):
            return Standing(True, True, True)
        row = self._standing.one(jti=jti, grant_id=grant_id, user_id=user_id)
        return Standing(*row) if row else Standing(True, True, True)


def _standing() -> Select[bool, bool, bool]:
    jti, grant_id, user_id = (
        bindparam(name, type_=String) for name in ("jti", "grant_id", "user_id")
    )
    live_grant = exists().where(grant.c.id == grant_id, grant.c.revoked_at.is_(None))
    enabled_user = exists().where(user.c.id == user_id, user.c.disabled_at.is_(None))
    return select(
        exists().where(revoked_token.c.jti == jti),
        and_(grant_id != "", ~live_grant),
        and_(user_id != "", ~enabled_user),
    )


def _use_code() -> Update:
    live = exists().where(grant.c.id == code.c.grant_id, grant.c.revoked_at.is_(None))
    return (
        code.update()
        .where(
            code.c.hash == bindparam("code", type_=LargeBinary),
            code.c.used_at.is_(None),
            code.c.expires_at > bindparam("now", type_=Instant),
            live,
        )
        .values(used_at=bindparam("now", type_=Instant))
        .returning(code.c.grant_id)
    )


def _use_refresh() -> Update:
    old, now = refresh_token, bindparam("now", type_=Instant)
    live = exists().where(grant.c.id == old.c.grant_id, grant.c.revoked_at.is_(None))
    return (
        old.update()
        .where(
            old.c.hash == bindparam("token", type_=LargeBinary),
            old.c.expires_at > now,
            or_(old.c.used_at.is_(None), old.c.used_at > bindparam("since", type_=Instant)),
            live,
        )
        .values(used_at=func.coalesce(old.c.used_at, now))
        .returning(old.c.grant_id)
    )
