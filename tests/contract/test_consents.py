"""Consents: one per user and client, replaced whole, withdrawn whole."""

from dataclasses import replace

import pytest

from idp.storage.consents import SqlConsents
from idp.storage.database import Database
from tests.contract.race import race
from tests.contract.samples import CONSENT, MINUTE, NOW


@pytest.fixture
def consents(database: Database) -> SqlConsents:
    return SqlConsents(database)


def test_every_field_comes_back(consents: SqlConsents) -> None:
    consents.save(CONSENT)
    found = consents.get(CONSENT.user_id, CONSENT.client_id)
    assert found == CONSENT
    assert found is not None
    assert isinstance(found.scopes, frozenset)


def test_another_pair_has_none(consents: SqlConsents) -> None:
    consents.save(CONSENT)
    assert consents.get(CONSENT.user_id, "client-2") is None
    assert consents.get("user-2", CONSENT.client_id) is None


def test_saving_again_replaces_it(consents: SqlConsents) -> None:
    consents.save(CONSENT)
    less = replace(
        CONSENT, scopes=frozenset({"openid"}), resources=frozenset(), granted_at=NOW + MINUTE
    )
    consents.save(less)
    assert consents.get(CONSENT.user_id, CONSENT.client_id) == less
    assert consents.of(CONSENT.user_id) == [less]


def test_withdraw_one_pair(consents: SqlConsents) -> None:
    others = [replace(CONSENT, client_id="client-2"), replace(CONSENT, user_id="user-2")]
    for consent in (CONSENT, *others):
        consents.save(consent)
    assert consents.withdraw(CONSENT.user_id, CONSENT.client_id)
    assert not consents.withdraw(CONSENT.user_id, CONSENT.client_id)
    assert consents.get(CONSENT.user_id, CONSENT.client_id) is None
    assert consents.of(CONSENT.user_id) == others[:1]
    assert consents.of("user-2") == others[1:]


def test_of_a_user_in_order_of_client(consents: SqlConsents) -> None:
    second = replace(CONSENT, client_id="client-2")
    consents.save(second)
    consents.save(CONSENT)
    assert consents.of(CONSENT.user_id) == [CONSENT, second]


def test_fifty_saves_at_once_leave_one(consents: SqlConsents) -> None:
    race(lambda n: consents.save(replace(CONSENT, scopes=frozenset({f"s{n}"}))))
    assert len(consents.of(CONSENT.user_id)) == 1
