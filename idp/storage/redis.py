"""Short-lived values in Redis, by its own clock. Each verb is one command or one script.

The client repeats a command whose answer was lost. Every verb bears that: the repeat of one that
had succeeded is refused (`once`, `take`, `put` with `expect`), changes nothing (`put`), or
counts once too often (`incr`).
"""

from datetime import timedelta
from typing import Any, Final, cast

from redis import Redis
from redis.exceptions import RedisError

from idp.errors import ConfigError

PREFIX: Final = "idp:"
CONNECT_SECONDS: Final = 2
ANSWER_SECONDS: Final = 5

_SWAP: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_INCR: Final = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class RedisEphemeral:
    def __init__(self, url: str, *, password: str | None = None) -> None:
        options = {} if password is None else {"password": password}
        try:
            self._redis: Any = Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                **options,
            )
        except ValueError as problem:
            raise ConfigError(f"storage.redis_url: {problem}") from None
        self._swap = self._redis.register_script(_SWAP)
        self._incr = self._redis.register_script(_INCR)

    def put(self, key: str, value: bytes, ttl: timedelta, *, expect: bytes | None = None) -> bool:
        if expect is None:
            return bool(self._redis.set(_name(key), value, px=_milliseconds(ttl)))
        return bool(self._swap([_name(key)], [expect, value, _milliseconds(ttl)]))

    def get(self, key: str) -> bytes | None:
        return cast("bytes | None", self._redis.get(_name(key)))

    def take(self, key: str) -> bytes | None:
        return cast("bytes | None", self._redis.getdel(_name(key)))

    def once(self, key: str, ttl: timedelta) -> bool:
        return bool(self._redis.set(_name(key), b"1", nx=True, px=_milliseconds(ttl)))

    def incr(self, key: str, ttl: timedelta) -> int:
        """A fixed window: it ends `ttl` after its first call, however many follow."""
        return int(self._incr([_name(key)], [_milliseconds(ttl)]))

    def require_reachable(self) -> None:
        """Raises ConfigError, with the client's own words, when it does not answer."""
        try:
            self._redis.ping()
        except RedisError as problem:
            raise ConfigError(f"storage.redis_url: Redis cannot be used: {problem}") from None

    def answers(self) -> bool:
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def close(self) -> None:
        self._redis.close()


def _name(key: str) -> bytes:
    return (PREFIX + key).encode("utf-8", "surrogatepass")


def _milliseconds(ttl: timedelta) -> int:
    return max(1, ttl // timedelta(milliseconds=1))
