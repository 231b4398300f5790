"""The courier: limits before the gateway, an event for each end, nothing secret in any of them."""

import pytest

from idp import events
from idp.errors import NotSent, OutsideError
from idp.flow.courier import Courier
from idp.model import Message, User
from tests.house import START, TestClock

USER = User("u1", "cho", START, START, locale="de")
CODE = "123456"
TO = "+4915123456789"
TEXT = Message("sms", TO, "%(code)s!", values={"code": CODE}, tail=f"@example.com #{CODE}")


class Gateway:
    """Keeps what it gets; raises what the test says, after it took the message."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.problem: Exception | None = None

    def send(self, message: Message) -> None:
        self.got.append(message)
        if self.problem is not None:
            raise self.problem


class Limits:
    """Counts; the real ones are tested in test_limits.py."""

    def __init__(self) -> None:
        self.admitted: list[tuple[str, str]] = []
        self.back: list[str] = []
        self.refusal: NotSent | None = None

    def admit(self, message: Message, user: User | None, address: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.admitted.append((message.to, address))
        return "DE"

    def verified(self, receipt: str) -> None:
        self.back.append(receipt)


class Desk:
    def __init__(self) -> None:
        self.gateway, self.mail, self.limits = Gateway(), Gateway(), Limits()
        self.seen: list[events.Event] = []
        self.courier = Courier(
            {"sms": self.gateway, "mail": self.mail},
            {"sms": self.limits},
            lambda locale, text: f"[{locale}] {text}",
            events.Bus((self.seen.append,)),
            TestClock(),
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_text_goes_out_in_the_language_of_the_person(desk: Desk) -> None:
    receipt = desk.courier.send(TEXT, USER, "192.0.2.1")
    (sent,) = desk.gateway.got
    assert sent.text == f"[de] {CODE}!\n\n@example.com #{CODE}"
    assert desk.limits.admitted == [(TO, "192.0.2.1")]
    (event,) = desk.seen
    assert isinstance(event, events.MessageSent)
    assert (event.region, event.user_id) == ("DE", "u1")
    desk.courier.verified(receipt)
    assert desk.limits.back == ["DE"]


def test_what_the_limits_refuse_never_reaches_the_gateway(desk: Desk) -> None:
    desk.limits.refusal = NotSent("no", "no")
    with pytest.raises(NotSent) as refusal:
        desk.courier.send(TEXT, USER)
    assert refusal.value.receipt == ""
    assert desk.gateway.got == []


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        (TimeoutError(f"{TO} {CODE}"), "TimeoutError in send"),
        (RuntimeError(f"{TO} {CODE}"), "RuntimeError in send"),
        (OutsideError("status 503"), "OutsideError: status 503"),
    ],
)
def test_a_gateway_that_fails_is_an_event_with_its_cause_and_without_the_code(
    desk: Desk, problem: Exception, cause: str
) -> None:
    desk.gateway.problem = problem
    with pytest.raises(NotSent) as refusal:
        desk.courier.send(TEXT, USER)
    assert len(desk.gateway.got) == 1  # never tried again by itself: it may have gone out
    (event,) = desk.seen
    assert isinstance(event, events.MessageFailed)
    assert event.cause.startswith(cause)
    said = f"{event} {refusal.value} {refusal.value.public} {refusal.value.reason}"
    assert CODE not in said
    assert TO not in said


def test_a_code_that_went_out_after_all_counts_as_one_that_came_back(desk: Desk) -> None:
    desk.gateway.problem = TimeoutError()
    with pytest.raises(NotSent) as refusal:
        desk.courier.send(TEXT, USER)
    desk.courier.verified(refusal.value.receipt)
    assert desk.limits.back == ["DE"]


def test_the_rules_of_text_messages_do_not_touch_mail(desk: Desk) -> None:
    desk.limits.refusal = NotSent("no", "no")
    desk.courier.verified(desk.courier.send(Message("mail", "cho@example.com", "hello"), USER))
    assert len(desk.mail.got) == 1
    assert desk.limits.back == []


def test_a_kind_that_nobody_carries_is_not_delivered(desk: Desk) -> None:
    assert not desk.courier.delivers("pigeon")
    with pytest.raises(NotSent):
        desk.courier.send(Message("pigeon", "loft", "hello"), USER)
    desk.courier.verified("")
