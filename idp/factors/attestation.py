"""Which authenticators may be registered, and what they are called (WebAuthn Level 3 section 8).

A model is vouched for by its attestation alone: AAGUID, attachment and transports without it are
the client's word.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idp.factors.base import N_, Rejected
from idp.factors.relying_party import COSE, FORMATS, WebAuthnSettings

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

NOT_ALLOWED = N_("This kind of passkey or security key is not allowed here. Use another one.")
LEAST_RSA_BITS = 2048
AAGUID_EXTENSION = "1.3.6.1.4.1.45724.1.1.4"  # id-fido-gen-ce-aaguid, section 8.2.1

# What a person calls the keeper of a passkey, by AAGUID: the widespread ones. It is a name on a
# page and nothing more.
KEEPERS: Mapping[str, str] = {
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
    "dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain",
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "d3452668-01fd-4c12-926c-83a4204853aa": "Microsoft Password Manager",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
    "771b48fd-d3d4-4f74-9232-fc157ab0507a": "Edge on Mac",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
    "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
    "f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
    "b78a0a55-6ef8-d246-a042-ba0f6d55050c": "LastPass",
}


def judge(
    settings: WebAuthnSettings, found: "VerifiedRegistration", credential: Mapping[str, Any]
) -> str:
    """What the authenticator is called, "" for one that nobody knows. Raises Rejected for one that
    the policy does not allow, step 17 onwards of section 7.1."""
    _judge_key(found.credential_public_key)
    if settings.attachment and credential.get("authenticatorAttachment") != settings.attachment:
        raise Rejected(f"the authenticator does not say {settings.attachment}", NOT_ALLOWED)
    if settings.attestation == "direct":
        _judge_statement(found)
    if settings.aaguids and found.aaguid not in settings.aaguids:
        raise Rejected(f"the model {found.aaguid} is not allowed", NOT_ALLOWED)
    return KEEPERS.get(found.aaguid, "")


def _judge_key(public_key: bytes) -> None:
    """The key is of the kind that its algorithm says, and no weak one (section 5.8.5)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    try:
        decoded = decode_credential_public_key(public_key)
        key = decoded_public_key_to_cryptography(decoded)
    except Exception as problem:  # noqa: BLE001 - all that it reads is from the answer
        raise Rejected(f"no public key: {type(problem).__name__}", NOT_ALLOWED) from None
    fits = {
        COSE["ES256"]: isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1),
        COSE["EdDSA"]: isinstance(key, ed25519.Ed25519PublicKey),
        COSE["RS256"]: isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS,
    }
    if not fits.get(decoded.alg, False):
        raise Rejected("the public key does not fit its algorithm, or is weak", NOT_ALLOWED)


def _judge_statement(found: "VerifiedRegistration") -> None:
    """Somebody whom the roots vouch for speaks for the model: neither nobody ("none") nor the
    credential for itself (self attestation). The library has checked signature and chain."""
    from webauthn.helpers import parse_attestation_object

    if found.fmt not in FORMATS:
        raise Rejected("the attestation says nothing of the model", NOT_ALLOWED)
    statement = parse_attestation_object(found.attestation_object).att_stmt
    if not statement.x5c:
        raise Rejected("the credential attests itself", NOT_ALLOWED)
    if found.fmt == "packed" and not _certified(statement.x5c[0], found.aaguid):
        raise Rejected("the attestation certificate is of another model", NOT_ALLOWED)


def _certified(certificate: bytes, aaguid: str) -> bool:
    """Section 8.2: an AAGUID in the certificate is that of the authenticator."""
    from cryptography import x509

    leaf = x509.load_der_x509_certificate(certificate)
    try:
        found = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(AAGUID_EXTENSION))
    except x509.ExtensionNotFound:
        return True
    value = found.value
    octets = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    return octets[2:].hex() == aaguid.replace("-", "")  # an OCTET STRING within the extension
