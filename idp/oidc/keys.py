"""The key ring: ES256, RS256 and Ed25519 keys, published ahead of use, retired after the last
token expired. Private keys are sealed at rest by the store.

Every process reads the ring anew every few seconds; `published` and `signing` are otherwise
plain look-ups in an immutable value.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp import events
from idp.errors import ConfigError, Conflict
from idp.model import SigningKey
from idp.ports import Clock, SigningKeys

ALGORITHMS = ("ES256", "RS256", "Ed25519")
RSA_BITS = 2048
ATTEMPTS = 3  # rotations against other processes


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys at one reading: signers by algorithm, and the JWKS as bytes with its ETag."""

    read_at: datetime
    signing: Mapping[str, tuple[str, Key]] = field(repr=False)
    jwks: Mapping[str, Any]
    body: bytes
    etag: str


class KeyRing:
    def __init__(
        self,
        store: SigningKeys,
        clock: Clock,
        refresh_every: timedelta,
        bus: events.Bus,
        longest_token: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._every = refresh_every
        self._bus = bus
        # A worker whose ring was read just before still signs for as long as it keeps that ring.
        self._published_after = refresh_every + longest_token
        self._lock = threading.Lock()
        self._ring: Ring | None = None

    def now(self) -> Ring:
        """The ring, at most `refresh_every` old. If it cannot be read anew, that is an error."""
        ring, now = self._ring, self._clock()
        if ring is not None and abs(now - ring.read_at) < self._every:
            return ring
        with self._lock:
            if self._ring is not ring and self._ring is not None:
                return self._ring
            self._ring = _ring(self._published(now), now)
            return self._ring

    def forget(self) -> None:
        """Read the store at the next use."""
        self._ring = None

    def signer(self, alg: str) -> tuple[str, Key]:
        """The kid and key that sign with `alg` now. Raises ConfigError when there is none."""
        try:
            return self.now().signing[alg]
        except KeyError:
            raise ConfigError(f"no active {alg} key; run `idp keys rotate`") from None

    def published(self) -> Sequence[SigningKey]:
        """The keys of the JWKS, as the store has them now, oldest first."""
        return self._published(self._clock())

    def ensure(self) -> None:
        """First start: one active key per algorithm. When two processes do it at once, the store
        lets one win, and the other uses its keys."""
        now = self._clock()
        present = {key.alg for key in self._store.all() if key.retired_at is None}
        missing = [alg for alg in ALGORITHMS if alg not in present]
        if missing:
            self._store.publish([generate(alg, now, now) for alg in missing], retire={})
            self.forget()

    def rotate(self, *, publish_ahead: timedelta) -> tuple[Sequence[SigningKey], int]:
        """A new key per algorithm, active after `publish_ahead`; those before it retire then, and
        leave the JWKS when the last token that they signed has expired. One transaction. An
        algorithm that nothing signs for now gets a key that is active at once.

        Returns the new keys, and how many old ones were deleted. Raises Conflict when another
        process rotates at the same time: its keys are the new ones then.
        """
        now = self._clock()
        active_at = now + publish_ahead
        fresh = self._publish(now, active_at)
        gone = self._store.remove(now - self._published_after)
        self.forget()
        kids = tuple(key.kid for key in fresh)
        latest = max(key.active_at for key in fresh)
        self._bus.emit(events.KeysRotated(at=now, kids=kids, active_at=latest))
        return fresh, gone

    def _publish(self, now: datetime, active_at: datetime) -> Sequence[SigningKey]:
        for _ in range(ATTEMPTS):
            present = self._store.all()
            signing = {key.alg for key in present if signs(key, now)}
            fresh = [generate(alg, now, active_at if alg in signing else now) for alg in ALGORITHMS]
            retire = {key.kid: active_at for key in present if _outlives(key, active_at)}
            self._store.publish(fresh, retire=retire)
            after = self._store.all()
            if {key.kid for key in fresh} <= {key.kid for key in after}:
                return fresh
            if {key.alg for key in after if signs(key, active_at)} >= set(ALGORITHMS):
                break  # else the other's keys sign too late: what retires here would leave a gap
        raise Conflict("another process rotated the keys just now; `idp keys list` shows them")

    def _published(self, now: datetime) -> Sequence[SigningKey]:
        """Those of which some token may still be valid."""
        return [key for key in self._store.all() if _outlives(key, now - self._published_after)]


def generate(alg: str, now: datetime, active_at: datetime) -> SigningKey:
    """A new private key; its `kid` is its thumbprint (RFC 7638)."""
    key: Key
    if alg == "ES256":
        key = ECKey.generate_key("P-256")
    elif alg == "Ed25519":
        key = OKPKey.generate_key("Ed25519")
    elif alg == "RS256":
        key = RSAKey.generate_key(RSA_BITS)
    else:
        raise ValueError(f"no key type for {alg}")
    kid = key.thumbprint()
    private = json.dumps({**key.as_dict(private=True), "kid": kid}).encode()
    return SigningKey(kid, alg, private, now, active_at)


def signs(key: SigningKey, now: datetime) -> bool:
    return key.active_at <= now and _outlives(key, now)


def _outlives(key: SigningKey, at: datetime) -> bool:
    return key.retired_at is None or key.retired_at > at


def _ring(keys: Sequence[SigningKey], now: datetime) -> Ring:
    loaded = [(key, _load(key)) for key in keys]
    public = [
        {**jwk.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": key.alg}
        for key, jwk in loaded
    ]
    jwks = {"keys": public}
    body = json.dumps(jwks, separators=(",", ":")).encode()
    return Ring(
        now, _signing(loaded, now), jwks, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    )


def _signing(
    loaded: Sequence[tuple[SigningKey, Key]], now: datetime
) -> Mapping[str, tuple[str, Key]]:
    """The oldest active key that is not retired; so a crash between two writes changes nothing.

    Where none is active yet, because the clock was set back, the first that is published signs:
    verifiers have it, and the time of a key's beginning protects nobody.
    """
    signing: dict[str, tuple[str, Key]] = {}
    order = sorted(loaded, key=lambda pair: (pair[0].active_at, pair[0].kid))
    for key, jwk in order:
        if signs(key, now):
            signing.setdefault(key.alg, (key.kid, jwk))
    for key, jwk in order:
        if key.retired_at is None or key.retired_at > now:
            signing.setdefault(key.alg, (key.kid, jwk))
    return signing


def _load(key: SigningKey) -> Key:
    material = json.loads(key.private)
    if key.alg == "ES256":
        return ECKey.import_key(material)
    if key.alg == "Ed25519":
        return OKPKey.import_key(material)
    return RSAKey.import_key(material)
