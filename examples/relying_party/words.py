"""What the protocol says, in words for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

ACR = {
    "aal1": "with one factor",
    "aal2": "with two factors",
    "aal3": "with a hardware key that cannot be phished",
}
AMR = {
    "pwd": "a password",
    "otp": "a one-time code",
    "mfa": "more than one factor",
    "sms": "a code by SMS",
    "hwk": "a hardware key",
    "swk": "a key in software",
    "user": "proof of presence",
    "pop": "proof of a key",
    "pin": "a PIN",
    "fpt": "a fingerprint",
    "face": "a face",
}
ADVICE = {
    "access_denied": (
        "The provider was told not to share anything, so nothing was shared. "
        "Sign in again if you did not mean to refuse."
    ),
    "unmet_authentication_requirements": (
        "This action needs a second factor, and the provider could not confirm one. "
        "Add a second factor to your account there, then try again."
    ),
    "login_required": "Your session at the provider has ended. Sign in again.",
    "invalid_grant": (
        "What this application held was used already, has expired or was withdrawn. Sign in again."
    ),
    "mismatching_state": (
        "This answer does not belong to a sign-in that was started in this browser, "
        "or it was used before. Nothing has changed. Start again."
    ),
    "wrong_issuer": (
        "The answer does not come from the provider that was asked. Start again; "
        "if it stays, the issuer in this application's configuration is not the provider's own."
    ),
    "wrong_subject": "Sign out, and sign in as the person who should do this.",
    "bad_id_token": (
        "The ID token did not pass verification, so nobody was signed in. Start again; "
        "if it stays, compare issuer, client_id and the clocks of both machines."
    ),
    "invalid_client": "The provider does not accept this application's client_id or secret.",
    "temporarily_unavailable": "The provider is busy. Try again in a minute.",
    "server_error": "The provider had a problem of its own. Try again in a minute.",
    "unreachable": "The provider could not be reached, or did not answer as expected. Is it up?",
    "other": "Start again; if it stays, show these words to whoever runs this application.",
}


def acr(value: str | None) -> str:
    return f"{ACR.get(value, 'in a way this page has no words for')} ({value})" if value else "-"


def amr(values: list[str] | None) -> str:
    return (
        ", ".join(f"{AMR.get(value, 'another method')} ({value})" for value in values or []) or "-"
    )


def moment(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y, %H:%M:%S UTC")


def claim(name: str, value: Any) -> str:
    if name in {"exp", "iat", "nbf", "auth_time", "updated_at"} and isinstance(value, int | float):
        return f"{value} ({moment(value)})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
