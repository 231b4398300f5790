"""Mail against a real SMTP server, over TLS with an authority of the tests."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from smtplib import SMTPException
from typing import Any, Literal

import pytest

from idp.errors import ConfigError
from idp.messaging.smtp import Smtp, Unsendable, permanent, said
from idp.model import Mail
from idp.reaching import MailSettings
from tests.mail_server import Mailbox, Trust, mail_server, trust
from tests.serving import free_port

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAIL = Mail("f" * 32, "ana@example.com", "Ein neues Paßwort", "Käthe,\n\nhier: https://x/\n", NOW)
SENDER = "Der Dienst <login@idp.example>"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return trust(tmp_path_factory.mktemp("tls"))


Serve = Callable[..., tuple[Mailbox, MailSettings]]


@pytest.fixture
def serve(trusted: Trust) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(
            security: Literal["starttls", "tls", "none"] = "starttls", **answers: str
        ) -> tuple[Mailbox, MailSettings]:
            mailbox = stack.enter_context(mail_server(trusted.tls, security, **answers))
            return mailbox, MailSettings(
                host="localhost", port=mailbox.port, sender=SENDER, security=security
            )

        yield start


def smtp(settings: MailSettings, trusted: Trust | None = None, password: str = "") -> Smtp:
    return Smtp(settings, password, None if trusted is None else trusted.bundle)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_over_tls(serve: Serve, trusted: Trust, security: str) -> None:
    mailbox, settings = serve(security)
    smtp(settings, trusted).deliver(MAIL, NOW + timedelta(minutes=1))
    (got,) = mailbox.got
    read = got.read
    assert (got.sender, got.recipients) == ("login@idp.example", ["ana@example.com"])
    assert read["From"] == "Der Dienst <login@idp.example>"
    assert read["To"] == "ana@example.com"
    assert read["Subject"] == MAIL.subject
    assert read["Date"].datetime == NOW + timedelta(minutes=1)
    assert read["Message-ID"] == f"<{MAIL.id}@idp.example>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read.get_content_type() == "text/plain"
    assert got.text == MAIL.text
    assert max(map(len, got.raw.split(b"\r\n"))) <= 998


def test_it_logs_in(serve: Serve, trusted: Trust) -> None:
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


def test_nothing_is_sent_to_a_server_of_another_name(serve: Serve, trusted: Trust) -> None:
    mailbox, settings = serve()
    with pytest.raises(ssl.SSLCertVerificationError):
        smtp(settings.model_copy(update={"host": "127.0.0.1"}), trusted).deliver(MAIL, NOW)
    assert mailbox.got == []


def test_nothing_is_sent_where_somebody_took_tls_away(serve: Serve, trusted: Trust) -> None:
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
    serve: Serve, trusted: Trust, farewell: str
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
    serve: Serve, trusted: Trust, command: str, answer: str, for_ever: bool
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
def test_no_text_adds_a_header_or_a_recipient(serve: Serve, trusted: Trust, odd: Mail) -> None:
    mailbox, settings = serve()
    with pytest.raises(Unsendable) as refused:
        smtp(settings, trusted).deliver(odd, NOW)
    assert permanent(refused.value)
    assert mailbox.got == []


def test_what_a_text_says_stays_in_the_body(serve: Serve, trusted: Trust) -> None:
    mailbox, settings = serve()
    text = "\r\n.\r\nMAIL FROM:<eve@example.com>\r\n.\nBcc: eve@example.com\n\n..\n"
    smtp(settings, trusted).deliver(replace(MAIL, text=text), NOW)
    (got,) = mailbox.got
    assert got.recipients == ["ana@example.com"]
    assert got.read["Bcc"] is None
    assert got.text == text.replace("\r\n", "\n")


def test_a_local_part_beyond_ascii(serve: Serve, trusted: Trust) -> None:
    mailbox, settings = serve()
    smtp(settings, trusted).deliver(replace(MAIL, to="käthe@xn--bcher-kva.example"), NOW)
    assert mailbox.got[0].recipients == ["käthe@xn--bcher-kva.example"]


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
