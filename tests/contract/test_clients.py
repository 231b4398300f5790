"""Clients: every field of RFC 7591 that we keep, kept."""

from dataclasses import replace

import pytest

from idp.errors import Conflict, NotFound
from idp.model import Client
from idp.storage.clients import SqlClients
from idp.storage.database import Database
from tests.contract.race import race
from tests.contract.samples import CLIENT, PLAIN_CLIENT


@pytest.fixture
def clients(database: Database) -> SqlClients:
    return SqlClients(database)


@pytest.mark.parametrize("client", [CLIENT, PLAIN_CLIENT])
def test_every_field_comes_back(clients: SqlClients, client: Client) -> None:
    clients.add(client)
    found = clients.get(client.client_id)
    assert found == client
    assert found is not None
    assert isinstance(found.redirect_uris, tuple)


@pytest.mark.parametrize("odd", ["client-9", "a\0b", "\udfff", "x" * 5000])
def test_what_is_not_there(clients: SqlClients, odd: str) -> None:
    clients.add(CLIENT)
    assert clients.get(odd) is None


def test_an_id_is_taken_once(clients: SqlClients) -> None:
    clients.add(CLIENT)
    with pytest.raises(Conflict):
        clients.add(replace(PLAIN_CLIENT, client_id=CLIENT.client_id))
    assert clients.get(CLIENT.client_id) == CLIENT


def test_save_writes_every_field_of_one_client(clients: SqlClients) -> None:
    other = replace(PLAIN_CLIENT, client_id="client-3")
    clients.add(PLAIN_CLIENT)
    clients.add(other)
    changed = replace(CLIENT, client_id=PLAIN_CLIENT.client_id)
    clients.save(changed)
    assert clients.get(PLAIN_CLIENT.client_id) == changed
    assert clients.get("client-3") == other


def test_save_of_one_that_is_gone(clients: SqlClients) -> None:
    with pytest.raises(NotFound):
        clients.save(CLIENT)


def test_remove(clients: SqlClients) -> None:
    clients.add(CLIENT)
    clients.add(PLAIN_CLIENT)
    assert clients.remove(CLIENT.client_id)
    assert not clients.remove(CLIENT.client_id)
    assert clients.get(CLIENT.client_id) is None
    assert clients.get(PLAIN_CLIENT.client_id) == PLAIN_CLIENT


def test_list_goes_page_by_page_in_order_of_id(clients: SqlClients) -> None:
    everything = [replace(PLAIN_CLIENT, client_id=f"c{n}", name=f"n{9 - n}") for n in range(5)]
    for client in reversed(everything):
        clients.add(client)
    assert clients.list() == everything
    assert clients.list(limit=2) == everything[:2]
    assert clients.list(after="c1", limit=2) == everything[2:4]


def test_of_fifty_changes_at_once_none_is_lost(clients: SqlClients) -> None:
    clients.add(PLAIN_CLIENT)
    known = len(PLAIN_CLIENT.scopes)

    def append(number: int) -> None:
        clients.change(
            PLAIN_CLIENT.client_id, lambda c: replace(c, scopes=(*c.scopes, f"s{number}"))
        )

    race(append)
    changed = clients.get(PLAIN_CLIENT.client_id)
    assert changed is not None
    assert len(changed.scopes) == known + 50


def test_a_change_says_what_it_was_before(clients: SqlClients) -> None:
    clients.add(PLAIN_CLIENT)
    changed = replace(CLIENT, client_id=PLAIN_CLIENT.client_id)
    assert clients.change(PLAIN_CLIENT.client_id, lambda _: changed) == (PLAIN_CLIENT, changed)
    assert clients.get(PLAIN_CLIENT.client_id) == changed


def test_a_change_that_is_given_up_writes_nothing(clients: SqlClients) -> None:
    clients.add(CLIENT)

    def refuse(client: Client) -> Client:
        raise Conflict("no")

    with pytest.raises(Conflict):
        clients.change(CLIENT.client_id, refuse)
    clients.save(CLIENT)  # nothing is locked either
    assert clients.get(CLIENT.client_id) == CLIENT


@pytest.mark.parametrize("odd", ["client-9", "a\0b", "\udfff"])
def test_a_change_of_what_is_not_there(clients: SqlClients, odd: str) -> None:
    with pytest.raises(NotFound):
        clients.change(odd, lambda client: client)
