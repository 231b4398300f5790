"""A passkey in software, for tests: answers WebAuthn options as a browser and its authenticator do.

    device = VirtualPasskey("https://login.example.com")
    registered = device.create(public["publicKey"])
    signed = device.get(public["publicKey"])

Both take the options as JSON and give the JSON that goes into the field `credential`. It keeps its
keys in memory, counts signatures, and can be told to misbehave as an attacker would.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

ES256, EDDSA, RS256, RS1 = -7, -8, -257, -65535
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class NoSuchCredential(Exception):
    """None of the passkeys here answers; a browser says NotAllowedError."""


class AlreadyRegistered(Exception):
    """One of `excludeCredentials` is here; a browser says InvalidStateError."""


@dataclass
class Credential:
    id: bytes
    user_handle: bytes
    key: Key
    alg: int
    sign_count: int = 0


@dataclass
class VirtualPasskey:
    """`rp_id` is the origin's host unless given. `verifies`: has a PIN or a fingerprint. `synced`:
    its passkeys are kept by several devices. `counts`: it has a signature counter."""

    origin: str
    rp_id: str = ""
    verifies: bool = True
    synced: bool = False
    counts: bool = True
    resident: bool = True
    algorithms: tuple[int, ...] = (ES256, EDDSA, RS256)
    aaguid: bytes = bytes(16)
    attachment: str | None = "platform"
    client_data: dict[str, Any] = field(default_factory=dict)
    """Replaces members of what the browser would collect: an attacker's browser."""
    credentials: list[Credential] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rp_id = self.rp_id or urlsplit(self.origin).hostname or ""

    def create(self, options: Mapping[str, Any], *, alg: int | None = None) -> dict[str, Any]:
        """`navigator.credentials.create()`. `alg` is taken whether it was offered or not."""
        excluded = {_decoded(c["id"]) for c in options.get("excludeCredentials", ())}
        if excluded & {credential.id for credential in self.credentials}:
            raise AlreadyRegistered
        offered = [parameter["alg"] for parameter in options["pubKeyCredParams"]]
        chosen = alg or next(a for a in offered if a in self.algorithms)
        made = Credential(
            secrets.token_bytes(32), _decoded(options["user"]["id"]), _generate(chosen), chosen
        )
        self.credentials.append(made)
        client_data = self._client_data("webauthn.create", options["challenge"])
        attested = (
            self.aaguid
            + len(made.id).to_bytes(2, "big")
            + made.id
            + cbor2.dumps(_cose(made.key, chosen))
        )
        auth_data = self._auth_data(made, AT) + attested
        statement = self.attest(auth_data, hashlib.sha256(client_data).digest(), made)
        return self._answer(
            made,
            {
                "clientDataJSON": _encoded(client_data),
                "attestationObject": _encoded(cbor2.dumps({**statement, "authData": auth_data})),
                "transports": ["internal"] if self.attachment == "platform" else ["usb"],
            },
            {"credProps": {"rk": self.resident}},
        )

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.get()`: by one that is allowed, or by any when none is named."""
        allowed = {_decoded(c["id"]) for c in options.get("allowCredentials", ())}
        used = next((c for c in reversed(self.credentials) if not allowed or c.id in allowed), None)
        if used is None or (not allowed and not self.resident):
            raise NoSuchCredential
        client_data = self._client_data("webauthn.get", options["challenge"])
        auth_data = self._auth_data(used)
        signature = _sign(used, auth_data + hashlib.sha256(client_data).digest())
        return self._answer(
            used,
            {
                "clientDataJSON": _encoded(client_data),
                "authenticatorData": _encoded(auth_data),
                "signature": _encoded(signature),
                "userHandle": _encoded(used.user_handle) if self.resident else None,
            },
            {},
        )

    def attest(self, auth_data: bytes, client_data_hash: bytes, made: Credential) -> dict[str, Any]:
        """Format and statement; a device with a maker's key overrides this."""
        return {"fmt": "none", "attStmt": {}}

    def _client_data(self, kind: str, challenge: str) -> bytes:
        collected = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": False,
            **self.client_data,
        }
        return json.dumps(collected, separators=(",", ":")).encode()

    def _auth_data(self, credential: Credential, flags: int = 0) -> bytes:
        if self.counts:
            credential.sign_count += 1
        flags |= UP | (UV if self.verifies else 0) | (BE | BS if self.synced else 0)
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return rp_id_hash + bytes([flags]) + credential.sign_count.to_bytes(4, "big")

    def _answer(
        self, credential: Credential, response: dict[str, Any], extensions: dict[str, Any]
    ) -> dict[str, Any]:
        answer = {
            "id": _encoded(credential.id),
            "rawId": _encoded(credential.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": extensions,
        }
        if self.attachment is not None:
            answer["authenticatorAttachment"] = self.attachment
        return answer


def _generate(alg: int) -> Key:
    if alg == ES256:
        return ec.generate_private_key(ec.SECP256R1())
    if alg == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def _sign(credential: Credential, data: bytes) -> bytes:
    key = credential.key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    digest = hashes.SHA1() if credential.alg == RS1 else hashes.SHA256()  # noqa: S303
    return key.sign(data, padding.PKCS1v15(), digest)


def _cose(key: Key, alg: int) -> dict[int, Any]:
    """The public key as COSE writes it (RFC 9053 section 7)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {
            1: 2,
            3: alg,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: alg, -1: 6, -2: key.public_key().public_bytes_raw()}
    numbers = key.public_key().public_numbers()
    size = (key.key_size + 7) // 8
    return {1: 3, 3: alg, -1: numbers.n.to_bytes(size, "big"), -2: numbers.e.to_bytes(3, "big")}


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
