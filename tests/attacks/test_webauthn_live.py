"""MF-11 against `idp serve`: embedded (one process, SQLite) and two workers over PostgreSQL with
Redis. Every request is on a connection of its own.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from idp.testing.passkey import VirtualPasskey
from tests.contract.race import THREADS, race
from tests.house import Request
from tests.services import fresh_database
from tests.serving import ISSUER, Place, Serving, Visitor, serving, until

POLICY = """
[acr.aal1]
any_of = [["password"], ["passkey"]]
[acr.aal2]
any_of = [["password", ["webauthn"]], ["passkey"]]
"""
AAL2 = {"acr_values": "aal2"}
Json = dict[str, Any]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.xdist_group("webauthn-embedded")),
        pytest.param("workers", marks=pytest.mark.xdist_group("webauthn-workers")),
    ],
)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    place = Place(tmp_path_factory.mktemp(request.param))
    if request.param == "embedded":
        place.configure(POLICY)
    else:
        postgres = request.getfixturevalue("postgres_url")
        redis = request.getfixturevalue("redis_url")
        Redis.from_url(redis).flushdb()
        storage = f'[storage]\ndatabase_url = "{fresh_database(postgres)}"\nredis_url = "{redis}"\n'
        place.configure(storage + POLICY, server="workers = 2")
    place.seed()
    with serving(place) as found:
        if request.param == "workers":
            until(lambda: len(found.workers()) == 2)
        yield found


def options(public: Json) -> Json:
    found: Json = public["publicKey"]
    return found


def led_to_registration(live: Serving, username: str) -> tuple[Visitor, Json]:
    visitor = Visitor(live)
    page = visitor.begin(Request(more=AAL2))
    password = live.described["users"][username]["password"]
    page = visitor.answer(page, username=username, password=password).json()
    assert (page["step"], page["factor"]) == ("enroll", "webauthn"), page
    return visitor, page


def bound(live: Serving, username: str) -> int:
    sub = live.described["users"][username]["sub"]
    with live.core() as core:
        return sum(a.factor == "webauthn" for a in core.authenticators.of(sub))


def outcomes(visitor: Visitor, page: Json, **fields: str) -> Counter[bool]:
    """Fifty at once with the same answer, in the same visit: who was let in."""

    def send(_: int) -> bool:
        other = Visitor(visitor.place, visitor.cookies)
        return bool(other.answer(page, **fields).json().get("step") == "done")

    return Counter(race(send))


def test_mf_11_one_registration_binds_once_and_one_assertion_opens_once(live: Serving) -> None:
    device = VirtualPasskey(ISSUER)
    visitor, page = led_to_registration(live, "ben")
    made = json.dumps(device.create(options(page["public"])))

    assert outcomes(visitor, page, credential=made, enroll="1") == {True: 1, False: THREADS - 1}
    assert bound(live, "ben") == 1

    visitor = Visitor(live)
    page = visitor.begin(Request())
    (beside,) = page["beside"]
    signed = json.dumps(device.get(options(beside["public"])))

    answer = {"credential": signed, "factor": "passkey"}
    assert outcomes(visitor, page, **answer) == {True: 1, False: THREADS - 1}
