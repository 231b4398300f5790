"""The two ceremonies of WebAuthn (Level 3 sections 7.1 and 7.2), on the library `webauthn`.

Shared by the factors `webauthn` and `passkey`. The library checks signatures, hashes and flags;
what it leaves to the relying party is here: frames of other sites, the age and single use of a
challenge, counters that go back, backup eligibility that changes.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from idp.factors.attestation import judge
from idp.factors.base import N_, Answer, Challenge, Context, Field, Form, Rejected
from idp.factors.binding import TTL
from idp.factors.credential import (
    CREATE,
    FIELD,
    GET,
    REFUSED,
    STALE,
    check_client_data,
    decoded,
    discoverable,
    encoded,
    identity,
    read,
    transports,
)
from idp.factors.relying_party import WebAuthnSettings, relying_party
from idp.model import Authenticator

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor
    from webauthn.registration.verify_registration_response import VerifiedRegistration

FACTOR = "webauthn"
CHALLENGE_BYTES = 32
LONGEST_ID = 1023  # bytes, section 7.1 step 25
LIFETIME = TTL
ANSWER_WITHIN = LIFETIME / 2  # what a page has at least, when its challenge is half used up

UNKNOWN = N_("This passkey is not known here. It may have been removed. Try another way.")
NOT_VERIFIED = N_(
    "It did not ask for a PIN, a fingerprint or your face, which is needed here. Try another way."
)

_T = TypeVar("_T")


class Ceremony:
    def __init__(self, settings: WebAuthnSettings) -> None:
        self.settings = settings

    def create(self, ctx: Context, form: Form, *, verification: str, resident: str) -> Challenge:
        """Ask for a new credential. `verification` and `resident` (discoverable):
        required or preferred."""
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers import structs

        if ctx.user is None:
            raise Rejected("nobody to enroll")
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        settings = self.settings
        party = relying_party(ctx.issuer, settings)
        name = ctx.user.claims.get("name")
        options = generate_registration_options(
            rp_id=party.id,
            rp_name=party.id,
            user_id=ctx.user.id.encode(),
            user_name=ctx.user.username,
            user_display_name=name if isinstance(name, str) else None,
            challenge=challenge,
            timeout=_milliseconds(ANSWER_WITHIN),
            attestation=structs.AttestationConveyancePreference(settings.attestation),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                authenticator_attachment=structs.AuthenticatorAttachment(settings.attachment)
                if settings.attachment
                else None,
                resident_key=structs.ResidentKeyRequirement(resident),
                user_verification=structs.UserVerificationRequirement(verification),
            ),
            exclude_credentials=_descriptors(ctx.held),
            supported_pub_key_algs=settings.cose,
        )
        public = json.loads(options_to_json(options)) | {"extensions": {"credProps": True}}
        return _challenge(form, public, challenge, ctx.now)

    def created(
        self, ctx: Context, asked: Challenge, answer: Answer, *, verified: bool, resident: bool
    ) -> Authenticator:
        """The new credential (section 7.1). `verified` and `resident`
        (discoverable) are demanded."""
        from webauthn import verify_registration_response

        if ctx.user is None:
            raise Rejected("nobody to enroll")
        credential = read(answer)
        party = relying_party(ctx.issuer, self.settings)
        check_client_data(credential, CREATE, ctx, asked, party.origins)
        found = _called(
            lambda: verify_registration_response(
                credential=dict(credential),
                expected_challenge=decoded(asked.private["challenge"]),
                expected_rp_id=party.id,
                expected_origin=list(party.origins),
                supported_pub_key_algs=self.settings.cose,
                pem_root_certs_bytes_by_fmt=self.settings.roots,
            )
        )
        if verified and not found.user_verified:
            raise Rejected("the user was not verified", NOT_VERIFIED)
        model = judge(self.settings, found, credential)
        kept = discoverable(credential, otherwise=resident or _eligible(found))
        if resident and not kept:
            raise Rejected("the credential is not discoverable", REFUSED)
        if len(found.credential_id) > LONGEST_ID:
            raise Rejected("the credential id is too long", REFUSED)
        return Authenticator(
            id=identity(found.credential_id),
            user_id=ctx.user.id,
            factor=FACTOR,
            created_at=ctx.now,
            secret=found.credential_public_key,  # no secret, but sealed so that nobody swaps it
            data={
                "credential_id": encoded(found.credential_id),
                "transports": transports(credential),
                "sign_count": found.sign_count,
                "user_verified": found.user_verified,
                "discoverable": kept,
                "backup_eligible": _eligible(found),
                "backed_up": found.credential_backed_up,
                "aaguid": found.aaguid,
                "attestation": str(found.fmt),
            },
            name=model or (N_("Passkey") if kept else N_("Security key")),
        )

    def get(
        self, ctx: Context, form: Form, held: Iterable[Authenticator], *, verification: str
    ) -> Challenge:
        """Ask for an assertion, by one of `held`; of anybody when there is none."""
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        options = generate_authentication_options(
            rp_id=relying_party(ctx.issuer, self.settings).id,
            challenge=challenge,
            timeout=_milliseconds(ANSWER_WITHIN),
            allow_credentials=_descriptors(held),
            user_verification=UserVerificationRequirement(verification),
        )
        return _challenge(form, json.loads(options_to_json(options)), challenge, ctx.now)

    def got(
        self, ctx: Context, asked: Challenge, answer: Answer, *, verified: bool
    ) -> Authenticator:
        """The credential that signed (section 7.2), changed where it changed."""
        from webauthn import verify_authentication_response

        credential = read(answer)
        party = relying_party(ctx.issuer, self.settings)
        check_client_data(credential, GET, ctx, asked, party.origins)
        held = _meant(ctx, credential)
        found = _called(
            lambda: verify_authentication_response(
                credential=dict(credential),
                expected_challenge=decoded(asked.private["challenge"]),
                expected_rp_id=party.id,
                expected_origin=list(party.origins),
                credential_public_key=held.secret,
                credential_current_sign_count=0,  # judged below, once the signature is known
            )
        )
        if verified and not found.user_verified:
            raise Rejected("the user was not verified", NOT_VERIFIED)
        if not ctx.once(f"webauthn:{asked.private['challenge']}", LIFETIME):
            raise Rejected("the challenge was used before", STALE)
        return _used(held, found, ctx.now)


def _challenge(form: Form, public: Mapping[str, Any], challenge: bytes, now: datetime) -> Challenge:
    hidden = replace(form, fields=(Field(FIELD, "", "hidden"),))
    until = (now + LIFETIME).isoformat()
    return Challenge(
        hidden, {"publicKey": public}, {"challenge": encoded(challenge), "until": until}
    )


def _meant(ctx: Context, credential: Mapping[str, Any]) -> Authenticator:
    """Which of those held answers, steps 5 to 7 of section 7.2."""
    if ctx.user is None:
        raise Rejected("unknown user", UNKNOWN)
    handle = credential["response"].get("userHandle")
    if handle is not None and decoded(handle) != ctx.user.id.encode():
        raise Rejected("the credential is of another user", UNKNOWN)
    wanted = credential.get("id")
    held = next((a for a in ctx.held if a.data.get("credential_id") == wanted), None)
    if held is None:
        raise Rejected("unknown credential", UNKNOWN)
    return held


def _used(held: Authenticator, found: "VerifiedAuthentication", now: datetime) -> Authenticator:
    """Steps 18 to 24 of section 7.2: backup flags and the signature counter."""
    if _eligible(found) != held.data["backup_eligible"]:
        raise Rejected("the backup eligibility changed", REFUSED)
    before, after = int(held.data["sign_count"]), found.new_sign_count
    if (before or after) and after <= before:
        marked = replace(held, data={**held.data, "copied_at": now.isoformat()})
        raise Rejected(
            f"the signature counter went from {before} to {after}: "
            "the authenticator may have been copied",
            REFUSED,
            marked,
        )
    changed = {
        "sign_count": after,
        "backed_up": found.credential_backed_up,
        "user_verified": held.data["user_verified"] or found.user_verified,
    }
    return replace(held, data={**held.data, **changed})


def _eligible(found: "VerifiedAuthentication | VerifiedRegistration") -> bool:
    return found.credential_device_type.value == "multi_device"


def _descriptors(held: Iterable[Authenticator]) -> "list[PublicKeyCredentialDescriptor]":
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    return [
        PublicKeyCredentialDescriptor(
            id=decoded(a.data["credential_id"]),
            transports=[AuthenticatorTransport(t) for t in a.data["transports"]],
        )
        for a in held
    ]


def _called(verify: Callable[[], _T]) -> _T:
    """What the library finds. All that it reads is from the answer: so is what it raises about."""
    try:
        return verify()
    except Exception as problem:  # noqa: BLE001 - see above
        raise Rejected(f"{type(problem).__name__}: {_printable(str(problem))}", REFUSED) from None


def _printable(text: str) -> str:
    """A part of it at most may be from the answer."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:200])


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
