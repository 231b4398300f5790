"""Tickets: good once, until their end, and only the newest of its purpose."""

from dataclasses import replace

import pytest

from idp.model import Ticket
from idp.storage.database import Database
from idp.storage.purge import purge
from idp.storage.tickets import SqlTickets
from idp.storage.users import SqlUsers
from tests.contract.race import race
from tests.contract.samples import MICROSECOND, MINUTE, NOW, PLAIN_USER, USER, digest

TICKET = Ticket(
    hash=digest("token"),
    purpose="reset",
    user_id=PLAIN_USER.id,
    data={"email": "bob@example.com"},
    created_at=NOW,
    expires_at=NOW + MINUTE,
)


@pytest.fixture
def tickets(database: Database) -> SqlTickets:
    users = SqlUsers(database)
    users.add(PLAIN_USER)
    users.add(USER)
    return SqlTickets(database)


@pytest.mark.parametrize("owner", [PLAIN_USER.id, None])
def test_every_field_comes_back(tickets: SqlTickets, owner: str | None) -> None:
    ticket = replace(TICKET, user_id=owner)
    tickets.add(ticket)
    assert tickets.find(ticket.hash, NOW) == ticket
    assert tickets.use(ticket.hash, NOW) == replace(ticket, used_at=NOW)


def test_a_ticket_that_was_never_made(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    assert tickets.find(digest("another"), NOW) is None
    assert tickets.use(digest("another"), NOW) is None
    assert tickets.find(b"", NOW) is None


def test_looking_uses_nothing_up(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    for _ in range(3):
        assert tickets.find(TICKET.hash, NOW) == TICKET


def test_used_is_used(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    assert tickets.use(TICKET.hash, NOW)
    assert tickets.use(TICKET.hash, NOW) is None
    assert tickets.find(TICKET.hash, NOW) is None


def test_its_end_is_the_first_moment_at_which_it_is_of_no_use(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    assert tickets.find(TICKET.hash, TICKET.expires_at - MICROSECOND) == TICKET
    assert tickets.find(TICKET.hash, TICKET.expires_at) is None
    assert tickets.use(TICKET.hash, TICKET.expires_at) is None
    assert tickets.use(TICKET.hash, TICKET.expires_at - MICROSECOND)


def test_a_newer_one_of_the_same_purpose_and_user_takes_its_place(tickets: SqlTickets) -> None:
    others = [
        replace(TICKET, hash=digest("purpose"), purpose="verify"),
        replace(TICKET, hash=digest("user"), user_id=USER.id),
        replace(TICKET, hash=digest("nobody 1"), user_id=None, purpose="register"),
        replace(TICKET, hash=digest("nobody 2"), user_id=None, purpose="register"),
    ]
    for ticket in (TICKET, *others):
        tickets.add(ticket)
    tickets.add(replace(TICKET, hash=digest("newer")))
    assert tickets.find(TICKET.hash, NOW) is None
    assert tickets.use(TICKET.hash, NOW) is None
    for kept in (*others, replace(TICKET, hash=digest("newer"))):
        assert tickets.find(kept.hash, NOW) == kept


def test_revoked_are_all_of_one_user(tickets: SqlTickets) -> None:
    verify = replace(TICKET, hash=digest("verify"), purpose="verify")
    other = replace(TICKET, hash=digest("other"), user_id=USER.id)
    for ticket in (TICKET, verify, other):
        tickets.add(ticket)
    assert tickets.revoke(PLAIN_USER.id, NOW) == 2
    assert tickets.find(TICKET.hash, NOW) is None
    assert tickets.use(verify.hash, NOW) is None
    assert tickets.find(other.hash, NOW) == other
    assert tickets.revoke(PLAIN_USER.id, NOW) == 0


@pytest.mark.parametrize("odd", ["nobody", "a\0b", "\ud800", "x" * 5000])
def test_revoking_for_who_is_not_there(tickets: SqlTickets, odd: str) -> None:
    tickets.add(TICKET)
    assert tickets.revoke(odd, NOW) == 0
    assert tickets.find(TICKET.hash, NOW) == TICKET


def test_one_of_fifty_uses_it(tickets: SqlTickets) -> None:
    tickets.add(TICKET)
    answers = race(lambda _: tickets.use(TICKET.hash, NOW))
    assert [a for a in answers if a is not None] == [replace(TICKET, used_at=NOW)]


def test_of_fifty_made_at_once_one_is_live(tickets: SqlTickets) -> None:
    made = [replace(TICKET, hash=digest(f"token {n}")) for n in range(50)]
    race(lambda n: tickets.add(made[n]))
    assert sum(tickets.find(ticket.hash, NOW) is not None for ticket in made) == 1


def test_they_go_with_their_user(tickets: SqlTickets, database: Database) -> None:
    tickets.add(TICKET)
    SqlUsers(database).remove(PLAIN_USER.id)
    assert tickets.find(TICKET.hash, NOW) is None


def test_what_ended_is_forgotten(tickets: SqlTickets, database: Database) -> None:
    tickets.add(TICKET)
    assert purge(database, TICKET.expires_at - MICROSECOND) == 0
    assert tickets.find(TICKET.hash, NOW) == TICKET
    assert purge(database, TICKET.expires_at) == 1
    assert tickets.find(TICKET.hash, NOW) is None
