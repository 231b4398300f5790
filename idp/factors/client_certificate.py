"""Client certificate, for people: from a configured authority, bound by its public key.

The TLS handshake proved that whoever is there has the private key; `ctx.peer` is what it proved it
for. The chain is validated here (RFC 5280, for client authentication) at `ctx.now`; revocation is
asked of the authority once there is one here.

One key belongs to one account: the authenticator's id follows from the key, so binding it a second
time, to whomever, is a conflict. A renewed certificate for the same key and subject still works.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from idp.factors.base import (
    N_,
    Answer,
    Available,
    Challenge,
    Context,
    Form,
    Kind,
    Rejected,
)
from idp.model import Authenticator

if TYPE_CHECKING:
    from cryptography import x509

NAME = "client_certificate"
LEAST_RSA_BITS = 2048

NOT_SHOWN = N_(
    "Your browser showed no certificate. Close all of its windows, open this address again, and "
    "choose your certificate when it asks; or try another way."
)
NOT_ACCEPTED = N_(
    "This certificate cannot be used here: it has expired, or it comes from an authority that is "
    "not accepted. Choose another one, or ask your administrator."
)
ANOTHER = N_("This is another certificate than the one that belongs to your account.")
CHANGED = N_("Your browser shows another certificate now. Look at it, then confirm.")


class ClientCertificateSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    authorities: Path | None = None
    """PEM file of the authorities that sign people's certificates themselves, root or issuing.
    None: no certificate is accepted."""
    key: Literal["swk", "hwk", "sc"] = "swk"
    """Where the authority lets private keys be: in software, in hardware, on a smart card. It is
    what tokens say (`amr`, RFC 8176); a certificate by itself does not show it."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A certificate as it is bound, and as people read it."""

    key: str
    subject: str
    issuer: str
    serial: str
    not_after: datetime

    def data(self) -> Mapping[str, Any]:
        return {
            "spki_sha256": self.key,
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "not_after": self.not_after.isoformat(),
        }


