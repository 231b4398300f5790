"""The policy on models: nobody's word counts but that of a maker whom the roots vouch for."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from idp.factors.attestation import AAGUID_EXTENSION, NOT_ALLOWED
from idp.factors.base import Rejected
from idp.factors.webauthn import WebAuthn
from idp.testing.passkey import ES256, RS256, Credential, VirtualPasskey
from tests.unit.factors.keys import ISSUER, device, register

MODEL = bytes.fromhex("2fc0579f811347eab116bb5a8db9202a")
OTHER_MODEL = bytes.fromhex("ee882879721c491397753dfcce97072a")
UUID = "2fc0579f-8113-47ea-b116-bb5a8db9202a"


@dataclass
class Maker:
    """Who makes authenticators: a root, and a key that is built into each of one model."""

    model: bytes | None = MODEL
    name: str = field(default_factory=lambda: f"Root {secrets.token_hex(4)}")
    root_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def root(self) -> bytes:
        return self._certificate(self.root_key, ca=True).public_bytes(serialization.Encoding.PEM)

    @property
    def leaf(self) -> bytes:
        return self._certificate(self.key, ca=False).public_bytes(serialization.Encoding.DER)

    def _certificate(self, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
        now = datetime.now(UTC)  # OpenSSL, in the library, asks the system's clock

        def name(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        made = (
            x509.CertificateBuilder()
            .subject_name(name(self.name if ca else "Authenticator Attestation"))
            .issuer_name(name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if not ca and self.model is not None:
            octets = b"\x04\x10" + self.model
            oid = x509.ObjectIdentifier(AAGUID_EXTENSION)
            made = made.add_extension(x509.UnrecognizedExtension(oid, octets), critical=False)
        return made.sign(self.root_key, hashes.SHA256())


@dataclass
class Attested(VirtualPasskey):
    """Signs with its maker's key; without a maker with the credential's own."""

    maker: Maker | None = None

    def attest(self, auth_data: bytes, client_data_hash: bytes, made: Credential) -> dict[str, Any]:
        signed = auth_data + client_data_hash
        key = made.key if self.maker is None else self.maker.key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        statement = {"alg": ES256, "sig": key.sign(signed, ec.ECDSA(hashes.SHA256()))}
        if self.maker is not None:
            statement["x5c"] = [self.maker.leaf]
        return {"fmt": "packed", "attStmt": statement}


def attested(maker: Maker | None, aaguid: bytes = MODEL) -> Attested:
    return Attested(ISSUER, maker=maker, aaguid=aaguid)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def policy(maker: Maker, tmp_path: Path) -> Mapping[str, Any]:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(Maker().root + b"\n# a comment\n" + maker.root)
    return {"attestation": "direct", "attestation_roots": str(roots), "aaguids": (UUID.upper(),)}


def refusal(key: VirtualPasskey, factor: WebAuthn) -> str:
    with pytest.raises(Rejected) as caught:
        register(key, factor)
    return caught.value.detail


def test_a_model_on_the_list_is_registered(maker: Maker, policy: Mapping[str, Any]) -> None:
    held = register(attested(maker), WebAuthn(policy))
    assert (held.data["aaguid"], held.data["attestation"]) == (UUID, "packed")


def test_a_certificate_without_a_model_is_taken_for_any(policy: Mapping[str, Any]) -> None:
    unnamed = Maker(model=None)
    Path(policy["attestation_roots"]).write_bytes(unnamed.root)
    assert register(attested(unnamed), WebAuthn(policy)).data["aaguid"] == UUID


def test_no_attestation_is_refused(policy: Mapping[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        register(device(aaguid=MODEL), WebAuthn(policy))
    assert caught.value.public == NOT_ALLOWED
    assert "nothing of the model" in caught.value.detail


def test_self_attestation_is_refused(policy: Mapping[str, Any]) -> None:
    """CVE-2026-6856: it was taken for the model's own in another provider."""
    assert "itself" in refusal(attested(None), WebAuthn(policy))


def test_another_makers_word_is_refused(policy: Mapping[str, Any]) -> None:
    assert "chain" in refusal(attested(Maker()), WebAuthn(policy))


def test_a_certificate_of_another_model_is_refused(maker: Maker, policy: Mapping[str, Any]) -> None:
    maker.model = OTHER_MODEL
    assert "another model" in refusal(attested(maker), WebAuthn(policy))


def test_a_model_that_is_not_on_the_list_is_refused(
    maker: Maker, policy: Mapping[str, Any]
) -> None:
    maker.model = OTHER_MODEL
    assert "not allowed" in refusal(attested(maker, OTHER_MODEL), WebAuthn(policy))


def test_a_statement_that_was_made_for_another_registration_is_refused(
    maker: Maker, policy: Mapping[str, Any]
) -> None:
    key = attested(maker)
    before = key.attest(b"", hashlib.sha256().digest(), Credential(b"", b"", maker.key, ES256))
    key.attest = lambda *_: before  # type: ignore[method-assign]
    assert "signature" in refusal(key, WebAuthn(policy))


@pytest.mark.parametrize("attestation", ["none", "indirect"])
def test_without_the_policy_anything_is_registered(attestation: str, maker: Maker) -> None:
    factor = WebAuthn({"attestation": attestation})
    for key in (device(), attested(None), attested(maker)):
        assert register(key, factor).factor == "webauthn"


def test_a_weak_rsa_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    monkeypatch.setattr("idp.testing.passkey._generate", lambda alg: key)
    assert "weak" in refusal(device(algorithms=(RS256,)), WebAuthn({}))


def test_a_key_that_is_not_of_its_algorithm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "idp.testing.passkey._generate", lambda alg: rsa.generate_private_key(65537, 2048)
    )
    assert "fit" in refusal(device(algorithms=(ES256,)), WebAuthn({}))


def test_es256_is_on_p256_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5.8.5: the curve comes with the algorithm."""
    key = ec.generate_private_key(ec.SECP384R1())
    point = key.public_key().public_numbers()
    cose = {1: 2, 3: ES256, -1: 2, -2: point.x.to_bytes(48, "big"), -3: point.y.to_bytes(48, "big")}
    monkeypatch.setattr("idp.testing.passkey._cose", lambda key, alg: cose)
    assert "fit" in refusal(device(), WebAuthn({}))
