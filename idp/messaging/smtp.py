"""One mail to an SMTP server (RFC 5321), over TLS that is verified (RFC 8314).

Plain text; `Auto-Submitted` keeps it from being answered by programs (RFC 3834). What is put into a
header cannot add another one: the email package refuses line breaks.
"""

import smtplib
import ssl
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path

from idp.errors import ConfigError
from idp.model import Mail
from idp.reaching import MailSettings
from idp.settings import Settings

FULL = 552  # of a mailbox; and of too many recipients, which is no lasting refusal (RFC 5321)


class Unsendable(Exception):
    """No mail can be made of it."""


class Smtp:
    def __init__(self, settings: MailSettings, password: str, ca_bundle: Path | None) -> None:
        """`ca_bundle` is trusted besides the system's. Raises ConfigError for what cannot work."""
        self._from = _sender(settings, password)
        self._settings = settings
        self._password = password
        self._tls = ssl.create_default_context()
        if ca_bundle is not None:
            self._tls.load_verify_locations(ca_bundle)

    @classmethod
    def of(cls, settings: Settings) -> "Smtp":
        """The server of the configuration. Raises ConfigError."""
        return cls(settings.mail, _password(settings), settings.outbound.ca_bundle)

    def __repr__(self) -> str:
        return f"Smtp({self._settings.host!r})"

    def deliver(self, mail: Mail, now: datetime) -> None:
        """Raises Unsendable; SMTPException or OSError when the server did not take it."""
        try:
            message = self._composed(mail, now)
        except ValueError as problem:
            raise Unsendable(type(problem).__name__) from None
        server = self._connected()
        try:
            server.send_message(message, self._from.addr_spec, [mail.to])
        finally:  # what it says to the farewell changes nothing: the mail is taken, or it is not
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _connected(self) -> smtplib.SMTP:
        s = self._settings
        timeout = s.timeout.total_seconds()
        if s.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                s.host, s.port, timeout=timeout, context=self._tls
            )
        else:
            server = smtplib.SMTP(s.host, s.port, timeout=timeout)
        try:
            if s.security == "starttls":
                server.starttls(context=self._tls)
            if s.username:
                server.login(s.username, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _composed(self, mail: Mail, now: datetime) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._from
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{mail.id}@{self._from.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message


def require_usable(settings: Settings) -> None:
    """Raises ConfigError for settings that cannot work."""
    _sender(settings.mail, _password(settings))


def _password(settings: Settings) -> str:
    secret = settings.mail_password
    return "" if secret is None else secret.get_secret_value()


def _sender(settings: MailSettings, password: str) -> Address:
    name, address = parseaddr(settings.sender)
    local, at, domain = address.rpartition("@")
    if not (at and local and domain and address.isascii() and settings.sender.isprintable()):
        raise ConfigError("mail.sender: an address such as `Example <login@example.com>`")
    if settings.username and not password:
        raise ConfigError("mail.username is set: set the secret mail_password too")
    if settings.username and settings.security == "none":
        raise ConfigError("mail.security is none: a password is sent over TLS alone")
    return Address(name, local, domain)


def said(problem: Exception) -> str:
    """What happened, for the operator: the code of the answer, not its words, which may name the
    recipient."""
    codes = [problem.smtp_code] if isinstance(problem, smtplib.SMTPResponseException) else []
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in problem.recipients.values()]
    return " ".join([type(problem).__name__, *map(str, codes)])


def permanent(problem: Exception) -> bool:
    """Whether another try is of no use: the server refused this recipient or this content, and not
    us, nor the sender, nor everything just now."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        return all(_lasting(code) for code, _ in problem.recipients.values())
    if isinstance(problem, smtplib.SMTPDataError):
        return _lasting(problem.smtp_code)
    return isinstance(problem, Unsendable)


def _lasting(code: int) -> bool:
    return 500 <= code < 600 and code != FULL