class ClientCertificate:
    name = NAME
    label = N_("Certificate")
    kind = Kind.HAS
    phishing_resistant = True  # the handshake signs for the server that it speaks to
    identifies = False
    lifetime = timedelta(minutes=10)  # what was refused is asked anew, of what is shown then
    Settings = ClientCertificateSettings

    def __init__(self, settings: Mapping[str, Any]) -> None:
        chosen = ClientCertificateSettings.model_validate(dict(settings))
        self.amr = (chosen.key,)
        self._anchors = _anchors(chosen.authorities)
        self.enrollable = bool(self._anchors)

    def available(self, ctx: Context) -> Available:
        """Whether this connection shows what is held; whether it is any good is for `verify`."""
        if not self._anchors:
            return Available(False, "no authority is configured")
        if not ctx.held:
            return Available(False, "no certificate is bound")
        if ctx.peer is None:
            return Available(False, "this connection shows no certificate")
        if not any(a.data.get("spki_sha256") == _key_of(ctx.peer) for a in ctx.held):
            return Available(False, "this connection shows another certificate")
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        text = N_("Your browser has shown your certificate. Continue to use it.")
        return Challenge(Form(N_("Use your certificate"), (), text=text))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        certificate, shown = self._shown(ctx)
        held = next((a for a in ctx.held if a.data.get("spki_sha256") == shown.key), None)
        if held is None:
            raise Rejected("a certificate that is not bound to the account", ANOTHER)
        if held.data.get("subject") != shown.subject:
            raise Rejected("the key is bound under another subject", ANOTHER)
        self._validate(certificate, ctx.now)
        return replace(held, data={**held.data, **shown.data()})

    def enroll(self, ctx: Context) -> Challenge:
        """Shows what would be bound; `confirm` binds that one and no other."""
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        title = N_("Use your certificate")
        try:
            _, shown = self._shown(ctx)
        except Rejected as refusal:
            return Challenge(Form(title, (), text=refusal.public, submit=N_("Try again")))
        text = N_("Your browser has shown a certificate. It will be bound to your account.")
        return Challenge(
            Form(title, (), text=text, submit=N_("Use this certificate")),
            public=shown.data(),
            private={"key": shown.key},
        )

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        certificate, shown = self._shown(ctx)
        if asked.private.get("key") != shown.key:
            raise Rejected("another certificate than the page showed", CHANGED)
        self._validate(certificate, ctx.now)
        return Authenticator(
            id=hashlib.sha256(f"{NAME} {shown.key}".encode()).hexdigest()[:32],
            user_id=ctx.user.id,
            factor=NAME,
            created_at=ctx.now,
            data=shown.data(),
            name=shown.subject[:64] or shown.serial,
        )

    def _shown(self, ctx: Context) -> tuple["x509.Certificate", _Shown]:
        """The certificate of this connection. Raises Rejected."""
        if ctx.peer is None:
            raise Rejected("this connection shows no certificate", NOT_SHOWN)
        try:
            certificate = _read(ctx.peer)
            return certificate, _Shown(
                _key(certificate),
                certificate.subject.rfc4514_string(),
                certificate.issuer.rfc4514_string(),
                f"{certificate.serial_number:x}",
                certificate.not_valid_after_utc,
            )
        except ValueError:
            raise Rejected("the certificate cannot be read", NOT_ACCEPTED) from None

    def _validate(self, certificate: "x509.Certificate", now: datetime) -> None:
        """Raises Rejected: no chain to an authority, expired, not for clients, a weak key."""
        from cryptography.x509 import ExtendedKeyUsage, SubjectAlternativeName
        from cryptography.x509.verification import (
            Criticality,
            ExtensionPolicy,
            PolicyBuilder,
            Store,
            VerificationError,
        )

        if not self._anchors:
            raise Rejected("no authority is configured", NOT_ACCEPTED)
        people = (
            ExtensionPolicy.webpki_defaults_ee()
            .may_be_present(SubjectAlternativeName, Criticality.AGNOSTIC, None)
            .require_present(ExtendedKeyUsage, Criticality.AGNOSTIC, _for_clients)
        )
        policy = (
            PolicyBuilder()
            .store(Store(list(self._anchors)))
            .time(now)
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=people)
        )
        if not _strong(certificate):  # the library judges the keys of authorities alone
            raise Rejected("the certificate's key is weak or of an unknown kind", NOT_ACCEPTED)
        try:
            policy.build_client_verifier().verify(certificate, [])
        except VerificationError as problem:
            raise Rejected(f"the certificate does not verify: {problem}", NOT_ACCEPTED) from None


def _strong(certificate: "x509.Certificate") -> bool:
    """NIST SP 800-131A: 112 bits of security."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= LEAST_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
    return isinstance(key, ed25519.Ed25519PublicKey)


def _for_clients(policy: Any, certificate: object, usage: "x509.ExtendedKeyUsage") -> None:
    """RFC 5280 section 4.2.1.12: said by name; `any` is not enough."""
    if policy.extended_key_usage not in usage:
        raise ValueError("it is not for client authentication")


def _anchors(file: Path | None) -> Sequence["x509.Certificate"]:
    """Raises ValueError for a file that cannot be read or holds none."""
    if file is None:
        return ()
    from cryptography import x509

    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except OSError as problem:
        raise ValueError(f"authorities: cannot read {file}: {problem.strerror}") from None
    except ValueError:
        raise ValueError(f"authorities: {file} holds no certificates in PEM") from None


def _read(der: bytes) -> "x509.Certificate":
    from cryptography import x509

    return x509.load_der_x509_certificate(der)


def _key_of(der: bytes) -> str:
    """Of something that is no certificate: nothing that is bound."""
    try:
        return _key(_read(der))
    except ValueError:
        return ""


def _key(certificate: "x509.Certificate") -> str:
    """SHA-256 of its SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
