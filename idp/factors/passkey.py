"""A passkey as a way in on its own: nobody types a name, the credential says whose it is.

It works with what was registered as `webauthn`. The authenticator proves possession of a key and
verifies its user by PIN or biometrics: two factors in one, so RFC 8176 `mfa` besides `pop` and
`user`. User verification is therefore required, always.
"""

from collections.abc import Mapping
from typing import Any

from idp.factors.base import N_, Answer, Available, Challenge, Claim, Context, Form, Kind
from idp.factors.ceremony import FACTOR, LIFETIME, Ceremony
from idp.factors.credential import named_user
from idp.factors.relying_party import WebAuthnSettings, named, relying_party
from idp.model import Authenticator


class Passkey:
    name = "passkey"
    label = N_("Passkey")
    amr = ("pop", "user", "mfa")
    kind = Kind.HAS
    phishing_resistant = True
    identifies = True
    ambient = True
    uses = FACTOR
    lifetime = LIFETIME

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """With the settings of `webauthn`."""
        self._settings = WebAuthnSettings.model_validate(dict(settings))
        self._ceremony = Ceremony(self._settings)

    def check(self, issuer: str) -> None:
        """Raises ValueError for an RP ID that is not the issuer's."""
        relying_party(issuer, self._settings)

    def available(self, ctx: Context) -> Available:
        if not named(ctx.issuer):
            return Available(False, "passkeys need an issuer with a host name")
        if ctx.user is not None and not self.holds(ctx):
            return Available(False, "no passkey is enrolled that can sign in on its own")
        return Available(True)

    def holds(self, ctx: Context) -> bool:
        return bool(_alone(ctx))

    def claim(self, answer: Answer) -> Claim:
        return named_user(answer)

    def begin(self, ctx: Context) -> Challenge:
        """While nobody is known, the same for everybody: it names no credential (14.6.2)."""
        form = Form(
            N_("Sign in with a passkey"),
            (),
            text=N_("Press the button. Your device then asks you to confirm that it is you."),
            submit=N_("Sign in with a passkey"),
        )
        return self._ceremony.get(ctx, form, _alone(ctx), verification="required")

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        return self._ceremony.got(ctx, asked, answer, verified=True)

    def enroll(self, ctx: Context) -> Challenge:
        form = Form(
            N_("Add a passkey"),
            (),
            text=N_(
                "It signs you in without a password. Your device keeps it and confirms that it is "
                "you by fingerprint, face or PIN."
            ),
            submit=N_("Add passkey"),
        )
        return self._ceremony.create(ctx, form, verification="required", resident="required")

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        """An authenticator of `webauthn`, which serves as a second factor too."""
        return self._ceremony.created(ctx, asked, answer, verified=True, resident=True)


def _alone(ctx: Context) -> tuple[Authenticator, ...]:
    """Those that name their user and are known to verify them."""
    return tuple(a for a in ctx.held if a.data["discoverable"] and a.data["user_verified"])
