"""A challenge as a page draws it: what `step.html` and every `factors/*.html` are given, whoever
shows them, the sign-in or the account pages."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _

from idp.factors.base import Field, Form
from idp.flow.steps import Beside, Choice


def drawn(
    factor: str,
    form: Form,
    *,
    action: str,
    csrf: str,
    username: str | None = None,
    error: str | None = None,
    retry_after: timedelta | None = None,
    choices: Sequence[Choice] = (),
    beside: Sequence[Beside] = (),
    resendable: bool = False,
    enrolling: bool = False,
    deferrable: bool = False,
) -> dict[str, Any]:
    """Plain values in the language of the page. `error` is marked with N_; a `username` that the
    form asks for is filled in there, else it is said above the form."""
    typed: Mapping[str, str] = {"username": username or ""}
    named = {field.name for field in form.fields}
    return {
        "action": action,
        "csrf": csrf,
        "factor": factor,
        "title": _(form.title),
        "text": _(form.text) % form.values if form.text else None,
        "submit": _(form.submit),
        "fields": [
            {
                "name": field.name,
                "label": _(field.label),
                "type": field.type,
                "autocomplete": _autocomplete(field, beside),
                "inputmode": field.inputmode,
                "maxlength": field.maxlength,
                "value": typed.get(field.name, field.value),
                "readonly": False,
                "required": field.required,
                "autofocus": False,
                "hint": _(field.hint) if field.hint else None,
            }
            for field in form.fields
        ],
        "error": _(error) if error else None,
        "retry_after": int(retry_after.total_seconds()) if retry_after else None,
        "username": None if "username" in named else username,
        "choices": [{"factor": c.factor, "label": _(c.label)} for c in choices],
        "beside": [{"factor": b.factor, "public": dict(b.challenge.public)} for b in beside],
        "resendable": resendable,
        "enrolling": enrolling,
        "deferrable": deferrable,
    }


def _autocomplete(field: Field, beside: Sequence[Beside]) -> str:
    """The browser lists passkeys with the names that it knows (WebAuthn section 5.1.7)."""
    if field.autocomplete == "username" and beside:
        return "username webauthn"
    return field.autocomplete
