"""Budgets of text messages, spent before anything is sent (OWASP ASVS 5.0 2.4.1, 6.6.1)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idp import events
from idp.errors import ConfigError, NotSent
from idp.flow.limits import SmsLimits, destination
from idp.model import Message, User
from idp.reaching import SmsSettings
from idp.storage import schema
from idp.storage.database import Database
from idp.storage.quotas import SqlQuotas
from tests.house import START, TestClock

USER = User("u1", "cho", START, START)
SETTINGS = SmsSettings(regions=("DE", "US", "GB"), per_prefix=10**6, per_address=10**6)
MINUTE = timedelta(minutes=1)


def number(n: int) -> str:
    return f"+4915123{n:06}"


def text(to: str) -> Message:
    return Message("sms", to, "hello")


class Desk:
    def __init__(self, database: Database, settings: SmsSettings, *, dev: bool = False) -> None:
        self.clock = TestClock()
        self.seen: list[events.Event] = []
        bus = events.Bus((self.seen.append,))
        self.limits = SmsLimits(SqlQuotas(database), settings, bus, self.clock, dev=dev)

    def send(self, to: str, user: User | None = USER, address: str = "192.0.2.1") -> str:
        return self.limits.admit(text(to), user, address)

    def refused(self, to: str, user: User | None = USER, address: str = "192.0.2.1") -> NotSent:
        with pytest.raises(NotSent) as refusal:
            self.send(to, user, address)
        return refusal.value


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/idp.db")
    schema.upgrade(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database, SETTINGS)


def test_the_wait_grows_with_each_message_of_the_day(desk: Desk) -> None:
    for wait in (1, 2, 5, 5):
        desk.send(number(1))
        refusal = desk.refused(number(1))
        assert refusal.retry_at == desk.clock() + wait * MINUTE
        desk.clock.advance(wait * MINUTE)


def test_a_restart_refills_nothing(desk: Desk, database: Database) -> None:
    desk.send(number(1))
    assert Desk(database, SETTINGS).refused(number(1)).reason == "sent a moment ago"


def test_one_number_gets_five_in_a_day(desk: Desk) -> None:
    for n in range(5):
        desk.send(number(1), replace(USER, id=f"u{n}"))
    assert desk.refused(number(1), replace(USER, id="u9")).reason == "the budget of number is spent"
    desk.clock.advance(timedelta(days=1))
    desk.send(number(1), replace(USER, id="u9"))


def test_one_person_gets_to_three_numbers(desk: Desk) -> None:
    for n in range(3):
        desk.send(number(n))
    assert desk.refused(number(3)).reason == "too many numbers of one user"
    desk.clock.advance(MINUTE)
    desk.send(number(0))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"per_prefix": 4}, "the budget of prefix is spent"),
        ({"per_address": 4}, "the budget of address is spent"),
        ({"per_day": 4}, "the budget of all is spent"),
    ],
)
def test_budgets_over_many_people(
    database: Database, settings: dict[str, int], reason: str
) -> None:
    desk = Desk(database, SETTINGS.model_copy(update=settings))
    for n in range(4):
        desk.send(number(n), replace(USER, id=f"u{n}"))
    assert desk.refused(number(5), replace(USER, id="u5")).reason == reason


def test_another_block_of_numbers_and_another_address_have_their_own(database: Database) -> None:
    most = SETTINGS.model_copy(update={"per_prefix": 1, "per_address": 1})
    desk = Desk(database, most)
    desk.send(number(1), USER, "192.0.2.1")
    desk.send(number(1001), replace(USER, id="u2"), "192.0.2.2")


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("+33612345678", "region FR is not allowed"),
        ("+870301234567", "region 001 is not allowed"),
        ("+882131234567", "not a number"),
        ("+4915", "not a number"),
        ("+447011234567", "a number of the type personal_number"),
        ("+499001654321", "a number of the type premium_rate"),
        ("+491801234567", "a number of the type shared_cost"),
        ("nonsense", "not a number"),
    ],
)
def test_where_nothing_may_go(desk: Desk, to: str, reason: str) -> None:
    refusal = desk.refused(to)
    assert refusal.reason == reason
    assert refusal.retry_at is None


def test_without_regions_nothing_goes_anywhere(database: Database) -> None:
    assert "not allowed" in Desk(database, SmsSettings()).refused(number(1)).reason


def test_in_development_an_empty_list_is_all_regions(database: Database) -> None:
    assert Desk(database, SmsSettings(), dev=True).send("+33612345678") == "FR"


def test_a_region_that_answers_too_seldom_is_alarmed_about_then_closed(database: Database) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={"judge_after": 4}))
    sent = 0
    for n in range(4):
        desk.send(number(n), replace(USER, id=f"u{n}"))
        desk.limits.verified("DE")
    for n in range(4, 40):
        try:
            desk.send(number(n), replace(USER, id=f"u{n}"))
        except NotSent:
            continue
        sent = n + 1
    assert sent == 20  # five for each of the four that came back
    alarms = [e for e in desk.seen if isinstance(e, events.SmsAlarm)]
    assert [(a.region, a.sent, a.verified, a.stopped) for a in alarms] == [
        ("DE", 9, 4, False),
        ("DE", 21, 4, True),
    ]
    desk.send("+12015550123", replace(USER, id="elsewhere"))
    desk.limits.verified("DE")  # late, and enough for five more
    desk.send(number(41), replace(USER, id="late"))
    desk.clock.advance(timedelta(days=1))
    desk.send(number(42), replace(USER, id="tomorrow"))


@pytest.mark.parametrize(
    ("comes_back", "most"),
    [
        (0, 20),  # nobody types a code in: until the region is judged
        (2, 200),  # the fraudster types every second one in: twenty for each of ten addresses
    ],
)
def test_mf_07_five_hundred_sends_over_everything(
    database: Database, comes_back: int, most: int
) -> None:
    """Fresh numbers in blocks, fresh accounts, ten addresses."""
    desk = Desk(database, SmsSettings(regions=("DE",)))
    sent = 0
    for n in range(500):
        with suppress(NotSent):
            to = number(n % 25 * 1000 + n // 25)
            desk.send(to, replace(USER, id=f"u{n // 2}"), f"192.0.2.{n % 10}")
            sent += 1
            if comes_back and sent % comes_back == 0:
                desk.limits.verified("DE")
    assert 0 < sent <= most
    stopped = [e.stopped for e in desk.seen if isinstance(e, events.SmsAlarm)]
    assert stopped == ([True] if not comes_back else [False])
    refused = [e for e in desk.seen if isinstance(e, events.MessageRefused)]
    assert len(refused) == 500 - sent


def test_a_closed_region_uses_up_nothing_of_the_others(database: Database) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={"judge_after": 4, "per_day": 10}))
    for n in range(40):
        with suppress(NotSent):
            desk.send(number(n), replace(USER, id=f"u{n}"))
    desk.send("+12015550123", replace(USER, id="elsewhere"))


def test_what_is_sent_and_what_is_verified_begin_again_together(database: Database) -> None:
    """The first code of a region is not typed in until half a day later."""
    desk = Desk(database, SETTINGS.model_copy(update={"judge_after": 4}))
    desk.send(number(999))
    desk.clock.advance(timedelta(hours=12))
    for n in range(60):
        desk.send(number(n), replace(USER, id=f"u{n}"))
        desk.limits.verified("DE")
        desk.clock.advance(30 * MINUTE)
    assert not [e for e in desk.seen if isinstance(e, events.SmsAlarm)]


def test_one_that_is_refused_costs_nobody_anything(database: Database) -> None:
    """A stranger over the limit of their address cannot use up what a number may get."""
    desk = Desk(database, SETTINGS.model_copy(update={"per_address": 1}))
    desk.send(number(9), replace(USER, id="stranger"))
    for n in range(10):
        assert "address" in desk.refused(number(1), replace(USER, id=f"s{n}")).reason
    for n, wait in enumerate((1, 2, 5, 5, 0)):
        desk.send(number(1), USER, f"198.51.100.{n}")
        desk.clock.advance(wait * MINUTE)


def test_what_is_refused_for_the_day_starts_no_wait(database: Database) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={"per_day": 1}))
    desk.send(number(1))
    for _ in range(2):
        refusal = desk.refused(number(2))
        assert (refusal.reason, refusal.retry_at) == ("the budget of all is spent", None)


@pytest.mark.parametrize("budget", ["per_address", "per_prefix"])
def test_what_is_spent_for_an_hour_says_when_there_is_more(database: Database, budget: str) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={budget: 1}))
    desk.send(number(1))
    desk.clock.advance(20 * MINUTE)
    assert desk.refused(number(2)).retry_at == START + timedelta(hours=1)


def test_an_ipv6_customer_is_one_address(database: Database) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={"per_address": 1}))
    desk.send(number(1), USER, "2001:db8:1:2::1")
    assert "address" in desk.refused(number(2), USER, "2001:db8:1:2:ffff::9").reason
    desk.send(number(3), USER, "2001:db8:1:3::1")


def test_many_at_once_get_no_more_than_there_is(database: Database) -> None:
    desk = Desk(database, SETTINGS.model_copy(update={"per_day": 10, "judge_after": 100}))

    def send(n: int) -> bool:
        try:
            desk.send(number(n), replace(USER, id=f"u{n}"))
        except NotSent:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(send, range(50))) == 10


@pytest.mark.parametrize("region", ["de", "UK", "XX"])
def test_a_region_that_there_is_not_is_refused_at_the_start(
    database: Database, region: str
) -> None:
    with pytest.raises(ConfigError, match="ISO 3166"):
        Desk(database, SmsSettings(regions=(region,)))


def test_a_kind_of_number_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError):
        SmsSettings.model_validate({"refused_types": ["premium-rate"]})


def test_what_is_refused_is_an_event_without_the_number(desk: Desk) -> None:
    desk.refused("+33612345678")
    (event,) = desk.seen
    assert isinstance(event, events.MessageRefused)
    assert (event.region, event.user_id) == ("FR", "u1")
    assert "33612345678" not in repr(event)


def test_budgets_are_kept_without_the_number() -> None:
    assert "15123" not in destination(number(1)).key
