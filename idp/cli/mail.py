"""`idp mail`: whether mail goes out."""

from pathlib import Path

import click

from idp.cli.output import clean, document, json_option, note, say


@click.group("mail")
def command() -> None:
    """See what waits to be sent; try the mail server.

    \b
    Example:
      idp mail test ana@example.com
      idp mail status
    """


@command.command("status")
@json_option
@click.pass_obj
def status(config_file: Path | None, as_json: bool) -> None:
    """How many mails wait. `idp serve` carries them; why one waits is in its log.

    \b
    Example:
      idp mail status --json
    """
    from idp.cli.db import opened

    with opened(config_file) as core:
        server, waiting = core.settings.mail.host, core.stores.mails.waiting()
    if as_json:
        document({"server": server or None, "waiting": waiting})
        return
    say(f"server   {clean(server) or 'none'}")
    say(f"waiting  {waiting}")
    if not server:
        note("no mail can be sent: set mail.host and mail.sender")


@command.command("test")
@click.argument("address")
@json_option
@click.pass_obj
def test_command(config_file: Path | None, address: str, as_json: bool) -> None:
    """Send one mail now, past the queue, and say what the server answered.

    \b
    Example:
      idp mail test ana@example.com
    """
    from smtplib import SMTPException
    from uuid import uuid4

    from idp import settings
    from idp.core import system_clock
    from idp.errors import ConfigError
    from idp.messaging.smtp import Smtp, Unsendable, said
    from idp.model import Mail
    from idp.operate import names

    read, now = settings.read(config_file), system_clock()
    if not read.mail.host:
        raise ConfigError("mail.host is empty: no mail can be sent")
    text = f"This is a test by the operator of {read.issuer}.\n"
    mail = Mail(uuid4().hex, names.address(address), "A test", text, now)
    try:
        Smtp.of(read).deliver(mail, now)
    except (SMTPException, OSError, Unsendable) as problem:
        if as_json:
            document({"sent": False, "error": said(problem), "answer": str(problem)})
        else:
            note(f"not sent: {said(problem)}: {clean(problem)}")
        raise click.exceptions.Exit(1) from None
    if as_json:
        document({"sent": True})
    else:
        say(f"{clean(read.mail.host)} took a mail to {clean(mail.to)}")
