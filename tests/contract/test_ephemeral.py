"""Ephemeral on its three engines, one suite. Time passes in SQL by moving the injected clock. Redis
keeps its own time, so there every key's time to live is shortened by as much.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from redis import Redis

from idp.ports import Ephemeral
from idp.storage.database import Database
from idp.storage.redis import RedisEphemeral
from idp.storage.sql_ephemeral import SqlEphemeral
from tests.contract.race import THREADS, race
from tests.contract.samples import NOW, SECOND

TTL = 90 * SECOND
BINARY = bytes(range(256))


@dataclass
class Engine:
    store: Ephemeral
    wait: Callable[[timedelta], None]


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def here(engine: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if engine == "redis":
        yield from _redis(request.getfixturevalue("redis_url"))
    else:
        yield _sql(request.getfixturevalue("database"))


@pytest.fixture
def store(here: Engine) -> Ephemeral:
    return here.store


def _sql(database: Database) -> Engine:
    times = [NOW]

    def clock() -> datetime:
        return times[-1]

    def wait(time: timedelta) -> None:
        times.append(times[-1] + time)

    return Engine(SqlEphemeral(database, clock), wait)


def _redis(url: str) -> Iterator[Engine]:
    with Redis.from_url(url) as raw:
        raw.flushdb()

        def wait(time: timedelta) -> None:
            for key in raw.scan_iter():
                left = raw.pttl(key)
                assert left > 0, "every key must expire"
                raw.pexpire(key, left - int(time / timedelta(milliseconds=1)))

        store = RedisEphemeral(url)
        yield Engine(store, wait)
        store.close()


# --- put and get


def test_a_value_comes_back_until_it_expires(here: Engine) -> None:
    assert here.store.put("k", BINARY, TTL)
    assert here.store.get("k") == BINARY
    here.wait(TTL - SECOND)
    assert here.store.get("k") == BINARY
    here.wait(SECOND)
    assert here.store.get("k") is None


def test_what_is_not_there(store: Ephemeral) -> None:
    store.put("k", b"v", TTL)
    assert store.get("other") is None
    assert store.take("other") is None


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 5000])
def test_a_key_that_cannot_be_there(store: Ephemeral, odd: str) -> None:
    assert store.get(odd) is None
    assert store.take(odd) is None


def test_put_replaces_value_and_time(here: Engine) -> None:
    here.store.put("k", b"old", TTL)
    here.wait(TTL / 2)
    assert here.store.put("k", b"new", TTL)
    here.wait(TTL / 2)
    assert here.store.get("k") == b"new"
    here.wait(TTL / 2)
    assert here.store.get("k") is None


def test_put_where_something_expired(here: Engine) -> None:
    here.store.put("k", b"old", TTL)
    here.wait(TTL)
    assert here.store.put("k", b"new", TTL)
    assert here.store.get("k") == b"new"


# --- put over an expected value


def test_put_over_exactly_that_value(here: Engine) -> None:
    here.store.put("k", BINARY, TTL)
    here.store.put("other", BINARY, TTL)
    here.wait(TTL / 2)
    assert here.store.put("k", b"new", TTL, expect=BINARY)
    assert here.store.get("other") == BINARY
    here.wait(TTL / 2)
    assert here.store.get("k") == b"new"
    here.wait(TTL / 2)
    assert here.store.get("k") is None


def test_put_over_another_value(store: Ephemeral) -> None:
    store.put("k", b"is", TTL)
    assert not store.put("k", b"new", TTL, expect=b"was")
    assert store.get("k") == b"is"


def test_put_over_nothing(here: Engine) -> None:
    assert not here.store.put("k", b"new", TTL, expect=b"was")
    assert here.store.get("k") is None
    here.store.put("k", b"was", TTL)
    here.wait(TTL)
    assert not here.store.put("k", b"new", TTL, expect=b"was")
    assert here.store.get("k") is None


def test_of_fifty_who_swap_one_does(store: Ephemeral) -> None:
    store.put("k", b"was", TTL)
    results = race(lambda n: store.put("k", b"%d" % n, TTL, expect=b"was"))
    assert sum(results) == 1
    assert store.get("k") == b"%d" % results.index(True)


# --- take


def test_take_once(store: Ephemeral) -> None:
    store.put("k", BINARY, TTL)
    store.put("other", b"v", TTL)
    assert store.take("k") == BINARY
    assert store.take("k") is None
    assert store.get("k") is None
    assert store.get("other") == b"v"


def test_take_what_expired(here: Engine) -> None:
    here.store.put("k", b"v", TTL)
    here.wait(TTL)
    assert here.store.take("k") is None


def test_of_fifty_who_take_one_gets_it(store: Ephemeral) -> None:
    store.put("k", b"v", TTL)
    taken = race(lambda _: store.take("k"))
    assert sorted(taken, key=bool) == [None] * (THREADS - 1) + [b"v"]


# --- once


def test_once_until_it_expires(here: Engine) -> None:
    assert here.store.once("k", TTL)
    assert here.store.once("other", TTL)
    here.wait(TTL - SECOND)
    assert not here.store.once("k", TTL)
    here.wait(SECOND)
    assert here.store.once("k", TTL)
    here.wait(TTL - SECOND)
    assert not here.store.once("k", TTL)


def test_a_refused_once_does_not_last_longer(here: Engine) -> None:
    here.store.once("k", TTL)
    here.wait(TTL / 2)
    here.store.once("k", TTL)
    here.wait(TTL / 2)
    assert here.store.once("k", TTL)


def test_of_fifty_one_is_first(here: Engine) -> None:
    assert sum(race(lambda _: here.store.once("k", TTL))) == 1
    here.wait(TTL)
    assert sum(race(lambda _: here.store.once("k", TTL))) == 1


# --- incr


def test_incr_counts_each_key(store: Ephemeral) -> None:
    assert [store.incr("k", TTL) for _ in range(12)] == list(range(1, 13))
    assert store.incr("other", TTL) == 1
    assert store.get("k") == b"12"


def test_the_window_ends_after_its_first_call(here: Engine) -> None:
    here.store.incr("k", TTL)
    here.wait(TTL - SECOND)
    assert here.store.incr("k", TTL) == 2
    here.wait(SECOND)
    assert here.store.get("k") is None
    assert here.store.incr("k", TTL) == 1
    here.wait(TTL - SECOND)
    assert here.store.incr("k", TTL) == 2


def test_fifty_at_once_are_counted_one_by_one(store: Ephemeral) -> None:
    assert sorted(race(lambda _: store.incr("k", TTL))) == list(range(1, THREADS + 1))
