"""Codes by text message: a restricted authenticator (NIST SP 800-63B-4 sections 3.1.3.3, 3.2.9).

Six digits, good for five minutes, five tries and one use, in the sign-in that asked for them. The
text is bound to the origin (WICG origin-bound one-time codes), so that a browser fills it in here
and nowhere else. Binding asks for the number first, then for the code that was sent to it.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Setting

from idp.factors.base import (
    N_,
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Further,
    Kind,
    Rejected,
)
from idp.factors.codes import code_field, digits
from idp.model import Authenticator, Message

TEXT = N_("%(code)s is your code for %(host)s. Nobody will ever ask you for it.")
WEAK = N_(
    "Text messages can be read or redirected by others. "
    "An authenticator app or a passkey is safer; choose one if you can."
)
SENT = N_("We sent a code to %(number)s.")
BAD_NUMBER = N_("Write the whole number with its country code, such as +49 1512 3456789.")
HELD = N_("This number is added already. Use another one.")
LATE = N_("This code is too old. Ask for a new one.")
TIRED = N_("This code was tried too often. Ask for a new one.")
LONGEST_NUMBER = 64


class SmsSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    lifetime: timedelta = Setting(default=timedelta(minutes=5), le=timedelta(minutes=10))
    """How long a code works, at most ten minutes (NIST SP 800-63B-4 section 3.1.3.2)."""
    tries: int = Setting(default=5, ge=1, le=10)
    """Wrong answers that one code outlives."""


class Sms:
    name = "sms"
    label = N_("Text message")
    amr = ("sms",)
    kind = Kind.HAS
    phishing_resistant = False
    identifies = False
    sends = "sms"
    resendable = True
    Settings = SmsSettings

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = SmsSettings.model_validate(dict(settings))

    def available(self, ctx: Context) -> Available:
        if not ctx.held:
            return Available(False, "no number is enrolled")
        return Available(True)

    def begin(self, ctx: Context) -> Challenge:
        """A new code for the number that was used last."""
        never = datetime.min.replace(tzinfo=ctx.now.tzinfo)
        held = max(ctx.held, key=lambda a: a.last_used_at or never)
        return self._code(ctx, str(held.data["number"]), authenticator=held.id)

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        self._check(ctx, asked, answer)
        for held in ctx.held:
            if held.id == asked.private["authenticator"]:
                return held
        raise Rejected("the number was removed meanwhile")

    def enroll(self, ctx: Context) -> Challenge:
        """Ask for the number; one that was verified for the account is filled in."""
        known = ctx.user.phone if ctx.user is not None and ctx.user.phone_verified else None
        number = Field(
            "number",
            N_("Mobile number"),
            "tel",
            autocomplete="tel",
            inputmode="tel",
            maxlength=LONGEST_NUMBER,
            hint=N_("With country code, such as +49 1512 3456789."),
            value=known or "",
        )
        return Challenge(
            Form(N_("Add a mobile number"), (number,), text=WEAK, submit=N_("Send a code"))
        )

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if ctx.user is None:
            raise Rejected("nobody to enroll")
        if "code" not in asked.private:
            number = parsed(answer.get("number", ""))
            if any(held.data.get("number") == number for held in ctx.held):
                raise Rejected("the number is bound already", HELD)
            raise Further(self._code(ctx, number))
        self._check(ctx, asked, answer)
        number = str(asked.private["number"])
        return Authenticator(
            id=uuid4().hex,
            user_id=ctx.user.id,
            factor=self.name,
            created_at=ctx.now,
            data={"number": number},
            name=masked(number),
        )

    def resend(self, ctx: Context, asked: Challenge) -> Challenge:
        """Of a binding: another code to the number that was given; the number again before that."""
        if "code" not in asked.private:
            return self.enroll(ctx)
        return self._code(ctx, str(asked.private["number"]))

    def _code(self, ctx: Context, number: str, authenticator: str = "") -> Challenge:
        code = f"{secrets.randbelow(10**6):06}"
        host = urlsplit(ctx.issuer).hostname or ""
        return Challenge(
            Form(
                N_("Enter the code from the text message"),
                (code_field(),),
                text=SENT,
                values={"number": masked(number)},
            ),
            public={"number": masked(number)},
            private={
                "code": code,
                "number": number,
                "authenticator": authenticator,
                "id": uuid4().hex,
                "until": (ctx.now + self._settings.lifetime).isoformat(),
            },
            send=Message(
                kind="sms",
                to=number,
                text=TEXT,
                values={"code": code, "host": host},
                tail=f"@{host} #{code}",
            ),
        )

    def _check(self, ctx: Context, asked: Challenge, answer: Answer) -> None:
        """Raises Rejected unless it is the code, in time, untried too often, unused."""
        given, private = digits(answer.get("code", "")), asked.private
        if ctx.now >= datetime.fromisoformat(private["until"]):
            raise Rejected("the code has expired", LATE)
        if not self._counted(ctx, str(private["id"])):
            raise Rejected("too many tries of one code", TIRED)
        if not hmac.compare_digest(given, str(private["code"])):
            raise Rejected("wrong code")
        if not ctx.once(f"sms:{private['id']}:used", 2 * self._settings.lifetime):
            raise Rejected("the code was used before")

    def _counted(self, ctx: Context, challenge: str) -> bool:
        """Take one of the tries that a code has, before it is looked at."""
        life = 2 * self._settings.lifetime
        return any(
            ctx.once(f"sms:{challenge}:{number}", life) for number in range(self._settings.tries)
        )


def parsed(text: str) -> str:
    """E.164 of what was typed with a country code. Raises Rejected."""
    import phonenumbers  # 8 MB of tables, for who needs them

    if len(text) > LONGEST_NUMBER:
        raise Rejected("not a number", BAD_NUMBER)
    try:
        found = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise Rejected("not a number", BAD_NUMBER) from None
    if found.extension or not phonenumbers.is_valid_number(found):
        raise Rejected("not a number that exists", BAD_NUMBER)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def masked(number: str) -> str:
    """What its owner recognises, and nobody else can call."""
    return f"{'•' * 4} {number[-2:]}"
