"""A second, independent signer of JWS, made of `cryptography` alone: it signs whatever it is told.

The provider uses joserfc; a forgery made by the same library would share its blind spots.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class Key:
    """A private key, its algorithm and its kid."""

    alg: str
    private: Private
    kid: str | None = "k"

    def public(self, **more: Any) -> dict[str, Any]:
        kid = {} if self.kid is None else {"kid": self.kid}
        return {**_public(self.private), **kid, **more}

    def jwks(self, **more: Any) -> dict[str, Any]:
        return {"keys": [self.public(**more)]}

    def sign(self, claims: Any, **header: Any) -> str:
        """`header` adds to or replaces members; None leaves one out."""
        whole = {"alg": self.alg, "kid": self.kid, **header}
        head = {name: value for name, value in whole.items() if value is not None}
        return self.sign_raw(json.dumps(head).encode(), json.dumps(claims).encode())

    def sign_raw(self, header: bytes, payload: bytes) -> str:
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(_signature(self.private, signed.encode()))}"


def es256(kid: str | None = "k") -> Key:
    return Key("ES256", ec.generate_private_key(ec.SECP256R1()), kid)


def rs256(kid: str | None = "k", bits: int = 2048, exponent: int = 65537) -> Key:
    return Key("RS256", rsa.generate_private_key(exponent, bits), kid)


def ed25519_key(kid: str | None = "k") -> Key:
    return Key("Ed25519", ed25519.Ed25519PrivateKey.generate(), kid)


def hs256(secret: bytes, kid: str | None = "k") -> Key:
    return Key("HS256", secret, kid)


def es256_from(jwk: Mapping[str, Any]) -> Key:
    """The seeded service's private JWK."""
    secret = int.from_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="), "big")
    return Key("ES256", ec.derive_private_key(secret, ec.SECP256R1()), jwk.get("kid"))


def _public(private: Private) -> dict[str, Any]:
    if isinstance(private, bytes):
        return {"kty": "oct", "k": b64(private)}
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}
    raw = private.public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}


def _signature(private: Private, signed: bytes) -> bytes:
    if isinstance(private, bytes):
        return hmac.new(private, signed, hashlib.sha256).digest()
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(private, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return private.sign(signed)
