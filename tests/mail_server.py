"""A real SMTP server in this process (aiosmtpd), with TLS that an authority of the tests vouches
for, and a mailbox to look into."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import authority
from tests.serving import free_port


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: list[str]
    read: EmailMessage
    raw: bytes

    @property
    def text(self) -> str:
        found: str = self.read.get_content()
        return found.replace("\r\n", "\n")


@dataclass
class Mailbox:
    """Takes what comes over TLS, or as `plain` says without; answers a command as the test says."""

    port: int = field(default_factory=free_port)
    plain: bool = False
    password: bytes = b"sesame"
    answers: dict[str, str] = field(default_factory=dict)
    got: list[Received] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        if not self.plain and server.transport.get_extra_info("ssl_object") is None:
            return "530 this was legible on the way"
        read = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        self.got.append(Received(envelope.mail_from, envelope.rcpt_tos, read, envelope.content))
        return "250 taken"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return self.answers.get("QUIT", "221 Bye")

    def log_in(self, *given: Any) -> AuthResult:
        data = given[-1]
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == self.password, handled=False)


@dataclass(frozen=True)
class Trust:
    """A bundle of authorities, and the TLS of a server called localhost that they vouch for."""

    bundle: Path
    tls: ssl.SSLContext


def trust(folder: Path) -> Trust:
    ca = authority("Mail CA")
    name = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    own = ca.issue("localhost", usages=(ExtendedKeyUsageOID.SERVER_AUTH,), alternative=name)
    (folder / "ca.pem").write_bytes(ca.pem)
    (folder / "own.pem").write_bytes(own.pem + own.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "own.pem")
    return Trust(folder / "ca.pem", tls)


@contextmanager
def mail_server(
    tls: ssl.SSLContext, security: str = "starttls", **answers: str
) -> Iterator[Mailbox]:
    """On localhost, until the end of the block."""
    mailbox = Mailbox(plain=security == "none", answers=dict(answers))
    more: dict[str, Any] = {"authenticator": mailbox.log_in, "enable_SMTPUTF8": True}
    if security == "starttls":
        more |= {"tls_context": tls, "require_starttls": True}
    elif security == "tls":
        more |= {"ssl_context": tls, "auth_require_tls": False}
    controller = Controller(mailbox, hostname="localhost", port=mailbox.port, **more)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
