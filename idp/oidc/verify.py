"""Verify a JWS: the one function that the server itself uses, pure and importable.

It refuses what RFC 8725 says to refuse: `none`, confusion of algorithms and keys, ambiguous key
sets, weak keys, `crit`, encodings that are not canonical.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

MAX_TOKEN = 16384
MIN_RSA_BITS = 2048
MIN_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
KEY_OF_ALG: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
    "HS256": ("oct", None),
    "HS384": ("oct", None),
    "HS512": ("oct", None),
}
_KEY_TYPES: Mapping[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey, "oct": OctKey}


class InvalidJws(Exception):
    """Not a signature that we accept. The text is for logs, not for the sender."""


@dataclass(frozen=True, slots=True)
class Verified:
    header: Mapping[str, Any]
    payload: Mapping[str, Any]


def verify_jws(token: str, jwks: Mapping[str, Any], algorithms: Sequence[str]) -> Verified:
    """The header and claims of `token`, signed by a key of `jwks` with one of `algorithms`.

    Raises InvalidJws. The algorithm comes from the caller, the key from the set: by `kid` when
    the token names one, else the only key that fits; two that fit are ambiguous.
    """
    header = _header(token)
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in algorithms or alg not in KEY_OF_ALG:
        raise InvalidJws("algorithm is not allowed here")
    if "crit" in header or "b64" in header:
        raise InvalidJws("critical header extensions are not understood")
    key = _pick(jwks, alg, header.get("kid"))
    try:
        found = jws.deserialize_compact(token, key, algorithms=[alg])
        payload = json.loads(found.payload, parse_constant=_refuse_constant)
    except (JoseError, ValueError, RecursionError) as problem:
        raise InvalidJws(f"signature or payload: {type(problem).__name__}") from None
    if not isinstance(payload, dict):
        raise InvalidJws("the payload is not a JSON object")
    return Verified(header, payload)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN:
        raise InvalidJws("too long")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise InvalidJws("not a compact JWS")
    try:
        decoded = [_canonical(part) for part in parts]
        header = json.loads(decoded[0])
    except (ValueError, RecursionError) as problem:
        raise InvalidJws(f"encoding: {type(problem).__name__}") from None
    if not isinstance(header, dict):
        raise InvalidJws("the header is not a JSON object")
    return header


def _canonical(part: str) -> bytes:
    """RFC 7515 section 2: base64url without padding, and only the one spelling of it."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as problem:
        raise ValueError("not base64url") from problem
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise ValueError("base64url is not canonical")
    return raw


def _pick(jwks: Mapping[str, Any], alg: str, kid: object) -> Key:
    keys = jwks.get("keys")
    if not isinstance(keys, list):
        raise InvalidJws("no key set")
    kids = [key.get("kid") for key in keys if isinstance(key, dict) and key.get("kid") is not None]
    if len(kids) != len(set(map(str, kids))):
        raise InvalidJws("the key set names one kid twice")
    fitting = [key for key in keys if isinstance(key, dict) and _fits(key, alg, kid)]
    if len(fitting) != 1:
        raise InvalidJws("no key fits" if not fitting else "more than one key fits")
    return _import(json.dumps(fitting[0], sort_keys=True, default=str), alg)


def _fits(key: Mapping[str, Any], alg: str, kid: object) -> bool:
    kty, crv = KEY_OF_ALG[alg]
    if kid is not None and key.get("kid") != kid:
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", alg) != alg:
        return False
    return key.get("kty") == kty and (crv is None or key.get("crv") == crv)


@lru_cache(maxsize=256)
def _import(encoded: str, alg: str) -> Key:
    """The key of a JWK, remembered by its content: reading a point or modulus is slow."""
    material = json.loads(encoded)
    try:
        key: Key = _KEY_TYPES[material["kty"]].import_key(dict(material))
        if isinstance(key, RSAKey):
            size = key.public_key.key_size
            exponent = key.public_key.public_numbers().e
            if size < MIN_RSA_BITS or exponent < 65537:
                raise InvalidJws("RSA key is too weak")
        if isinstance(key, OctKey) and len(key.get_op_key("verify")) < MIN_HMAC_BYTES[alg]:
            raise InvalidJws("HMAC key is too short")
    except (JoseError, ValueError, TypeError, KeyError) as problem:
        raise InvalidJws(f"key cannot be used: {type(problem).__name__}") from None
    return key


def _refuse_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")
