"""The queue is emptied whatever a mail server does, and nothing is lost on the way."""

import smtplib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from idp import events
from idp.messaging.delivery import AT_ONCE, LEASE, Delivery
from idp.messaging.mail_queue import MailQueue
from idp.model import Mail, Message
from idp.storage import schema
from idp.storage.database import Database
from idp.storage.mails import SqlMails
from idp.storage.seal import Keyring, Sealer
from tests.house import TestClock

MESSAGE = Message("mail", "ana@example.com", "Hello ana", "Hello")
SECOND = timedelta(seconds=1)
AWAY = ConnectionRefusedError()
GONE = smtplib.SMTPRecipientsRefused({"ana@example.com": (550, b"no ana@example.com here")})


@dataclass
class Post:
    """A mail server that answers as the test says."""

    delivery: Delivery
    queue: MailQueue
    clock: TestClock
    mails: SqlMails
    problem: BaseException | None = None
    got: list[Mail] = field(default_factory=list)
    said: list[events.Event] = field(default_factory=list)

    def tries(self, over: timedelta) -> list[timedelta]:
        """When it was tried, from now on, a second at a time being enough."""
        start, found = self.clock(), []
        while self.clock() - start <= over:
            before = len(self.got)
            self.delivery.round()
            if len(self.got) > before:
                found.append(self.clock() - start)
            self.clock.advance(SECOND)
        return found


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    database, clock = Database(f"sqlite:///{tmp_path}/idp.db"), TestClock()
    schema.upgrade(database)
    mails = SqlMails(database, Sealer(Keyring.parse(Keyring.generate("k1"))))

    def deliver(mail: Mail, now: datetime) -> None:
        assert now == clock()
        found.got.append(mail)
        if found.problem is not None:
            raise found.problem

    bus = events.Bus((lambda event: found.said.append(event),))
    delivery = Delivery(mails, deliver, timedelta(days=1), bus, clock)
    found = Post(delivery, MailQueue(mails, clock), clock, mails)
    yield found
    database.dispose()


def test_what_is_queued_goes_out_once(post: Post) -> None:
    post.queue.send(MESSAGE)
    assert post.delivery.round() == 1
    assert post.delivery.round() == 0
    ((mail),) = post.got
    assert (mail.to, mail.subject, mail.text) == (MESSAGE.to, MESSAGE.subject, MESSAGE.text)
    assert post.mails.waiting() == 0


def test_a_round_ends(post: Post) -> None:
    for _ in range(AT_ONCE + 1):
        post.queue.send(MESSAGE)
    assert post.delivery.round() == AT_ONCE
    assert post.delivery.round() == 1


def test_a_server_that_is_away_is_tried_less_and_less(post: Post) -> None:
    post.problem = AWAY
    post.queue.send(MESSAGE)
    found = post.tries(timedelta(hours=3))
    waits = [int((b - a).total_seconds()) for a, b in pairwise(found)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert post.said == []


def test_when_it_is_back_nothing_is_lost(post: Post) -> None:
    post.problem = AWAY
    for _ in range(3):
        post.queue.send(MESSAGE)
    post.tries(timedelta(hours=2))
    post.problem, post.got[:] = None, []
    post.clock.advance(timedelta(hours=1))
    assert post.delivery.round() == 3
    assert len({mail.id for mail in post.got}) == 3
    assert post.mails.waiting() == 0


def test_after_a_day_it_is_given_up_and_the_operator_hears_why(post: Post) -> None:
    post.problem = AWAY
    post.queue.send(MESSAGE)
    post.delivery.round()
    post.clock.advance(timedelta(days=1) - SECOND)
    post.delivery.round()
    assert (post.mails.waiting(), post.said) == (1, [])
    post.clock.advance(timedelta(hours=1))
    post.delivery.round()
    assert post.mails.waiting() == 0
    (failed,) = post.said
    assert isinstance(failed, events.MessageFailed)
    assert (failed.kind, failed.about) == ("mail", "delivery")
    assert failed.cause == "ConnectionRefusedError"


def test_a_lasting_refusal_is_not_repeated(post: Post) -> None:
    post.problem = GONE
    post.queue.send(MESSAGE)
    post.delivery.round()
    assert post.mails.waiting() == 0
    (failed,) = post.said
    assert isinstance(failed, events.MessageFailed)
    assert failed.cause == "SMTPRecipientsRefused 550"
    assert "ana" not in repr(failed)


def test_one_that_is_refused_holds_nobody_up(post: Post) -> None:
    for _ in range(3):
        post.queue.send(MESSAGE)
    genuine, first = post.delivery.deliver, post.mails.claim(post.clock(), LEASE, 1)[0]

    def deliver(mail: Mail, now: datetime) -> None:
        post.problem = AWAY if mail.id == first.id else None
        genuine(mail, now)

    post.clock.advance(LEASE)
    delivery = Delivery(post.mails, deliver, timedelta(days=1), events.Bus(()), post.clock)
    assert delivery.round() == 2
    assert post.mails.waiting() == 1


def test_who_is_killed_while_delivering_loses_nothing(post: Post) -> None:
    """At least once: whoever comes after the lease sends it, perhaps again."""
    post.problem = KeyboardInterrupt()  # nothing after it runs, as after SIGKILL
    post.queue.send(MESSAGE)
    with pytest.raises(KeyboardInterrupt):
        post.delivery.round()
    post.problem = None
    post.clock.advance(LEASE - SECOND)
    assert post.delivery.round() == 0
    post.clock.advance(SECOND)
    assert post.delivery.round() == 1
    assert [mail.id for mail in post.got] == [post.got[0].id] * 2


def test_what_is_logged_names_nobody(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.problem = smtplib.SMTPRecipientsRefused({MESSAGE.to: (450, b"ana@example.com is away")})
    post.queue.send(MESSAGE)
    post.delivery.round()
    assert "SMTPRecipientsRefused 450" in caplog.text
    assert "ana" not in caplog.text
