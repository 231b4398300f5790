"""A decorator over the fetcher: a client's published keys for a few minutes.

Errors are never remembered. A caller that needs a newer answer gets one, but not more often
than every ten seconds: a client cannot make the provider hammer its own key server.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Protocol

from idp.ports import Clock

USUAL = timedelta(minutes=5)
SHORTEST = timedelta(seconds=30)
LONGEST = timedelta(hours=1)
SPACING = timedelta(seconds=10)
MOST = 1000


class Fetched(Protocol):
    @property
    def json(self) -> Any: ...
    @property
    def max_age(self) -> timedelta | None: ...


class CachedFetcher:
    def __init__(self, fetch: Callable[[str], Fetched], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, tuple[datetime, datetime, Any]] = {}
        self._lock = Lock()

    def get_json(self, url: str, *, fresh: bool = False) -> Any:
        now = self._clock()
        known = self._known.get(url)
        if known is not None:
            read_at, until, document = known
            usable = read_at <= now < until
            if usable and (not fresh or now < read_at + SPACING):
                return document
        found = self._fetch(url)
        life = min(max(found.max_age or USUAL, SHORTEST), LONGEST)
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[url] = (now, now + life, found.json)
        return found.json
