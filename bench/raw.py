"""What the machine itself can do: signatures, Argon2id, a durable commit, with nothing around."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from argon2 import PasswordHasher, Type
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from idp.factors.password import PasswordSettings
from idp.oidc.keys import RSA_BITS
from idp.storage.database import PRAGMAS

MESSAGE = b"m" * 400  # as long as an access token's header and claims
COUNTS = {
    "ES256": 400,
    "verify": 200,
    "RS256": 60,
    "Ed25519": 400,
    "Argon2id": 5,
    "commit": 60,
}
TEXTS = {
    "ES256": "ES256 signature",
    "verify": "ES256 verification",
    "RS256": "RS256 signature",
    "Ed25519": "Ed25519 signature",
    "Argon2id": "Argon2id, as configured",
    "commit": "SQLite commit, flushed",
    "hello": "bare WSGI on granian",
    "Flask": "empty Flask on granian",
}


def operations(folder: Path) -> Mapping[str, Callable[[], object]]:
    """One call is one operation."""
    curve = ec.generate_private_key(ec.SECP256R1())
    digest = ec.ECDSA(hashes.SHA256())
    signature = curve.sign(MESSAGE, digest)
    public = curve.public_key()
    big = rsa.generate_private_key(65537, RSA_BITS)
    edwards = ed25519.Ed25519PrivateKey.generate()
    database = sqlite3.connect(folder / "raw.db", isolation_level=None)
    for pragma in PRAGMAS:
        database.execute(f"PRAGMA {pragma}").close()
    database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, value BLOB)")
    return {
        "ES256": lambda: curve.sign(MESSAGE, digest),
        "verify": lambda: public.verify(signature, MESSAGE, digest),
        "RS256": lambda: big.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256()),
        "Ed25519": lambda: edwards.sign(MESSAGE),
        "Argon2id": argon2id(),
        "commit": lambda: database.execute("INSERT INTO row (value) VALUES (?)", (MESSAGE,)),
    }


def argon2id() -> Callable[[], object]:
    """One verification of a password, as configured."""
    settings = PasswordSettings()
    hasher = PasswordHasher(
        time_cost=settings.iterations,
        memory_cost=settings.memory_kib,
        parallelism=1,
        type=Type.ID,
    )
    hashed = hasher.hash("correct horse")
    return lambda: hasher.verify(hashed, "correct horse")


def milliseconds(operation: Callable[[], object], count: int) -> float:
    """CPU of this process for one of them."""
    operation()
    began = time.process_time()
    for _ in range(count):
        operation()
    return (time.process_time() - began) / count * 1000
