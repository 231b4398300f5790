"""Who hears of a change, by which address, and what a notice can never do."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from idp import events
from idp.model import Message, User
from idp.sinks.notices import Notices

AT = datetime(2026, 3, 1, 23, 5, tzinfo=timezone(timedelta(hours=-5)))
ANA = User("u1", "ana", AT, AT, email="ana@example.com", email_verified=True)
SET: dict[str, Any] = {"at": AT, "user_id": ANA.id}
HELD: dict[str, Any] = {"factor": "totp", "authenticator_id": "a1", "actor": ANA.id}
TOLD = [
    (events.AuthenticatorAdded(**SET, **HELD), "was added to your account ana: Authenticator app."),
    (events.AuthenticatorRemoved(**SET, **HELD), "was removed from your account ana: "),
    (events.RecoveryCodeUsed(**SET, left=9), "code of your account ana was used. 9 are left."),
    (events.PasswordChanged(**SET, by=ANA.id), "The password of your account ana was changed."),
    (events.PasswordChanged(**SET, by="reset link"), "The password of your account ana was"),
    (events.AddressVerified(**SET, kind="phone"), "The phone number of your account ana was"),
    (events.UserChanged(**SET, change="password", actor="operator"), "The password of your"),
    (events.UserChanged(**SET, change="mfa disabled", actor="operator"), "no second factor now"),
]
QUIET = [
    events.UserChanged(**SET, change="renamed", actor="operator"),
    events.PasswordChanged(**SET, by="invitation"),  # there was none before
    events.AddressVerified(**SET, kind="mail"),  # told to the address before, by who changed it
    events.TicketIssued(**SET, purpose="reset"),
    events.MessageFailed(**SET, kind="mail", about="notice", cause="x"),  # or it would go round
    events.MessageSent(**SET, kind="mail", about="notice", region=""),
]


class Users:
    def __init__(self, user: User | None) -> None:
        self.user = user

    def get(self, user_id: str) -> User | None:
        return self.user if self.user is not None and user_id == self.user.id else None


def told(
    event: events.Event, user: User | None = ANA, *, delivers: bool = True
) -> list[tuple[Message, User]]:
    sent: list[tuple[Message, User]] = []
    users: Any = Users(user)
    labels = {"totp": "Authenticator app"}
    notices = Notices(
        users,
        lambda message, to: sent.append((message, to)),
        lambda: delivers,
        labels,
        "https://idp.example/account",
    )
    notices(event)
    return sent


def rendered(message: Message) -> str:
    return f"{message.text % {**message.values, **message.words}}\n\n{message.tail}"


@pytest.mark.parametrize(("event", "says"), TOLD, ids=lambda value: type(value).__name__)
def test_a_change_is_told(event: events.Event, says: str) -> None:
    ((message, user),) = told(event)
    assert (message.kind, message.to, message.about, user) == ("mail", ANA.email, "notice", ANA)
    text = rendered(message)
    assert says in text
    assert "When: 2026-03-02 04:05 UTC" in text
    assert "If this was not you, change your password now" in text
    assert text.endswith("https://idp.example/account")


@pytest.mark.parametrize("event", QUIET, ids=lambda event: type(event).__name__)
def test_what_is_no_news(event: events.Event) -> None:
    assert told(event) == []


@pytest.mark.parametrize(
    "user",
    [
        None,
        replace(ANA, email_verified=False),
        replace(ANA, email=None),
        replace(ANA, email="", email_verified=True),
    ],
)
def test_only_a_verified_address_is_written_to(user: User | None) -> None:
    assert told(TOLD[0][0], user) == []


def test_where_no_mail_can_go_out_nobody_is_looked_up() -> None:
    class Nobody:
        def get(self, user_id: str) -> User | None:
            raise AssertionError(user_id)

    users: Any = Nobody()
    notices = Notices(users, lambda message, to: None, lambda: False, {}, "")
    notices(TOLD[0][0])


@pytest.mark.parametrize("broken", ["store", "gateway"])
def test_a_notice_that_fails_stops_nothing_and_says_nothing_of_the_person(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        def get(self, user_id: str) -> User | None:
            raise OSError(user_id)

    def fail(message: Message, to: User) -> None:
        raise OSError(message.to)

    users: Any = Away() if broken == "store" else Users(ANA)
    Notices(users, fail, lambda: True, {}, "")(TOLD[0][0])
    assert "a notice could not be sent" in caplog.text
    assert "ana" not in caplog.text


def test_an_unknown_method_has_its_own_name() -> None:
    ((message, _),) = told(events.AuthenticatorAdded(**{**SET, **HELD, "factor": "pin"}))
    assert "account ana: pin." in rendered(message)
