"""Mail against a real SMTP server, over TLS with an authority of the tests."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTPException
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from idp.errors import ConfigError
from idp.messaging.smtp import Smtp, Unsendable, permanent, said
from idp.model import Mail
from idp.reaching import MailSettings
from tests.certificates import authority
from tests.serving import free_port

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAIL = Mail("f" * 32, "ana@example.com", "Ein neues Paßwort", "Käthe,\n\nhier: https://x/\n", NOW)
SENDER = "Der Dienst <login@idp.example>"


@dataclass
class Mailbox:
    """Takes what comes; answers one command as the test says."""

    answers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, list[str], EmailMessage, bytes]] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        assert encrypted or "plain" in self.answers
        read = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        self.got.append((envelope.mail_from, envelope.rcpt_tos, read, envelope.content))
        return "250 taken"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return self.answers.get("QUIT", "221 Bye")

    def log_in(self, *given: Any) -> AuthResult:
        data = given[-1]
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"sesame", handled=False)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A bundle of authorities, and the TLS of a server called localhost that they vouch for."""
    folder = tmp_path_factory.mktemp("tls")
    ca = authority("Mail CA")
    name = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    own = ca.issue("localhost", usages=(ExtendedKeyUsageOID.SERVER_AUTH,), alternative=name)
    (folder / "ca.pem").write_bytes(ca.pem)
    (folder / "own.pem").write_bytes(own.pem + own.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "own.pem")
    return folder / "ca.pem", tls


Serve = Callable[..., tuple[Mailbox, MailSettings]]


@pytest.fixture
def serve(trusted: tuple[Path, ssl.SSLContext]) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(security: str = "starttls", **answers: str) -> tuple[Mailbox, MailSettings]:
            mailbox, port = Mailbox(dict(answers)), free_port()
            more: dict[str, Any] = {"authenticator": mailbox.log_in, "enable_SMTPUTF8": True}
            if security == "starttls":
                more |= {"tls_context": trusted[1], "require_starttls": True}
            elif security == "tls":
                more |= {"ssl_context": trusted[1], "auth_require_tls": False}
            else:
                mailbox.answers["plain"] = ""
            controller = Controller(mailbox, hostname="localhost", port=port, **more)
            controller.start()
            stack.callback(controller.stop)
            settings = MailSettings(host="localhost", port=port, sender=SENDER, security=security)
            return mailbox, settings

        yield start


def smtp(
    settings: MailSettings, trusted: tuple[Path, ssl.SSLContext] | None = None, password: str = ""
) -> Smtp:
    return Smtp(settings, password, None if trusted is None else trusted[0])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_over_tls(serve: Serve, trusted: Any, security: str) -> None:
    mailbox, settings = serve(security)
    smtp(settings, trusted).deliver(MAIL, NOW + timedelta(minutes=1))
    ((sender, recipients, read, raw),) = mailbox.got
    assert (sender, recipients) == ("login@idp.example", ["ana@example.com"])
    assert read["From"] == "Der Dienst <login@idp.example>"
    assert read["To"] == "ana@example.com"
    assert read["Subject"] == MAIL.subject
    assert read["Date"].datetime == NOW + timedelta(minutes=1)
    assert read["Message-ID"] == f"<{MAIL.id}@idp.example>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read.get_content_type() == "text/plain"
    assert read.get_content().replace("\r\n", "\n") == MAIL.text
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_it_logs_in(serve: Serve, trusted: Any) -> None:
    mailbox, settings = serve()
    settings = settings.model_copy(update={"username": "idp"})
    smtp(settings, trusted, "sesame").deliver(MAIL, NOW)
    assert (mailbox.logins, len(mailbox.got)) == ([b"sesame"], 1)
    with pytest.raises(SMTPException) as refused:
        smtp(settings, trusted, "wrong").deliver(MAIL, NOW)
    assert not permanent(refused.value)  # the operator's to mend, and the mail waits
    assert "wrong" not in repr(smtp(settings, trusted, "wrong"))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(serve: Serve, security: str) -> None:
    mailbox, settings = serve(security)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        smtp(settings).deliver(MAIL, NOW)
    assert mailbox.got == []
    assert not permanent(refused.value)


def test_nothing_is_sent_to_a_server_of_another_name(serve: Serve, trusted: Any) -> None:
    mailbox, settings = serve()
    with pytest.raises(ssl.SSLCertVerificationError):
        smtp(settings.model_copy(update={"host": "127.0.0.1"}), trusted).deliver(MAIL, NOW)
    assert mailbox.got == []


