"""Decorators over ports that remember answers. Only what may be a few seconds old belongs here:
never codes, refresh tokens, lockouts, sessions, revocations.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Lock

from idp import events
from idp.model import Client
from idp.ports import Clients, Clock


class CachedClients:
    """Clients that were found, for `ttl`. `forget` is a sink: give it to the bus."""

    def __init__(self, clients: Clients, ttl: timedelta, clock: Clock) -> None:
        self._clients = clients
        self._ttl = ttl
        self._clock = clock
        self._known: dict[str, tuple[datetime, Client]] = {}
        self._lock = Lock()
        self._changes = 0  # a read that began before a change must not be remembered after it

    def get(self, client_id: str) -> Client | None:
        now = self._clock()
        known = self._known.get(client_id)
        if known is not None and known[0] <= now < known[0] + self._ttl:
            return known[1]
        changes = self._changes
        found = self._clients.get(client_id)
        if found is None:
            self._known.pop(client_id, None)
        else:
            with self._lock:
                if changes == self._changes:
                    self._known[client_id] = (now, found)
        return found

    def forget(self, event: events.Event) -> None:
        if isinstance(event, events.ClientChanged):
            self._drop(event.client_id)

    def add(self, client: Client) -> None:
        self._clients.add(client)

    def save(self, client: Client) -> None:
        try:
            self._clients.save(client)
        finally:
            self._drop(client.client_id)

    def change(self, client_id: str, how: Callable[[Client], Client]) -> tuple[Client, Client]:
        try:
            return self._clients.change(client_id, how)
        finally:
            self._drop(client_id)

    def remove(self, client_id: str) -> bool:
        try:
            return self._clients.remove(client_id)
        finally:
            self._drop(client_id)

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Client]:
        return self._clients.list(after=after, limit=limit)

    def _drop(self, client_id: str) -> None:
        with self._lock:
            self._changes += 1
            self._known.pop(client_id, None)
