from collections.abc import Iterator
from pathlib import Path

import pytest

from idp import settings
from idp.core import create_core
from idp.model import Message
from tests.mail_server import Mailbox, mail_server, trust
from tests.serving import free_port
from tests.unit.cli.conftest import Run


@pytest.fixture
def mailbox(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    trusted = trust(tmp_path)
    with mail_server(trusted.tls) as found:
        monkeypatch.setenv("IDP_MAIL__HOST", "localhost")
        monkeypatch.setenv("IDP_MAIL__PORT", str(found.port))
        monkeypatch.setenv("IDP_MAIL__SENDER", "login@idp.example")
        monkeypatch.setenv("IDP_OUTBOUND__CA_BUNDLE", str(trusted.bundle))
        yield found


def test_a_mail_goes_out_now(run: Run, mailbox: Mailbox) -> None:
    done = run("mail", "test", "ana@Example.com")
    assert (done.code, done.out) == (0, "localhost took a mail to ana@example.com\n")
    assert mailbox.got[0].recipients == ["ana@example.com"]
    assert run("mail", "test", "ana@example.com", "--json").json == {"sent": True}


def test_what_the_server_answered_is_said(run: Run, mailbox: Mailbox) -> None:
    mailbox.answers["RCPT"] = "550 no \x1b[31msuch user"
    done = run("mail", "test", "ana@example.com")
    assert done.code == 1
    assert "550" in done.err
    assert "such user" in done.err
    assert "\x1b" not in done.err
    done = run("mail", "test", "ana@example.com", "--json")
    assert (done.code, done.json["sent"]) == (1, False)
    assert done.json["error"] == "SMTPRecipientsRefused 550"


def test_a_server_that_is_away(run: Run, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_MAIL__PORT", str(free_port()))
    done = run("mail", "test", "ana@example.com")
    assert done.code == 1
    assert "not sent: ConnectionRefusedError" in done.err


def test_without_a_server(run: Run) -> None:
    assert run("mail", "test", "ana@example.com").code == 3
    assert run("mail", "status", "--json").json == {"server": None, "waiting": 0}
    assert "set mail.host" in run("mail", "status").err


def test_what_is_no_address(run: Run, mailbox: Mailbox) -> None:
    assert run("mail", "test", "ana@example.com\r\nBcc: eve@example.com").code == 1
    assert mailbox.got == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("IDP_MAIL__SENDER", "nobody"), ("IDP_MAIL__USERNAME", "idp")],
)
def test_settings_that_cannot_work_are_said_at_the_start(
    run: Run, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = run("user", "list")
    assert done.code == 3
    assert "mail" in done.err


def test_what_waits_is_counted(run: Run, mailbox: Mailbox) -> None:
    run("db", "upgrade")
    core = create_core(settings.read(None))
    core.courier.send(Message("mail", "ana@example.com", "Hello", "Hello"), None)
    core.close()
    assert run("mail", "status", "--json").json == {"server": "localhost", "waiting": 1}
    assert mailbox.got == []


def test_somebody_is_invited(run: Run, mailbox: Mailbox) -> None:
    done = run("user", "invite", "ina", "--email", "ina@example.com")
    assert (done.code, run("mail", "status", "--json").json["waiting"]) == (0, 1)
    again = run("user", "invite", "ina")
    assert (again.code, run("mail", "status", "--json").json["waiting"]) == (0, 2)
    assert run("user", "show", "ina", "--json").json["authenticators"] == []


def test_nobody_is_invited_twice_or_without_mail(run: Run, ana: str) -> None:
    done = run("user", "invite", "ina", "--email", "ina@example.com")
    assert done.code == 1
    assert "could not be sent" in done.err
    assert run("user", "show", "ina").code == 1  # nothing half-made
    done = run("user", "invite", "ana")
    assert (done.code, "in use" in done.err) == (1, True)


def test_an_address_that_is_known_to_be_theirs(run: Run) -> None:
    added = run("user", "add", "ben", "--email", "ben@example.com", "--email-verified", "--json")
    assert added.code == 0
    assert run("user", "show", "ben@example.com", "--json").json["sub"] == added.json["sub"]
    assert run("user", "add", "cyd", "--email-verified").code == 2
