"""Attempts: counted before the check, so that no number of connections buys another try."""

from datetime import timedelta

import pytest

from idp.model import Attempt
from idp.storage.attempts import SqlAttempts, delay
from idp.storage.database import Database
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, NOW

LADDER = [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]  # seconds


@pytest.fixture
def attempts(database: Database) -> SqlAttempts:
    return SqlAttempts(database)


def test_the_ladder() -> None:
    assert [delay(n).total_seconds() for n in range(1, 15)] == LADDER
    assert delay(0) == timedelta(0)
    assert delay(10**9) == timedelta(hours=1)


def test_the_database_climbs_the_same_ladder(attempts: SqlAttempts) -> None:
    now = NOW
    for failures, seconds in enumerate(LADDER, start=1):
        retry_at = now + timedelta(seconds=seconds)
        assert attempts.count("käthe", "totp", now) == Attempt(True, failures, retry_at)
        now = retry_at


def test_too_early_is_refused_and_not_counted(attempts: SqlAttempts) -> None:
    for _ in range(5):
        assert attempts.count("käthe", "totp", NOW).allowed
    retry_at = NOW + timedelta(seconds=30)
    for early in (NOW, NOW + timedelta(seconds=1), retry_at - MICROSECOND):
        assert attempts.count("käthe", "totp", early) == Attempt(False, 5, retry_at)
    assert attempts.count("käthe", "totp", retry_at).failures == 6


def test_each_subject_and_each_factor_has_its_own_count(attempts: SqlAttempts) -> None:
    for _ in range(5):
        attempts.count("käthe", "totp", NOW)
    assert not attempts.count("käthe", "totp", NOW).allowed
    assert attempts.count("bob", "totp", NOW) == Attempt(True, 1, NOW)
    assert attempts.count("käthe", "password", NOW) == Attempt(True, 1, NOW)


def test_reset_forgets_one_pair(attempts: SqlAttempts) -> None:
    for subject, factor in (("käthe", "totp"), ("bob", "totp"), ("käthe", "password")):
        attempts.count(subject, factor, NOW)
    attempts.reset("käthe", "totp")
    assert attempts.count("käthe", "totp", NOW).failures == 1
    assert attempts.count("bob", "totp", NOW).failures == 2
    assert attempts.count("käthe", "password", NOW).failures == 2


def test_what_nobody_looked_at_is_forgiven(attempts: SqlAttempts) -> None:
    for _ in range(5):
        attempts.count("käthe", "totp", NOW)
    attempts.forgive("käthe", "totp")
    assert attempts.count("käthe", "totp", NOW) == Attempt(True, 5, NOW + timedelta(seconds=30))


def test_forgiving_never_shortens_a_wait_that_was_earned(attempts: SqlAttempts) -> None:
    now = NOW
    for _ in range(7):
        now = attempts.count("käthe", "totp", now).retry_at
    attempts.forgive("käthe", "totp")
    assert not attempts.count("käthe", "totp", now - MICROSECOND).allowed
    attempts.forgive("nobody", "totp")
    assert attempts.count("nobody", "totp", NOW).failures == 1


def test_of_fifty_at_once_five_are_allowed(attempts: SqlAttempts) -> None:
    answers = race(lambda _: attempts.count("käthe", "totp", NOW))
    assert sorted(a.failures for a in answers if a.allowed) == [1, 2, 3, 4, 5]
    refused = {a for a in answers if not a.allowed}
    assert refused == {Attempt(False, 5, NOW + timedelta(seconds=30))}
