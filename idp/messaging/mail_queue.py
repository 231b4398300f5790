"""Mails wait in the store until somebody delivers them: no page's time depends on a mail server,
and a mail server that is away loses nothing."""

from uuid import uuid4

from idp.model import Mail, Message
from idp.ports import Clock, Mails


class MailQueue:
    """The gateway of mails."""

    def __init__(self, mails: Mails, clock: Clock) -> None:
        self._mails = mails
        self._clock = clock

    def send(self, message: Message) -> None:
        now = self._clock()
        mail = Mail(uuid4().hex, message.to, message.subject, message.text, now)
        self._mails.add(mail, now)
