"""The only signer of JWTs: access tokens (RFC 9068) and ID tokens (OIDC Core section 2).

Nothing is signed for a subject that may not receive tokens: every mint passes `guard`.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

from idp.model import Grant
from idp.oidc.guard import Cleared
from idp.oidc.keys import ALGORITHMS, KeyRing
from idp.oidc.verify import InvalidJws, Verified, verify_jws

ACCESS_TOKEN_TYPE = "at+jwt"
_encode = json.JSONEncoder(separators=(",", ":")).encode
_registry = JWSRegistry(algorithms=list(ALGORITHMS))
_HALF_HASH = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "Ed25519": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed access token and what the answer and the event say of it."""

    token: str
    jti: str
    expires_in: int
    subject: str
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Issued(jti={self.jti!r})"


class Tokens:
    def __init__(
        self,
        ring: KeyRing,
        issuer: str,
        *,
        access_token_ttl: timedelta,
        id_token_ttl: timedelta,
        access_token_alg: str,
    ) -> None:
        self._ring = ring
        self._issuer = issuer
        self._access_ttl = int(access_token_ttl.total_seconds())
        self._id_ttl = int(id_token_ttl.total_seconds())
        self._alg = access_token_alg
        self._verified = _Verified(4096)

    def access_token(
        self,
        cleared: Cleared,
        *,
        scopes: tuple[str, ...],
        resources: tuple[str, ...],
        now: datetime,
    ) -> Issued:
        """RFC 9068 section 2.2. `aud` is what RFC 8707 asked for, else the provider itself."""
        client, grant = cleared.client, cleared.grant
        issued_at = int(now.timestamp())
        subject = client.client_id if grant is None else grant.user_id
        audience = resources or (self._issuer,)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": subject,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "exp": issued_at + self._access_ttl,
            "iat": issued_at,
            "jti": secrets.token_urlsafe(16),
            "client_id": client.client_id,
        }
        if scopes:
            claims["scope"] = " ".join(scopes)
        if grant is not None:
            claims["acr"] = grant.acr
            claims["amr"] = list(grant.amr)
            claims["auth_time"] = int(grant.auth_time.timestamp())
            claims["grant"] = grant.id
            if grant.session_id:
                claims["sid"] = grant.session_id
        token = self._sign(claims, client.access_token_alg or self._alg, ACCESS_TOKEN_TYPE)
        return Issued(token, claims["jti"], self._access_ttl, subject, scopes)

    def id_token(
        self,
        cleared: Cleared,
        grant: Grant,
        *,
        nonce: str | None,
        access_token: str,
        extra: Mapping[str, Any],
        now: datetime,
    ) -> str:
        """OIDC Core 2 and 3.1.3.6, signed by the client's registered algorithm."""
        alg = cleared.client.id_token_alg
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {
            **extra,
            "iss": self._issuer,
            "sub": grant.user_id,
            "aud": cleared.client.client_id,
            "exp": issued_at + self._id_ttl,
            "iat": issued_at,
            "auth_time": int(grant.auth_time.timestamp()),
            "acr": grant.acr,
            "amr": list(grant.amr),
            "at_hash": _half_hash(access_token, alg),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if grant.session_id:
            claims["sid"] = grant.session_id
        return self._sign(claims, alg, "JWT")

    def verify_access_token(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of one of our access tokens. Raises InvalidJws. Revocation is not its matter:
        a signature stays true, so it is remembered by the token's hash; standing never is."""
        found = self._own(token)
        if found.header.get("typ") != ACCESS_TOKEN_TYPE:
            raise InvalidJws("not an access token")
        claims = found.payload
        if claims.get("iss") != self._issuer:
            raise InvalidJws("another issuer")
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now.timestamp():
            raise InvalidJws("expired")
        return claims

    def verify_id_token_hint(self, token: str) -> Mapping[str, Any]:
        """OIDC Core 3.1.2.1: ours, whoever it was for, even when expired. Raises InvalidJws."""
        found = self._own(token)
        if found.header.get("typ", "JWT") != "JWT" or found.payload.get("iss") != self._issuer:
            raise InvalidJws("not an ID token of this provider")
        return found.payload

    def _own(self, token: str) -> Verified:
        ring = self._ring.now()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._verified.get(digest, ring.etag)
        if known is None:
            known = verify_jws(token, ring.jwks, ALGORITHMS)
            self._verified.put(digest, ring.etag, known)
        return known

    def _sign(self, claims: Mapping[str, Any], alg: str, typ: str) -> str:
        """RFC 7515 section 7.1. The header of a key never changes, so its segment is kept."""
        kid, key = self._ring.signer(alg)
        signing_input = _header(alg, typ, kid) + b"." + urlsafe_b64encode(_encode(claims).encode())
        signature = _registry.get_alg(alg).sign(signing_input, key)
        return (signing_input + b"." + urlsafe_b64encode(signature)).decode()


@lru_cache(maxsize=64)
def _header(alg: str, typ: str, kid: str) -> bytes:
    return urlsafe_b64encode(_encode({"alg": alg, "typ": typ, "kid": kid}).encode())


class _Verified:
    """Verified tokens by the hash of their text and of the key set; the oldest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[tuple[bytes, str], Verified] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes, ring: str) -> Verified | None:
        return self._known.get((digest, ring))

    def put(self, digest: bytes, ring: str, verified: Verified) -> None:
        with self._lock:
            self._known[digest, ring] = verified
            while len(self._known) > self._size:
                self._known.popitem(last=False)


def _half_hash(value: str, alg: str) -> str:
    """OIDC Core 3.1.3.6: the left half of the hash that belongs to the signature's algorithm."""
    digest = _HALF_HASH[alg](value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
