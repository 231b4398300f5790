"""What is Redis's own: our prefix, and a server that is there or is not."""

from datetime import timedelta

import pytest
from redis import Redis

from idp.errors import ConfigError
from idp.storage.redis import RedisEphemeral

TTL = timedelta(seconds=90)


def test_keys_in_redis_carry_our_prefix(redis_url: str) -> None:
    with Redis.from_url(redis_url) as raw:
        raw.flushdb()
        store = RedisEphemeral(redis_url)
        store.put("put", b"v", TTL)
        store.once("once", TTL)
        store.incr("incr", TTL)
        store.close()
        assert sorted(raw.scan_iter()) == [b"idp:incr", b"idp:once", b"idp:put"]


def test_a_redis_that_is_not_there(unused_port: int) -> None:
    store = RedisEphemeral(f"redis://127.0.0.1:{unused_port}/0")
    with pytest.raises(ConfigError, match="redis_url"):
        store.require_reachable()
    assert not store.answers()
    store.close()


def test_a_redis_that_is_there(redis_url: str) -> None:
    store = RedisEphemeral(redis_url)
    store.require_reachable()
    assert store.answers()
    store.close()


def test_a_url_that_is_none() -> None:
    with pytest.raises(ConfigError, match="redis_url"):
        RedisEphemeral("not-a-url")
