"""Envelope encryption of secrets at rest: the only file that encrypts a stored value.

Each value has its own data key (AES-256-GCM), which is wrapped (AES-256-GCM) by a key-encryption
key from a keyring file. Both layers authenticate the place of the value, so a sealed value that is
copied to another table, column or row does not open there. The wrap also authenticates the id of
its key. Rotation wraps the data key anew and leaves the payload alone.

A sealed value, version 1:

    offset  bytes  what
    0       1      version, 0x01
    1       1      n, the length of the key id
    2       n      key id, ASCII
    2+n     12     nonce of the wrap
    14+n    48     wrapped data key: 32 bytes and a 16-byte tag
    62+n    12     nonce of the payload
    74+n    rest   payload, and a 16-byte tag

Associated data is a list of fields, each behind its length as four bytes: the layer (`wrap` or
`data`), the version, for `wrap` the key id, then table, column, row.

Nonces are random. A data key encrypts once. A key-encryption key should be rotated well before
2**32 values (NIST SP 800-38D, 8.3).
"""

import base64
import binascii
import contextlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = b"\x01"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = KEY_BYTES + TAG_BYTES
KID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SealError(Exception):
    """A value or a keyring was refused. The text never holds a key or a plaintext."""


@dataclass(frozen=True, repr=False)
class Keyring:
    """Key-encryption keys by id: the primary one encrypts, the others only decrypt."""

    primary: str
    keys: Mapping[str, bytes] = field(hash=False)

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `kid:base64(32 bytes)` lines, primary first; blank lines and `#` are skipped."""
        keys: dict[str, bytes] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            kid, key = _parse_line(number, line.strip())
            if kid in keys:
                raise SealError(f"keyring line {number}: its key id appears twice")
            keys[kid] = key
        if not keys:
            raise SealError("the keyring holds no key")
        return cls(next(iter(keys)), MappingProxyType(keys))

    @staticmethod
    def generate(kid: str) -> str:
        """A new line for a keyring file."""
        if not KID.fullmatch(kid):
            raise SealError("a key id is 1 to 64 letters, digits, dots, dashes or underscores")
        return f"{kid}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n"

    def __repr__(self) -> str:
        return f"Keyring(primary={self.primary!r}, kids={list(self.keys)!r})"


def _parse_line(number: int, line: str) -> tuple[str, bytes]:
    kid, colon, encoded = line.partition(":")
    # No message repeats any part of the line: without its colon, the "key id" may be the key.
    if not colon or not KID.fullmatch(kid):
        raise SealError(f"keyring line {number}: expected kid:base64, with a plain key id")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise SealError(f"keyring line {number}: the key is not base64") from None
    if len(key) != KEY_BYTES:
        raise SealError(f"keyring line {number}: the key must be {KEY_BYTES} bytes")
    return kid, key


def load_keyring(path: Path) -> Keyring:
    """Read a keyring file that only its owner can read."""
    try:
        with path.open("rb") as file:
            # Asked of the open file, so that what is checked is what is read.
            shared = os.fstat(file.fileno()).st_mode & 0o077
            data = b"" if shared else file.read()
    except OSError as error:
        raise SealError(f"keyring {path} cannot be read: {error.strerror}") from error
    if shared:
        raise SealError(f"keyring {path} is open to other users of this machine: chmod 600 {path}")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise SealError(f"keyring {path} is not ASCII text") from None
    return Keyring.parse(text)


def create_keyring(path: Path, kid: str = "k1") -> Keyring:
    """Load the keyring at `path`; where there is none, create one with a fresh key first.

    The file is written whole under another name and then linked, which fails if `path` exists:
    of processes that start at once, one wins and all read its key.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_private(draft, Keyring.generate(kid).encode())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        except OSError as error:
            raise SealError(f"keyring {path} cannot be created: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
    return load_keyring(path)


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # values sealed with a key that a crash then loses never open


@dataclass(frozen=True, repr=False)
class _Sealed:
    """The parts of a sealed value, not yet trusted."""

    kid: str
    wrap_nonce: bytes
    wrapped: bytes
    payload: bytes  # nonce and ciphertext: what a rewrap leaves as it is

    @classmethod
    def parse(cls, blob: bytes) -> "_Sealed":
        if blob[:1] != VERSION:
            raise SealError("not a sealed value of a known version")
        wrap = 2 + int.from_bytes(blob[1:2], "big")
        wrapped, payload = wrap + NONCE_BYTES, wrap + NONCE_BYTES + WRAPPED_BYTES
        if len(blob) < payload + NONCE_BYTES + TAG_BYTES:
            raise SealError("the sealed value is truncated")
        kid = blob[2:wrap].decode("ascii", "replace")
        return cls(kid, blob[wrap:wrapped], blob[wrapped:payload], blob[payload:])

    def encode(self) -> bytes:
        kid = self.kid.encode("ascii")
        return b"".join(
            (VERSION, bytes([len(kid)]), kid, self.wrap_nonce, self.wrapped, self.payload)
        )


def _bind(*fields: str) -> bytes:
    *place, row = fields
    return _bound_place(*place) + _bound(row.encode())


@lru_cache(maxsize=256)
def _bound_place(*fields: str) -> bytes:
    """All but the row: as many values as there are sealed columns and keys."""
    return b"".join(map(_bound, (VERSION, *(text.encode() for text in fields))))


def _bound(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


class Sealer:
    """Seals and opens stored values; a place is the table, column and row of a value."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def __repr__(self) -> str:
        return f"Sealer({self._keyring!r})"

    @property
    def primary_kid(self) -> str:
        """The id of the key that wraps new values."""
        return self._keyring.primary

    def seal(self, plaintext: bytes, *, table: str, column: str, row: str) -> bytes:
        """Encrypt a value for one place, under a data key of its own."""
        place = (table, column, row)
        key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        payload = nonce + AESGCM(key).encrypt(nonce, plaintext, _bind("data", *place))
        return self._wrap(key, payload, place)

    def open(self, blob: bytes, *, table: str, column: str, row: str) -> bytes:
        """Decrypt a value, or raise SealError: altered, truncated, another place, unknown key."""
        place = (table, column, row)
        sealed = _Sealed.parse(blob)
        key = self._unwrap(sealed, place)
        nonce, ciphertext = sealed.payload[:NONCE_BYTES], sealed.payload[NONCE_BYTES:]
        return _decrypt(key, nonce, ciphertext, _bind("data", *place))

    def rewrap(self, blob: bytes, *, table: str, column: str, row: str) -> bytes | None:
        """Wrap the data key under the primary key; None when it is so already."""
        sealed = _Sealed.parse(blob)
        if sealed.kid == self.primary_kid:
            return None
        place = (table, column, row)
        return self._wrap(self._unwrap(sealed, place), sealed.payload, place)

    def _wrap(self, key: bytes, payload: bytes, place: tuple[str, str, str]) -> bytes:
        kid, nonce = self.primary_kid, secrets.token_bytes(NONCE_BYTES)
        wrapped = AESGCM(self._keyring.keys[kid]).encrypt(nonce, key, _bind("wrap", kid, *place))
        return _Sealed(kid, nonce, wrapped, payload).encode()

    def _unwrap(self, sealed: _Sealed, place: tuple[str, str, str]) -> bytes:
        key = self._keyring.keys.get(sealed.kid)
        if key is None:
            # !a: an altered value must not write control characters into a log.
            raise SealError(f"sealed with the key {sealed.kid!a}, which is not in the keyring")
        return _decrypt(key, sealed.wrap_nonce, sealed.wrapped, _bind("wrap", sealed.kid, *place))


class Sealed:
    """The port `Sealing`: values outside the tables' own sealed columns, bound to a name."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, value: bytes, name: str) -> bytes:
        return self._sealer.seal(value, table="", column="value", row=name)

    def open(self, sealed: bytes, name: str) -> bytes:
        """Raises SealError for what was not sealed under this name."""
        return self._sealer.open(sealed, table="", column="value", row=name)


def _decrypt(key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        raise SealError("the sealed value was altered, or belongs to another place") from None
