"""Users: one account per name, in any spelling."""

from dataclasses import replace

import pytest

from idp.errors import Conflict, NotFound, Refused
from idp.model import User
from idp.storage.authenticators import SqlAuthenticators
from idp.storage.consents import SqlConsents
from idp.storage.database import Database
from idp.storage.grants import SqlGrants
from idp.storage.seal import Sealer
from idp.storage.users import SqlUsers
from tests.contract.race import THREADS, race
from tests.contract.samples import AUTHENTICATOR, CODE, CONSENT, GRANT, NOW, PLAIN_USER, USER


@pytest.fixture
def users(database: Database) -> SqlUsers:
    return SqlUsers(database)


@pytest.mark.parametrize("user", [USER, PLAIN_USER])
def test_every_field_comes_back(users: SqlUsers, user: object) -> None:
    assert isinstance(user, type(USER))
    users.add(user)
    assert users.get(user.id) == user
    assert users.find(user.username) == user


def test_who_is_not_there(users: SqlUsers) -> None:
    users.add(USER)
    assert users.get("user-9") is None
    assert users.find("somebody") is None


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 5000])
def test_a_name_that_no_database_can_hold_is_nobody(users: SqlUsers, odd: str) -> None:
    assert users.find(odd) is None
    assert users.get(odd) is None


@pytest.mark.parametrize("spelling", ["käthe", "KÄTHE", "  Ka\u0308the ", "\uff2b\u00e4the"])
def test_found_by_any_spelling(users: SqlUsers, spelling: str) -> None:
    users.add(USER)
    assert users.find(spelling) == USER


def test_another_spelling_is_the_same_name(users: SqlUsers) -> None:
    users.add(USER)
    with pytest.raises(Conflict):
        users.add(replace(PLAIN_USER, username="KÄTHE"))
    assert users.get(PLAIN_USER.id) is None


def test_of_fifty_who_want_a_name_one_gets_it(users: SqlUsers) -> None:
    def add(number: int) -> bool:
        try:
            users.add(replace(PLAIN_USER, id=f"user-{number}"))
        except Conflict:
            return False
        return True

    assert sum(race(add)) == 1


def test_save_writes_every_field(users: SqlUsers) -> None:
    users.add(PLAIN_USER)
    changed = replace(USER, id=PLAIN_USER.id)
    users.save(changed)
    assert users.get(PLAIN_USER.id) == changed
    assert users.find(USER.username) == changed
    assert users.find(PLAIN_USER.username) is None


def test_save_touches_nobody_else(users: SqlUsers) -> None:
    users.add(USER)
    users.add(PLAIN_USER)
    users.save(replace(PLAIN_USER, disabled_at=NOW))
    assert users.get(USER.id) == USER


def test_save_of_who_is_gone(users: SqlUsers) -> None:
    with pytest.raises(NotFound):
        users.save(USER)


def test_save_under_a_taken_name(users: SqlUsers) -> None:
    users.add(USER)
    users.add(PLAIN_USER)
    with pytest.raises(Conflict):
        users.save(replace(PLAIN_USER, username="käthe"))
    assert users.get(PLAIN_USER.id) == PLAIN_USER


def test_a_verified_address_is_a_name_and_another_one_is_none(users: SqlUsers) -> None:
    unverified = replace(PLAIN_USER, email="Bob@Example.com")
    users.add(unverified)
    assert users.find("bob@example.com") is None
    users.save(replace(unverified, email_verified=True))
    assert users.find("BOB@example.com ") == replace(unverified, email_verified=True)
    users.save(replace(unverified, email="other@example.com", email_verified=True))
    assert users.find("bob@example.com") is None
    assert users.find("other@example.com")
    users.save(replace(unverified, email=None, email_verified=False))
    assert users.find("other@example.com") is None


def test_usernames_and_verified_addresses_are_one_namespace(users: SqlUsers) -> None:
    users.add(USER)  # k@example.com is verified
    with pytest.raises(Conflict):
        users.add(replace(PLAIN_USER, username="K@Example.com"))
    users.add(PLAIN_USER)
    verified = replace(PLAIN_USER, email="k@EXAMPLE.com", email_verified=True)
    with pytest.raises(Conflict):
        users.save(verified)
    assert users.get(PLAIN_USER.id) == PLAIN_USER
    users.save(replace(verified, email_verified=False))  # claimed alone, it takes nothing
    named = replace(PLAIN_USER, id="user-3", username="carl@example.com")
    users.add(named)
    with pytest.raises(Conflict):
        users.save(replace(PLAIN_USER, email="Carl@example.com", email_verified=True))
    assert users.find("carl@example.com") == named


def test_a_username_that_is_the_own_address_is_one_name(users: SqlUsers) -> None:
    own = replace(PLAIN_USER, username="bob@example.com", email="Bob@example.com")
    users.add(replace(own, email_verified=True))
    users.save(replace(own, email=None))
    assert users.find("bob@example.com") == replace(own, email=None)


def test_of_fifty_who_prove_an_address_one_has_it(users: SqlUsers) -> None:
    people = [replace(PLAIN_USER, id=f"user-{n}", username=f"n{n}") for n in range(THREADS)]
    for one in people:
        users.add(one)

    def verify(number: int) -> bool:
        try:
            users.save(replace(people[number], email="x@example.com", email_verified=True))
        except Conflict:
            return False
        return True

    assert sum(race(verify)) == 1


def test_names_are_free_again_when_their_user_is_gone(users: SqlUsers) -> None:
    users.add(USER)
    users.remove(USER.id)
    assert users.find("k@example.com") is None
    users.add(replace(PLAIN_USER, username="käthe", email=USER.email, email_verified=True))


