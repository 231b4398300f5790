"""Budgets: spent in one statement, whole again after their window."""

from datetime import timedelta

import pytest

from idp.model import Spent
from idp.storage.database import Database
from idp.storage.quotas import SqlQuotas
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, MINUTE, NOW


@pytest.fixture
def quotas(database: Database) -> SqlQuotas:
    return SqlQuotas(database)


def test_a_budget_is_spent_and_then_refuses_without_counting(quotas: SqlQuotas) -> None:
    whole = NOW + MINUTE
    assert [quotas.spend("k", 2, MINUTE, NOW) for _ in range(4)] == [
        Spent(True, 1, whole),
        Spent(True, 2, whole),
        Spent(False, 2, whole),
        Spent(False, 2, whole),
    ]
    assert quotas.used("k", NOW) == 2


def test_the_window_begins_with_the_first_and_is_not_stretched(quotas: SqlQuotas) -> None:
    quotas.spend("k", 9, MINUTE, NOW)
    later = NOW + MINUTE - MICROSECOND
    assert quotas.spend("k", 9, MINUTE, later) == Spent(True, 2, NOW + MINUTE)
    assert quotas.used("k", later) == 2
    assert quotas.used("k", NOW + MINUTE) == 0
    assert quotas.spend("k", 9, MINUTE, NOW + MINUTE) == Spent(True, 1, NOW + 2 * MINUTE)


def test_each_key_has_its_own(quotas: SqlQuotas) -> None:
    quotas.spend("a", 1, MINUTE, NOW)
    assert quotas.spend("b", 1, MINUTE, NOW).allowed
    assert not quotas.spend("a", 1, MINUTE, NOW).allowed


@pytest.mark.parametrize("key", ["k\0", "\ud800"])
def test_a_key_that_no_database_can_hold_is_refused(quotas: SqlQuotas, key: str) -> None:
    assert not quotas.spend(key, 5, MINUTE, NOW).allowed
    assert quotas.used(key, NOW) == 0


def test_nothing_is_nothing(quotas: SqlQuotas) -> None:
    assert not quotas.spend("k", 0, MINUTE, NOW).allowed


def test_fifty_at_once_get_no_more_than_there_is(quotas: SqlQuotas) -> None:
    spent = race(lambda _: quotas.spend("k", 7, timedelta(hours=1), NOW))
    assert sum(one.allowed for one in spent) == 7
    assert sorted(one.count for one in spent if one.allowed) == [1, 2, 3, 4, 5, 6, 7]
