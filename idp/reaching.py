"""Settings of how people are reached, come in, and come back: mail, text messages, recovery."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from idp.section import Duration, Section

NumberType = Literal[
    "fixed_line",
    "mobile",
    "fixed_line_or_mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
]


class MailSettings(Section):
    """Mail, for verifying addresses, recovery and notices; never a factor."""

    host: str = ""
    """SMTP server. Empty: no mail can be sent, and what needs it says so."""
    port: int = Field(default=587, ge=1, le=65535)
    """Port of the SMTP server."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is for a relay on this very machine."""
    username: str = ""
    """Account at the server; its password is `mail_password`."""
    sender: str = ""
    """From address, such as `Example <login@example.com>`."""
    timeout: Duration = timedelta(seconds=10)
    """For one delivery."""
    keep_trying: Duration = timedelta(days=1)
    """A mail that cannot be delivered for this long is given up, with an event."""


class SmsSettings(Section):
    """Text messages with codes: a restricted factor, and one that costs money at each use."""

    gateway: Literal["", "webhook", "twilio"] = ""
    """Who sends them. Empty: nobody, and the factor `sms` is not available."""
    webhook_url: str = ""
    """Where a message is posted as JSON (`id`, `to`, `text`, `sender`), with `sms_token` as bearer
    token. A private address has to be in `outbound.allow`."""
    twilio_account: str = ""
    """Account SID; its auth token is `sms_token`."""
    sender: str = ""
    """Number or name that the message comes from, where the gateway wants one."""
    timeout: Duration = timedelta(seconds=5)
    """For one delivery."""
    regions: tuple[str, ...] = ()
    """Regions that may be sent to (ISO 3166, such as `DE`). Empty: none, outside development."""
    refused_types: tuple[NumberType, ...] = (
        "premium_rate",
        "shared_cost",
        "personal_number",
        "uan",
        "pager",
        "voicemail",
    )
    """Kinds of numbers that get no message; `voip`, `toll_free` and `fixed_line` are others."""
    spacing: tuple[Duration, ...] = (
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=5),
    )
    """Wait after the first, second, third and every later message of a day."""
    per_number: int = Field(default=5, ge=1)
    """Messages to one number in 24 hours."""
    numbers_per_user: int = Field(default=3, ge=1)
    """Different numbers of one user in 24 hours."""
    per_address: int = Field(default=20, ge=1)
    """Messages that one address (IPv6: one /64) may cause in an hour."""
    per_prefix: int = Field(default=30, ge=1)
    """Messages in an hour to numbers that differ in their last three digits alone."""
    per_day: int = Field(default=1000, ge=1)
    """Messages in 24 hours, to all: the budget. Beyond it nothing is sent."""
    alarm_ratio: float = Field(default=2.0, gt=1)
    """Sent for each verified code of a region in one day (UTC): beyond it an alarm is raised."""
    stop_ratio: float = Field(default=5.0, gt=1)
    """Beyond it nothing is sent to the region until codes come back or the day is over."""
    judge_after: int = Field(default=20, ge=1)
    """Messages of a day to a region before its ratio is judged: more than are on their way at any
    one time, or a busy minute looks like fraud."""


class RecoverySettings(Section):
    """What a person can do who lost a password or a factor."""

    password_by_mail: bool = True
    """A link to a verified address sets a new password. It restores that one factor: whatever
    else a sign-in demands is asked as before, and nobody is signed in by it."""
    link_ttl: Duration = timedelta(minutes=30)
    """How long such a link works."""
    helped_code_ttl: Duration = timedelta(days=1)
    """How long a recovery code works that an administrator hands to a person who lost a factor."""


class Registration(Section):
    """How people come in, besides by an administrator."""

    open: bool = False
    """Anybody may register, with an address that is verified first."""
    link_ttl: Duration = timedelta(days=1)
    """How long the link to verify an address works."""
    invitation_ttl: Duration = timedelta(days=7)
    """How long an invitation works."""
