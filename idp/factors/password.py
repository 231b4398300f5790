"""Password: Argon2id, rehash on login, a decoy for users that are not there.

Numbers from OWASP ASVS 5.0 appendix C and NIST SP 800-63B-4 section 3.1.1. Hashing runs under
a semaphore of one per core with a short queue, then Busy (DESIGN section 9).
"""

import os
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Setting

from idp.errors import Busy
from idp.factors.base import (
    N_,
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Kind,
    Rejected,
)
from idp.model import Authenticator

MAX_BYTES = 1024
RETRY_AFTER = timedelta(seconds=2)
TOO_SHORT = N_("Choose another password: this one is too short.")
LONGEST_WAIT = timedelta(seconds=8)  # below flow.factor_timeout: who waits has not failed


class PasswordSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    memory_kib: int = Setting(default=19456, ge=8192)
    """Argon2id memory in KiB."""
    iterations: int = Setting(default=2, ge=1)
    """Argon2id passes over the memory."""
    min_length: int = Setting(default=8, ge=8)
    """Shortest password, in characters. 15 where it can be the only factor is better."""
    hash_slots: int = Setting(default=0, ge=0)
    """Passwords hashed at the same time by one worker; 0: one per core."""
    hash_admitted: int = Setting(default=128, ge=1)
    """Sign-ins that may hash or wait for a slot at once in one worker; the next one is told to
    come back, and so is one that waited for eight seconds. Keep it below `server.threads`, so that
    tokens are served meanwhile."""


class Password:
    name = "password"
    label = N_("Password")
    amr = ("pwd",)
    kind = Kind.KNOWS
    phishing_resistant = False
    identifies = True
    sole = True
    Settings = PasswordSettings

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = PasswordSettings.model_validate(dict(settings))
        self._hasher = _hasher(self._settings.iterations, self._settings.memory_kib)
        slots = self._settings.hash_slots or os.cpu_count() or 1
        self._slots = _Slots(slots, max(slots, self._settings.hash_admitted))
        self._decoy = _decoy(self._settings.iterations, self._settings.memory_kib)

    def available(self, ctx: Context) -> Available:
        if ctx.user is not None and not ctx.held:
            return Available(False, "no password is set")
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        password = Field("password", N_("Password"), "password", autocomplete="current-password")
        if ctx.user is not None:
            return Challenge(Form(N_("Enter your password"), (password,)))
        username = Field("username", N_("Username"), autocomplete="username", maxlength=256)
        return Challenge(Form(N_("Sign in"), (username, password), submit=N_("Sign in")))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """Compare in constant work: an unknown user costs the same hash as a known one."""
        given = prepare(answer.get("password", ""))
        held = next(iter(ctx.held), None)
        known = held.secret.decode() if held is not None else self._decoy
        with self._slots.one():
            matches = self._matches(known, given)
        if held is None or ctx.user is None:
            raise Rejected("unknown user or no password")
        if not matches:
            raise Rejected("wrong password")
        if self._hasher.check_needs_rehash(known):
            return replace(held, secret=self._hash(given).encode())
        return held

    def enroll(self, ctx: Context) -> Challenge:
        field = Field("password", N_("New password"), "password", autocomplete="new-password")
        return Challenge(Form(N_("Choose a password"), (field,)))

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """A new authenticator. Raises Rejected with what a good password would be."""
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        given = prepare(answer.get("password", ""))
        if len(given.decode()) < self._settings.min_length:
            raise Rejected(f"use at least {self._settings.min_length} characters", TOO_SHORT)
        return Authenticator(
            id=uuid4().hex,
            user_id=ctx.user.id,
            factor=self.name,
            created_at=ctx.now,
            secret=self._hash(given).encode(),
        )

    def _hash(self, given: bytes) -> str:
        with self._slots.one():
            return self._hasher.hash(given)

    def _matches(self, known: str, given: bytes) -> bool:
        try:
            return self._hasher.verify(known, given)
        except (VerificationError, InvalidHashError):
            return False


def _hasher(iterations: int, memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1, type=Type.ID)


@cache
def _decoy(iterations: int, memory_kib: int) -> str:
    """Of a password that nobody knows; one for a process and each cost."""
    return _hasher(iterations, memory_kib).hash(uuid4().hex)


class _Slots:
    """At most `running` at once and `admitted` in all, none of them for long; beyond that, Busy."""

    def __init__(self, running: int, admitted: int) -> None:
        self._running = threading.BoundedSemaphore(running)
        self._admitted = threading.BoundedSemaphore(admitted)

    @contextmanager
    def one(self) -> Iterator[None]:
        if not self._admitted.acquire(blocking=False):
            raise Busy(RETRY_AFTER)
        try:
            if not self._running.acquire(timeout=LONGEST_WAIT.total_seconds()):
                raise Busy(RETRY_AFTER)
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()


def prepare(password: str) -> bytes:
    """NFC bytes (NIST SP 800-63B-4 section 3.1.1.2). Raises Rejected beyond 1,024 bytes.

    Nothing is trimmed or truncated; a password that cannot be encoded is refused.
    """
    try:
        encoded = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise Rejected("not valid Unicode") from None
    if len(encoded) > MAX_BYTES:
        raise Rejected(f"longer than {MAX_BYTES} bytes")
    return encoded
