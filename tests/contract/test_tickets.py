"""Links that work once."""

from dataclasses import replace

import pytest

from idp.model import Ticket
from idp.storage.database import Database
from idp.storage.tickets import SqlTickets
from idp.storage.users import SqlUsers
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, MINUTE, NOW, PLAIN_USER, USER, digest

TICKET = Ticket(digest("t"), "reset", USER.id, {"email": "k@example.com"}, NOW, NOW + MINUTE)
FOREIGN = replace(TICKET, hash=digest("f"), user_id=PLAIN_USER.id)


@pytest.fixture
def tickets(database: Database) -> SqlTickets:
    users = SqlUsers(database)
    users.add(USER)
    users.add(PLAIN_USER)
    return SqlTickets(database)


def test_every_field_comes_back(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    assert tickets.find(TICKET.hash, NOW) == TICKET
    assert tickets.find(digest("other"), NOW) is None


def test_looking_uses_nothing_up(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    for _ in range(3):
        assert tickets.find(TICKET.hash, NOW) is not None
    used = tickets.use(TICKET.hash, NOW)
    assert used == replace(TICKET, used_at=NOW)
    assert tickets.find(TICKET.hash, NOW) is None
    assert tickets.use(TICKET.hash, NOW) is None


def test_its_end(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    assert tickets.find(TICKET.hash, NOW + MINUTE - MICROSECOND) is not None
    assert tickets.find(TICKET.hash, NOW + MINUTE) is None
    assert tickets.use(TICKET.hash, NOW + MINUTE) is None


def test_a_newer_one_of_the_same_user_and_purpose_replaces_it(tickets: SqlTickets) -> None:
    other_purpose = replace(TICKET, hash=digest("v"), purpose="verify")
    for ticket in (TICKET, other_purpose, FOREIGN):
        tickets.add(ticket)
    newer = replace(TICKET, hash=digest("n"))
    tickets.add(newer)
    found = [tickets.find(t.hash, NOW) is not None for t in (TICKET, other_purpose, FOREIGN, newer)]
    assert found == [False, True, True, True]


def test_those_of_nobody_do_not_replace_each_other(tickets: SqlTickets) -> None:
    first = replace(TICKET, user_id=None, purpose="register")
    second = replace(first, hash=digest("s"))
    tickets.add(first)
    tickets.add(second)
    assert tickets.find(first.hash, NOW) is not None


def test_all_of_a_user_are_revoked(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    tickets.add(replace(TICKET, hash=digest("v"), purpose="verify"))
    tickets.add(FOREIGN)
    assert tickets.revoke(USER.id, NOW) == 2
    assert tickets.find(TICKET.hash, NOW) is None
    assert tickets.find(FOREIGN.hash, NOW) is not None


def test_they_go_with_their_user(tickets: SqlTickets, database: Database) -> None:
    tickets.add(TICKET)
    assert SqlUsers(database).remove(USER.id)
    assert tickets.find(TICKET.hash, NOW) is None


def test_fifty_at_once_use_it_once(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    used = race(lambda _: tickets.use(TICKET.hash, NOW))
    assert sum(one is not None for one in used) == 1
