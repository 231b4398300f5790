"""Authorities and certificates for tests, made with `cryptography`, as strange as one asks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
START = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = timedelta(days=3650)
CLIENTS = (ExtendedKeyUsageOID.CLIENT_AUTH,)


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True)
class Authority(Issued):
    def issue(
        self,
        common_name: str,
        own: Key | None = None,
        *,
        usages: tuple[x509.ObjectIdentifier, ...] = CLIENTS,
        since: datetime = START,
        life: timedelta = timedelta(days=3650),
        signer: Key | None = None,
        alternative: x509.SubjectAlternativeName | None = None,
        unknown_critical: bool = False,
    ) -> Issued:
        """For a person, unless the `usages` say otherwise. `signer`: another key than the
        authority's; the name stays its own."""
        own = own or key()
        builder = (
            _builder(common_name, self.certificate.subject, own, since, life)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if alternative is not None:
            builder = builder.add_extension(alternative, critical=False)
        if unknown_critical:
            strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
            builder = builder.add_extension(strange, critical=True)
        return Issued(builder.sign(signer or self.key, hashes.SHA256()), own)


def authority(common_name: str = "People CA", above: Authority | None = None) -> Authority:
    """Self-signed, or below another one."""
    own = key()
    issuer = named(common_name) if above is None else above.certificate.subject
    signer = own if above is None else above.key
    builder = (
        _builder(common_name, issuer, own, START, YEARS)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    return Authority(builder.sign(signer, hashes.SHA256()), own)


def self_signed(common_name: str) -> Issued:
    own = key()
    builder = _builder(common_name, named(common_name), own, START, YEARS).add_extension(
        x509.ExtendedKeyUsage(CLIENTS), critical=False
    )
    return Issued(builder.sign(own, hashes.SHA256()), own)


def _builder(
    common_name: str, issuer: x509.Name, own: Key, since: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(named(common_name))
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
