"""Establish, find, raise, rotate and end single sign-on sessions.

The cookie is a 256-bit secret, stored as SHA-256, replaced at sign-in, at step-up and every
half hour. Ending a session is one function, and everything follows from it.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import uuid4

from idp import events
from idp.errors import Busy
from idp.model import Achieved, Session, User
from idp.ports import Clock, Sessions
from idp.settings import SessionSettings

RACES = 5  # requests of one browser that may change its session at the same time


@dataclass(frozen=True, slots=True)
class Held:
    """A session and, where the browser must store a new one, the cookie's secret."""

    session: Session
    secret: str | None = field(default=None, repr=False)


def new_secret() -> str:
    """256 bits (OWASP ASVS 7.2.3 asks for 128)."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class SessionService:
    def __init__(
        self, sessions: Sessions, settings: SessionSettings, bus: events.Bus, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._bus = bus
        self._clock = clock

    def find(self, secret: str | None) -> Held | None:
        """The live session of this cookie; its secret is replaced when it is due."""
        if not secret:
            return None
        now = self._clock()
        session = self._sessions.find(hashed(secret), now, self._settings.rotate_grace)
        if session is None or not self.live(session, now):
            return None
        if session.rotated_at <= now - self._settings.rotate_every:
            rotated = self._rotate(session, replace(session, last_seen_at=now), now)
            return rotated or Held(session)
        if session.last_seen_at < now - self._settings.idle / 10:
            session = replace(session, last_seen_at=now)
            self._sessions.save(session)
        return Held(session)

    def live(self, session: Session, now: datetime) -> bool:
        return (
            session.ended_at is None
            and session.expires_at > now
            and session.last_seen_at > now - self._settings.idle
        )

    def establish(
        self,
        user: User,
        proofs: Sequence[Achieved],
        current: Session | None,
        *,
        ip: str = "",
        user_agent: str = "",
    ) -> Held:
        """After a sign-in: raise the browser's own session, or begin one. Always a new secret.

        A session of somebody else in the same browser ends.
        """
        now = self._clock()
        if current is not None and current.user_id == user.id:
            raised = self._raise(current.id, proofs, now)
            if raised is not None:
                return raised
        elif current is not None:
            self.end(current.id, "another user signed in")
        secret = new_secret()
        session = Session(
            id=uuid4().hex,
            user_id=user.id,
            created_at=now,
            last_seen_at=now,
            rotated_at=now,
            expires_at=now + self._settings.absolute,
            achieved=tuple(proofs),
            ip=ip,
            user_agent=user_agent[:256],
        )
        self._sessions.add(session, hashed(secret))
        return Held(session, secret)

    def raised(self, session: Session, proofs: Sequence[Achieved]) -> Held | None:
        """The session with something proven besides, under a new secret; None when it has ended."""
        return self._raise(session.id, proofs, self._clock())

    def end(self, session_id: str, reason: str) -> bool:
        """End it, and every grant that was made from it, in one transaction."""
        session = self._sessions.get(session_id)
        now = self._clock()
        if session is None or not self._sessions.end(session_id, now):
            return False
        self._bus.emit(
            events.SessionEnded(
                at=now, session_id=session_id, user_id=session.user_id, reason=reason
            )
        )
        return True

    def end_all(self, user_id: str, reason: str) -> int:
        return sum(self.end(session.id, reason) for session in self._sessions.of(user_id))

    def end_others(self, user_id: str, kept: str, reason: str) -> int:
        """All of the user's but the one that is `kept`."""
        others = [s.id for s in self._sessions.of(user_id) if s.id != kept]
        return sum(self.end(session_id, reason) for session_id in others)

    def of(self, user_id: str) -> list[Session]:
        """The user's live sessions, the one used last first."""
        now = self._clock()
        alive = [s for s in self._sessions.of(user_id) if self.live(s, now)]
        return sorted(alive, key=lambda session: session.last_seen_at, reverse=True)

    def _raise(self, session_id: str, proofs: Sequence[Achieved], now: datetime) -> Held | None:
        """The live session with these proofs added; None when it has ended."""
        for _ in range(RACES):
            alive = self._sessions.get(session_id)
            if alive is None or not self.live(alive, now):
                return None
            if set(proofs) <= set(alive.achieved):
                return Held(alive)
            merged = _merge(alive.achieved, proofs)
            rotated = self._rotate(alive, replace(alive, achieved=merged, last_seen_at=now), now)
            if rotated is not None:
                return rotated
        raise Busy(timedelta(seconds=1))

    def _rotate(self, before: Session, after: Session, now: datetime) -> Held | None:
        """Under a new secret, or None when another request did it first."""
        secret = new_secret()
        rotated = replace(after, rotated_at=now)
        done = self._sessions.rotate(rotated, hashed(secret), since=before.rotated_at)
        return Held(rotated, secret) if done else None


def _merge(before: Sequence[Achieved], new: Sequence[Achieved]) -> tuple[Achieved, ...]:
    """The newest proof per authenticator: a session's list does not grow without end."""
    latest = {proof.authenticator_id: proof for proof in sorted((*before, *new), key=_when)}
    return tuple(sorted(latest.values(), key=_when))


def _when(proof: Achieved) -> datetime:
    return proof.at
