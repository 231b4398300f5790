"""Budgets: spent before the act, never beyond the limit, whole again after the window."""

import pytest

from idp.model import Spent
from idp.storage.database import Database
from idp.storage.purge import purge
from idp.storage.quotas import SqlQuotas
from tests.contract.race import THREADS, race
from tests.contract.samples import MICROSECOND, MINUTE, NOW, SECOND

END = NOW + MINUTE


@pytest.fixture
def quotas(database: Database) -> SqlQuotas:
    return SqlQuotas(database)


def test_what_there_is_can_be_spent_and_no_more(quotas: SqlQuotas) -> None:
    answers = [quotas.spend("reset:ben", 3, MINUTE, NOW) for _ in range(5)]
    assert answers == [
        Spent(True, 1, END),
        Spent(True, 2, END),
        Spent(True, 3, END),
        Spent(False, 3, END),
        Spent(False, 3, END),
    ]


def test_the_window_runs_from_the_first_on(quotas: SqlQuotas) -> None:
    quotas.spend("k", 2, MINUTE, NOW)
    assert quotas.spend("k", 2, MINUTE, NOW + 30 * SECOND) == Spent(True, 2, END)
    assert quotas.spend("k", 2, MINUTE, END - MICROSECOND) == Spent(False, 2, END)
    assert quotas.spend("k", 2, MINUTE, END) == Spent(True, 1, END + MINUTE)


def test_what_is_refused_makes_the_window_no_longer(quotas: SqlQuotas) -> None:
    for seconds in range(59):
        quotas.spend("k", 1, MINUTE, NOW + seconds * SECOND)
    assert quotas.spend("k", 1, MINUTE, END).allowed


def test_each_key_has_its_own(quotas: SqlQuotas) -> None:
    assert quotas.spend("a", 1, MINUTE, NOW).allowed
    assert quotas.spend("b", 1, MINUTE, NOW).allowed
    assert not quotas.spend("a", 1, MINUTE, NOW).allowed


def test_another_limit_over_the_same_key(quotas: SqlQuotas) -> None:
    for _ in range(3):
        quotas.spend("k", 3, MINUTE, NOW)
    assert quotas.spend("k", 4, MINUTE, NOW) == Spent(True, 4, END)
    assert quotas.spend("k", 2, MINUTE, NOW) == Spent(False, 4, END)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_refuses_everything(quotas: SqlQuotas, limit: int) -> None:
    assert not quotas.spend("k", limit, MINUTE, NOW).allowed
    assert quotas.used("k", NOW) == 0


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 257])
def test_a_key_that_no_database_can_hold_is_refused(quotas: SqlQuotas, odd: str) -> None:
    assert not quotas.spend(odd, 3, MINUTE, NOW).allowed
    assert quotas.used(odd, NOW) == 0


def test_how_much_is_spent(quotas: SqlQuotas) -> None:
    assert quotas.used("k", NOW) == 0
    quotas.spend("k", 9, MINUTE, NOW)
    quotas.spend("k", 9, MINUTE, NOW)
    assert quotas.used("k", END - MICROSECOND) == 2
    assert quotas.used("k", END) == 0


def test_of_fifty_at_once_five_are_allowed(quotas: SqlQuotas) -> None:
    answers = race(lambda _: quotas.spend("k", 5, MINUTE, NOW))
    assert sorted(a.count for a in answers if a.allowed) == [1, 2, 3, 4, 5]
    assert sum(not a.allowed for a in answers) == THREADS - 5


def test_of_fifty_at_once_after_the_window_five_are_allowed(quotas: SqlQuotas) -> None:
    for _ in range(5):
        quotas.spend("k", 5, MINUTE, NOW)
    answers = race(lambda _: quotas.spend("k", 5, MINUTE, END))
    assert sum(a.allowed for a in answers) == 5


def test_what_is_whole_again_is_forgotten(quotas: SqlQuotas, database: Database) -> None:
    quotas.spend("k", 1, MINUTE, NOW)
    assert purge(database, END - MICROSECOND) == 0
    assert not quotas.spend("k", 1, MINUTE, NOW).allowed
    assert purge(database, END) == 1
