"""Who asks in a WebAuthn ceremony: the RP ID, the origins, and the rules for what is registered.

The factors `webauthn` and `passkey` share these settings, so that the two never disagree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic import Field as Setting

if TYPE_CHECKING:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import AttestationFormat

COSE = {"ES256": -7, "EdDSA": -8, "RS256": -257}
FORMATS = ("packed", "tpm", "android-key", "apple", "fido-u2f")
_ORIGIN = re.compile(
    r"https://[a-z0-9.-]+(:\d+)?|http://localhost(:\d+)?|android:apk-key-hash:[A-Za-z0-9_-]+"
)
_AAGUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class WebAuthnSettings(BaseModel):
    """Of passkeys and security keys, as a second factor and on their own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rp_id: str = ""
    """Domain that passkeys are bound to; the issuer's host when empty. A parent domain of that host
    lets its other hosts use them too. After a change no passkey made before works any more."""
    origins: tuple[str, ...] = ()
    """Origins that may answer besides the issuer's own: `https://` and a host, or
    `android:apk-key-hash:` and the hash of an app's signing key."""
    user_verification: Literal["discouraged", "preferred", "required"] = "preferred"
    """PIN or biometrics at a second factor. On its own a passkey always requires it."""
    algorithms: tuple[Literal["ES256", "EdDSA", "RS256"], ...] = Setting(
        default=("ES256", "EdDSA", "RS256"), min_length=1
    )
    """Signature algorithms of new passkeys, the preferred first. Windows Hello needs RS256."""
    attachment: Literal["", "platform", "cross-platform"] = ""
    """Only authenticators built into the device, or only those apart from it. The browser's word,
    unless `attestation` is `direct`."""
    attestation: Literal["none", "indirect", "direct"] = "none"
    """Statement of an authenticator about its model. `direct` refuses those without one that
    `attestation_roots` vouch for; the others ask for nothing that would be refused."""
    attestation_roots: Path | None = None
    """PEM file of the makers' root certificates, for `direct`."""
    aaguids: tuple[str, ...] = ()
    """Models that may be registered, by AAGUID; all when empty. Needs `direct`."""

    @field_validator("origins")
    @classmethod
    def _origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _ORIGIN.fullmatch(value):
                raise ValueError(f"{value!r} is no origin, such as https://accounts.example.com")
        return values

    @field_validator("aaguids")
    @classmethod
    def _aaguids(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(value.lower() for value in values)
        for value in lowered:
            if not _AAGUID.fullmatch(value):
                raise ValueError(
                    f"{value!r} is no AAGUID, such as fbfc3007-154e-4ecc-8c0b-6e020557d7bd"
                )
        return lowered

    @model_validator(mode="after")
    def _vouched(self) -> "WebAuthnSettings":
        if self.aaguids and self.attestation != "direct":
            raise ValueError('aaguids: needs attestation = "direct": nobody else vouches for them')
        if self.attestation == "direct":
            if self.attestation_roots is None:
                raise ValueError('attestation = "direct" needs attestation_roots to check it by')
            if not self._bundle:
                raise ValueError(f"attestation_roots: no certificate in {self.attestation_roots}")
        return self

    @property
    def cose(self) -> "list[COSEAlgorithmIdentifier]":
        """As COSE numbers them (RFC 9053)."""
        from webauthn.helpers.cose import COSEAlgorithmIdentifier

        return [COSEAlgorithmIdentifier(COSE[name]) for name in self.algorithms]

    @property
    def roots(self) -> "Mapping[AttestationFormat, list[bytes]]":
        """For every format. Empty unless statements are to be vouched for."""
        from webauthn.helpers.structs import AttestationFormat

        if self.attestation != "direct":
            return {}
        return {AttestationFormat(fmt): list(self._bundle) for fmt in FORMATS}

    @cached_property
    def _bundle(self) -> tuple[bytes, ...]:
        if self.attestation_roots is None:
            return ()
        try:
            text = self.attestation_roots.read_bytes()
        except OSError as problem:
            raise ValueError(f"attestation_roots: {problem.strerror}") from None
        return tuple(_CERTIFICATE.findall(text))


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks: the RP ID that credentials are scoped to, and the origins that may use them."""

    id: str
    origins: tuple[str, ...]


def relying_party(issuer: str, settings: WebAuthnSettings) -> RelyingParty:
    """Of this issuer. Raises ValueError for an RP ID that browsers would refuse there."""
    parts = urlsplit(issuer)
    host = (parts.hostname or "").lower()
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    shown = f"[{host}]" if ":" in host else host
    chosen = settings.rp_id or host
    if chosen != host and not ("." in chosen and host.endswith(f".{chosen}")):
        raise ValueError(
            f"rp_id {chosen!r} is neither the issuer's host {host!r} nor a parent domain of it"
        )
    return RelyingParty(chosen, (f"{parts.scheme}://{shown}{port}", *settings.origins))


def named(issuer: str) -> bool:
    """Whether the issuer has a host name: an address is no RP ID (section 5.1.3)."""
    try:
        ip_address(urlsplit(issuer).hostname or "")
    except ValueError:
        return True
    return False
