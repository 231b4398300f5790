"""What is forgotten, and when: the only deletes that nobody asked for."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Delete, exists

from idp.storage.database import Database
from idp.storage.tables import (
    attempt,
    code,
    ephemeral,
    grant,
    quota,
    refresh_token,
    revoked_token,
    session,
    ticket,
)

# Somebody who waits this long for his failures to be forgotten gets fewer attempts than somebody
# who goes on at the longest delay.
ATTEMPTS_KEPT: Final = timedelta(days=1)


def purge(database: Database, before: datetime) -> int:
    """Forget what expired before; returns how many rows that was.

    A grant goes when nothing hangs on it any more. Access tokens are not stored, so `before`
    must be longer ago than the longest of them lives.
    """
    total = 0
    for statement in _statements(before):
        with database.read() as connection:
            total += connection.execute(statement).rowcount
    return total


def _statements(before: datetime) -> list[Delete]:
    unused_grant = (
        grant.c.created_at <= before,
        ~exists().where(code.c.grant_id == grant.c.id),
        ~exists().where(refresh_token.c.grant_id == grant.c.id),
    )
    expiring = (code, refresh_token, revoked_token, session, ephemeral, ticket)
    return [
        *(table.delete().where(table.c.expires_at <= before) for table in expiring),
        grant.delete().where(*unused_grant),
        quota.delete().where(quota.c.ends_at <= before),
        attempt.delete().where(attempt.c.not_before <= before - ATTEMPTS_KEPT),
    ]
