"""One mail to an SMTP server (RFC 5321), over TLS that is verified (RFC 8314).

Plain text; `Auto-Submitted` keeps it from being answered by programs (RFC 3834). What is put into a
header cannot add another one: the email package refuses line breaks.
"""

import smtplib
import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path

from idp.errors import ConfigError
from idp.model import Mail
from idp.settings import MailSettings


class Smtp:
    def __init__(self, settings: MailSettings, password: str, ca_bundle: Path | None) -> None:
        """Raises ConfigError for what cannot work."""
        name, address = parseaddr(settings.sender)
        if "@" not in address:
            raise ConfigError("mail.sender: an address such as `Example <login@example.com>`")
        self._from = (name, address)
        self._settings = settings
        self._password = password
        self._tls = ssl.create_default_context(cafile=ca_bundle)

    def __repr__(self) -> str:
        return f"Smtp({self._settings.host!r})"

    def deliver(self, mail: Mail, now: datetime) -> None:
        """Raises SMTPException, OSError or ValueError when the server did not take it."""
        with self._connected() as server:
            server.send_message(self._composed(mail, now), self._from[1], [mail.to])

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
        name, address = self._from
        local, _, domain = address.rpartition("@")
        message = EmailMessage()
        message["From"] = Address(name, local, domain)
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{mail.id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message


def permanent(problem: Exception) -> bool:
    """Whether another try is of no use: the server refused this recipient or this content."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in problem.recipients.values()]
        return bool(codes) and all(500 <= code < 600 for code in codes)
    if isinstance(problem, smtplib.SMTPAuthenticationError):
        return False  # the operator's to mend
    if isinstance(problem, smtplib.SMTPResponseException):
        return 500 <= problem.smtp_code < 600
    return isinstance(problem, ValueError)
