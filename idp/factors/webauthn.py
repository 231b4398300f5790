"""WebAuthn as a second factor: a passkey or a security key, after something else was proven.

What is registered here also signs in alone, as the factor `passkey`, if it is discoverable and
verifies its user. Proof of possession of a key, hardware or not, and of the user's presence:
RFC 8176 `pop` and `user`; `hwk` would claim what no attestation proves.
"""

from collections.abc import Mapping
from typing import Any

from idp.factors.base import N_, Answer, Available, Challenge, Context, Form, Kind
from idp.factors.ceremony import FACTOR, LIFETIME, Ceremony
from idp.factors.relying_party import WebAuthnSettings, named, relying_party
from idp.model import Authenticator


class WebAuthn:
    name = FACTOR
    label = N_("Passkey or security key")
    amr = ("pop", "user")
    kind = Kind.HAS
    phishing_resistant = True
    identifies = False
    lifetime = LIFETIME
    Settings = WebAuthnSettings

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = WebAuthnSettings.model_validate(dict(settings))
        self._ceremony = Ceremony(self._settings)

    def check(self, issuer: str) -> None:
        """Raises ValueError for an RP ID that is not the issuer's."""
        relying_party(issuer, self._settings)

    def available(self, ctx: Context) -> Available:
        if not named(ctx.issuer):
            return Available(False, "passkeys need an issuer with a host name")
        if not ctx.held:
            return Available(False, "no passkey or security key is enrolled")
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        form = Form(
            N_("Use your passkey or security key"),
            (),
            text=N_("Press the button. Your device then asks you to confirm that it is you."),
            submit=N_("Continue with passkey"),
        )
        verification = self._settings.user_verification
        return self._ceremony.get(ctx, form, ctx.held, verification=verification)

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        verified = self._settings.user_verification == "required"
        return self._ceremony.got(ctx, asked, answer, verified=verified)

    def enroll(self, ctx: Context) -> Challenge:
        """Discoverable and verifying if it can be: it then signs in alone as well."""
        form = Form(
            N_("Add a passkey or security key"),
            (),
            text=N_(
                "Your device keeps it and confirms that it is you by fingerprint, face or PIN. "
                "A security key works too."
            ),
            submit=N_("Add passkey"),
        )
        required = self._settings.user_verification == "required"
        verification = "required" if required else "preferred"
        return self._ceremony.create(ctx, form, verification=verification, resident="preferred")

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        verified = self._settings.user_verification == "required"
        return self._ceremony.created(ctx, asked, answer, verified=verified, resident=False)
