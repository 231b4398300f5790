"""The cache of clients: seconds old at most, and never older than a change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from idp import events
from idp.errors import NotFound
from idp.model import Client
from idp.ports import Clients
from idp.storage.cached import CachedClients

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TTL = timedelta(seconds=5)
CLIENT = Client("c", "Client", NOW)
OTHER = Client("d", "Other", NOW)


class Counted:
    """Clients in memory that count the reads."""

    def __init__(self) -> None:
        self.held = {CLIENT.client_id: CLIENT, OTHER.client_id: OTHER}
        self.reads = 0
        self.meanwhile: list[object] = []  # what happens while a read is under way

    def add(self, client: Client) -> None:
        self.held[client.client_id] = client

    def get(self, client_id: str) -> Client | None:
        self.reads += 1
        found = self.held.get(client_id)
        while self.meanwhile:
            happening = self.meanwhile.pop()
            assert callable(happening)
            happening()
        return found

    def change(self, client_id: str, how: Callable[[Client], Client]) -> tuple[Client, Client]:
        before = self.held[client_id]
        self.held[client_id] = how(before)
        return before, self.held[client_id]

    def save(self, client: Client) -> None:
        if client.client_id not in self.held:
            raise NotFound("gone")
        self.held[client.client_id] = client

    def remove(self, client_id: str) -> bool:
        return self.held.pop(client_id, None) is not None

    def list(self, *, after: str = "", limit: int = 100) -> Sequence[Client]:
        return [client for id_, client in sorted(self.held.items()) if id_ > after][:limit]


class Bench:
    def __init__(self) -> None:
        self.now = NOW
        self.store = Counted()
        self.cached = CachedClients(self.store, TTL, lambda: self.now)

    def changed(self, client_id: str) -> None:
        self.cached.forget(
            events.ClientChanged(at=NOW, client_id=client_id, change="saved", actor="op")
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_is_a_store_of_clients(bench: Bench) -> None:
    clients: Clients = bench.cached
    assert clients.list() == [CLIENT, OTHER]
    assert clients.list(after="c", limit=1) == [OTHER]


def test_a_client_is_read_once_for_its_time(bench: Bench) -> None:
    assert bench.cached.get("c") == CLIENT
    bench.now += TTL - timedelta(microseconds=1)
    assert bench.cached.get("c") == CLIENT
    assert bench.store.reads == 1
    bench.now += timedelta(microseconds=1)
    assert bench.cached.get("c") == CLIENT
    assert bench.store.reads == 2


def test_each_client_has_its_own_entry(bench: Bench) -> None:
    assert [bench.cached.get(id_) for id_ in "cdcd"] == [CLIENT, OTHER, CLIENT, OTHER]
    assert bench.store.reads == 2


def test_a_clock_set_back_does_not_keep_an_entry(bench: Bench) -> None:
    bench.cached.get("c")
    bench.now -= timedelta(days=1)
    bench.cached.get("c")
    assert bench.store.reads == 2


def test_a_client_that_is_not_there_is_asked_for_each_time(bench: Bench) -> None:
    assert bench.cached.get("e") is None
    bench.cached.add(replace(CLIENT, client_id="e"))
    assert bench.cached.get("e") is not None


def test_a_client_that_went_is_not_kept(bench: Bench) -> None:
    bench.cached.get("c")
    bench.store.remove("c")
    bench.now += TTL
    assert bench.cached.get("c") is None
    bench.now -= TTL
    assert bench.cached.get("c") is None


def test_an_event_drops_that_client_alone(bench: Bench) -> None:
    bench.cached.get("c")
    bench.cached.get("d")
    bench.changed("c")
    bench.cached.get("c")
    bench.cached.get("d")
    assert bench.store.reads == 3


def test_other_events_drop_nothing(bench: Bench) -> None:
    bench.cached.get("c")
    bench.cached.forget(events.ConsentWithdrawn(at=NOW, user_id="u", client_id="c"))
    bench.cached.get("c")
    assert bench.store.reads == 1


def test_save_and_remove_are_seen_at_once(bench: Bench) -> None:
    bench.cached.get("c")
    renamed = replace(CLIENT, name="Renamed")
    bench.cached.save(renamed)
    assert bench.cached.get("c") == renamed
    assert bench.cached.remove("c")
    assert bench.cached.get("c") is None
    assert not bench.cached.remove("c")


def test_a_failed_save_leaves_no_entry(bench: Bench) -> None:
    bench.cached.get("c")
    bench.store.remove("c")
    with pytest.raises(NotFound):
        bench.cached.save(CLIENT)
    assert bench.cached.get("c") is None


def test_a_read_that_a_change_overtook_is_not_kept(bench: Bench) -> None:
    renamed = replace(CLIENT, name="Renamed")
    bench.store.meanwhile.append(lambda: bench.cached.save(renamed))
    assert bench.cached.get("c") == CLIENT
    assert bench.cached.get("c") == renamed