def test_nothing_is_sent_where_somebody_took_tls_away(serve: Serve, trusted: Any) -> None:
    mailbox, settings = serve("none")
    with pytest.raises(SMTPException) as refused:
        smtp(settings.model_copy(update={"security": "starttls"}), trusted).deliver(MAIL, NOW)
    assert mailbox.got == []
    assert not permanent(refused.value)


def test_a_relay_on_this_machine_needs_no_tls(serve: Serve) -> None:
    mailbox, settings = serve("none")
    smtp(settings).deliver(MAIL, NOW)
    assert len(mailbox.got) == 1


@pytest.mark.parametrize("farewell", ["250 really", "421 too busy", "500 what"])
def test_what_is_taken_is_taken_however_the_server_says_goodbye(
    serve: Serve, trusted: Any, farewell: str
) -> None:
    mailbox, settings = serve(QUIT=farewell)
    smtp(settings, trusted).deliver(MAIL, NOW)  # does not raise: it would be sent twice
    assert len(mailbox.got) == 1


@pytest.mark.parametrize(
    ("command", "answer", "for_ever"),
    [
        ("RCPT", "550 no such user ana@example.com", True),
        ("RCPT", "450 try again", False),
        ("RCPT", "552 mailbox full", False),
        ("MAIL", "550 you may not send", False),
        ("MAIL", "452 out of space", False),
        ("DATA", "554 spam", True),
        ("DATA", "451 later", False),
        ("DATA", "552 too full", False),
    ],
)
def test_which_refusals_are_for_ever(
    serve: Serve, trusted: Any, command: str, answer: str, for_ever: bool
) -> None:
    mailbox, settings = serve(**{command: answer})
    with pytest.raises(SMTPException) as refused:
        smtp(settings, trusted).deliver(MAIL, NOW)
    assert permanent(refused.value) is for_ever
    assert said(refused.value).endswith(f" {answer[:3]}")
    assert "ana" not in said(refused.value)
    assert mailbox.got == []


def test_a_dead_server_is_no_refusal() -> None:
    settings = MailSettings(host="localhost", port=free_port(), sender=SENDER)
    with pytest.raises(OSError, match="refused") as refused:
        smtp(settings).deliver(MAIL, NOW)
    assert not permanent(refused.value)


@pytest.mark.parametrize(
    "odd",
    [
        replace(MAIL, subject="Hello\r\nBcc: eve@example.com"),
        replace(MAIL, subject="Hello\nBcc: eve@example.com"),
        replace(MAIL, to="ana@example.com\r\nBcc: eve@example.com"),
        replace(MAIL, to="ana@example.com\r\nRCPT TO:<eve@example.com>"),
    ],
)
def test_no_text_adds_a_header_or_a_recipient(serve: Serve, trusted: Any, odd: Mail) -> None:
    mailbox, settings = serve()
    with pytest.raises(Unsendable) as refused:
        smtp(settings, trusted).deliver(odd, NOW)
    assert permanent(refused.value)
    assert mailbox.got == []


def test_what_a_text_says_stays_in_the_body(serve: Serve, trusted: Any) -> None:
    mailbox, settings = serve()
    text = "\r\n.\r\nMAIL FROM:<eve@example.com>\r\n.\nBcc: eve@example.com\n\n..\n"
    smtp(settings, trusted).deliver(replace(MAIL, text=text), NOW)
    ((_, recipients, read, _raw),) = mailbox.got
    assert recipients == ["ana@example.com"]
    assert read["Bcc"] is None
    assert read.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_a_local_part_beyond_ascii(serve: Serve, trusted: Any) -> None:
    mailbox, settings = serve()
    smtp(settings, trusted).deliver(replace(MAIL, to="käthe@xn--bcher-kva.example"), NOW)
    assert mailbox.got[0][1] == ["käthe@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("wrong", "password", "says"),
    [
        ({"sender": ""}, "", "mail.sender"),
        ({"sender": "nobody"}, "", "mail.sender"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "", "mail.sender"),
        ({"username": "idp"}, "", "mail_password"),
        ({"username": "idp", "security": "none"}, "sesame", "TLS"),
    ],
)
def test_settings_that_cannot_work(wrong: dict[str, Any], password: str, says: str) -> None:
    settings = MailSettings(**{"host": "localhost", "sender": SENDER, **wrong})
    with pytest.raises(ConfigError, match=says):
        Smtp(settings, password, None)