def test_somebody_new_with_what_they_sign_in_with(database: Database, sealer: Sealer) -> None:
    authenticators = SqlAuthenticators(database, sealer)
    users = SqlUsers(database, authenticators.bind)
    users.add(PLAIN_USER, AUTHENTICATOR)
    assert authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR]


def test_somebody_new_whose_password_cannot_be_kept_is_not_there(
    database: Database, sealer: Sealer
) -> None:
    users = SqlUsers(database, SqlAuthenticators(database, sealer).bind)
    with pytest.raises(Conflict):
        users.add(PLAIN_USER, AUTHENTICATOR, AUTHENTICATOR)
    assert users.get(PLAIN_USER.id) is None
    assert users.find(PLAIN_USER.username) is None


def test_list_goes_page_by_page_in_order_of_id(users: SqlUsers) -> None:
    everyone = [replace(PLAIN_USER, id=f"u{n}", username=f"n{9 - n}") for n in range(5)]
    for user in reversed(everyone):
        users.add(user)
    assert users.list() == everyone
    assert users.list(limit=2) == everyone[:2]
    assert users.list(after="u1", limit=2) == everyone[2:4]
    assert users.list(after="u4") == []


def test_of_fifty_changes_at_once_none_is_lost(users: SqlUsers) -> None:
    users.add(PLAIN_USER)

    def append(number: int) -> None:
        users.change(
            PLAIN_USER.id, lambda user: replace(user, claims={**user.claims, f"n{number}": 1})
        )

    race(append)
    changed = users.get(PLAIN_USER.id)
    assert changed is not None
    assert len(changed.claims) == 50


def test_a_change_says_what_it_was_before(users: SqlUsers) -> None:
    users.add(PLAIN_USER)
    changed = replace(USER, id=PLAIN_USER.id)
    assert users.change(PLAIN_USER.id, lambda _: changed) == (PLAIN_USER, changed)
    assert users.find(USER.username) == changed
    assert users.find(PLAIN_USER.username) is None


def test_a_change_that_is_given_up_writes_nothing(users: SqlUsers) -> None:
    users.add(PLAIN_USER)

    def refuse(user: User) -> User:
        raise Refused("no")

    with pytest.raises(Refused):
        users.change(PLAIN_USER.id, refuse)
    users.save(PLAIN_USER)  # nothing is locked either
    assert users.get(PLAIN_USER.id) == PLAIN_USER


@pytest.mark.parametrize("odd", ["nobody", "a\0b", "\ud800"])
def test_a_change_of_who_is_not_there(users: SqlUsers, odd: str) -> None:
    with pytest.raises(NotFound):
        users.change(odd, lambda user: user)


def test_a_change_to_a_taken_name(users: SqlUsers) -> None:
    users.add(USER)
    users.add(PLAIN_USER)
    with pytest.raises(Conflict):
        users.change(PLAIN_USER.id, lambda user: replace(user, username="käthe", locale="xx"))
    assert users.get(PLAIN_USER.id) == PLAIN_USER


VERIFIED = replace(PLAIN_USER, email="Bob@Example.com", email_verified=True)


def test_a_verified_address_is_a_name(users: SqlUsers) -> None:
    users.add(VERIFIED)
    assert users.find("bob@example.COM") == VERIFIED
    with pytest.raises(Conflict):
        users.add(replace(USER, username="bob@example.com", email=None))
    with pytest.raises(Conflict):
        users.add(replace(USER, email="BOB@example.com", email_verified=True))


def test_an_address_that_was_only_claimed_is_no_name(users: SqlUsers) -> None:
    claimed = replace(VERIFIED, email_verified=False)
    users.add(claimed)
    assert users.find("bob@example.com") is None
    users.add(replace(USER, email="bob@example.com", email_verified=True))
    with pytest.raises(Conflict):
        users.save(VERIFIED)
    assert users.get(claimed.id) == claimed


def test_a_name_that_was_given_up_is_free(users: SqlUsers) -> None:
    users.add(VERIFIED)
    users.save(replace(VERIFIED, username="robert", email="r@example.com"))
    assert users.find("bob") is None
    assert users.find("bob@example.com") is None
    users.add(replace(USER, username="bob", email="bob@example.com", email_verified=True))


def test_ones_own_address_as_a_username_is_one_name(users: SqlUsers) -> None:
    own = replace(VERIFIED, username="bob@example.com")
    users.add(own)
    assert users.find("bob@example.com") == own
    users.save(replace(own, locale="de"))


def test_one_of_fifty_gets_an_address(users: SqlUsers) -> None:
    def claim(number: int) -> bool:
        user = replace(VERIFIED, id=f"u{number}", username=f"n{number}")
        try:
            users.add(user)
        except Conflict:
            return False
        return True

    assert sum(race(claim)) == 1
    assert len(users.list()) == 1


def test_who_is_removed_takes_names_and_grants_along(users: SqlUsers, database: Database) -> None:
    users.add(VERIFIED)
    grants, consents = SqlGrants(database), SqlConsents(database)
    mine = replace(GRANT, user_id=VERIFIED.id, session_id=None)
    grants.add(mine, replace(CODE, grant_id=mine.id))
    consents.save(replace(CONSENT, user_id=VERIFIED.id))
    assert users.remove(VERIFIED.id)
    assert not users.remove(VERIFIED.id)
    assert users.find("bob") is None
    assert grants.get(mine.id) is None
    assert consents.of(VERIFIED.id) == []
    users.add(VERIFIED)
