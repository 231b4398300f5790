"""What a request costs, counted: calls of every port, and SQL statements that reach SQLite.

Exact on any machine, and the same with one user, client and token as with many. The audit
trail's own thread writes its batches after the answer; it is left out.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Pool, event

from idp import settings as configuration
from idp.app import create_app
from idp.dev import seeds
from idp.messaging.outbox import Outbox
from idp.model import Client
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.ports import Stores
from idp.storage.open import open_stores, upgrade
from tests.house import ISSUER, RELYING_PARTY, House, Request, TestClock, answer_of

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
STORES = [f.name for f in fields(Stores) if f.name not in {"close", "healthy", "purge"}]
MANY = 50


class Counts:
    """Calls and statements of every thread but the audit trail's."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.statements: list[str] = []

    def call(self, name: str) -> None:
        if threading.current_thread().name != "audit":
            self.calls[name] += 1

    def statement(self, sql: str) -> None:
        if threading.current_thread().name != "audit":
            self.statements.append(sql)

    @property
    def sql(self) -> dict[str, int]:
        """Reads and writes; BEGIN and COMMIT are no statements of their own."""
        verbs = Counter(sql.split(None, 1)[0].upper() for sql in self.statements)
        reads = verbs.pop("SELECT", 0)
        for verb in ("BEGIN", "COMMIT"):
            verbs.pop(verb, None)
        verbs.pop("PRAGMA", None)  # a connection that was opened just now
        assert set(verbs) <= {"INSERT", "UPDATE", "DELETE"}, verbs
        return {"reads": reads, "writes": sum(verbs.values())}


class Counted:
    """A store whose every call is counted."""

    def __init__(self, name: str, store: Any, counts: Counts) -> None:
        self._name, self._store, self._counts = name, store, counts

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._store, verb)

        def counted(*given: Any, **named: Any) -> Any:
            self._counts.call(f"{self._name}.{verb}")
            return method(*given, **named)

        return counted


@pytest.fixture(scope="module")
def counts() -> Counts:
    return Counts()


@pytest.fixture(scope="module", params=[1, MANY], ids=["one", "many"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, counts: Counts
) -> Iterator[House]:
    """The seeded provider; "many" has 50 more users, clients and tokens of each kind."""
    with traced(counts):
        built = build(tmp_path_factory.mktemp("counted"), counts)
        if request.param == MANY:
            fill(built)
        yield built
        built.app.close()


@contextmanager
def traced(counts: Counts) -> Iterator[None]:
    """Every statement that the driver executes, on every connection made from now on."""

    def connected(connection: Any, _record: object) -> None:
        connection.set_trace_callback(counts.statement)

    event.listen(Pool, "connect", connected)
    try:
        yield
    finally:
        event.remove(Pool, "connect", connected)


def build(folder: Path, counts: Counts) -> House:
    settings = configuration.read(issuer=ISSUER, dev=True, state_dir=folder, factors=CHEAP)
    upgrade(settings)
    clock = TestClock()
    stores = open_stores(settings, clock)
    counted: dict[str, Any] = {
        name: Counted(name, getattr(stores, name), counts) for name in STORES
    }
    outbox = Outbox(clock)
    app = create_app(settings, replace(stores, **counted), clock=clock, messenger=outbox)
    acrs = tuple(app.policy.acrs)
    users = UserAdmin(stores, app.factors, app.sessions, app.bus, clock, ISSUER, acrs)
    clients = ClientAdmin(stores.clients, app.bus, clock, acrs)
    people = {user["username"]: user for user in seeds.people(users, app.authenticators)}
    known = {c["client_id"]: c for c in seeds.clients(clients, RELYING_PARTY, ISSUER)}
    return House(app, clock, outbox, people, known, users, clients, ISSUER)


def fill(house: House) -> None:
    for number in range(MANY):
        house.user_admin.add(f"user{number}", actor="test", email=f"u{number}@example.com")
        house.client_admin.add(
            Client(
                client_id=f"client{number}",
                name="x",
                created_at=house.clock(),
                grant_types=("client_credentials",),
            ),
            actor="test",
        )
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    for _ in range(MANY):  # sessions hold; each is a grant, a code and two refresh tokens
        request = Request()
        tokens = house.redeem(request, browser.sign_in(request, "ben")["code"], "web").json
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert house.call("/token", form, client="web").status_code == 200


@contextmanager
def counting(house: House, counts: Counts, *, cold: bool = False) -> Iterator[Counts]:
    """Clients are cached, unless `cold`; the key ring is."""
    if cold:
        house.clock.advance(timedelta(seconds=6))
    house.call("/jwks")
    if not cold:
        for client in ("web", "service"):
            house.call("/introspect", {"token": "x"}, client=client)
    counts.calls.clear()
    counts.statements.clear()
    yield counts


LOGIN = {
    "users.find": 1,
    "users.get": 1,
    "authenticators.of": 2,
    "authenticators.save": 1,
    "attempts.count": 1,
    "attempts.reset": 1,
    "ephemeral.put": 3,  # begun and asked, proven, finished
    "ephemeral.get": 2,
    "ephemeral.take": 1,
    "sealing.seal": 2,
    "sealing.open": 3,
    "sessions.add": 1,
    "grants.add": 1,
    "audit.append": 2,  # owed before the answer: the factor, the sign-in
}
SINGLE_SIGN_ON = {
    "sessions.find": 1,
    "sessions.get": 1,
    "users.get": 1,
    "authenticators.of": 1,
    "grants.add": 1,
    "audit.append": 1,
}
SERVICE = {"grant_type": "client_credentials"}


def test_client_credentials_reads_nothing(house: House, counts: Counts) -> None:
    with counting(house, counts):
        assert house.call("/token", SERVICE, client="service").status_code == 200
    assert counts.calls == {}
    assert counts.sql == {"reads": 0, "writes": 0}


def test_client_credentials_reads_a_client_that_is_not_cached(house: House, counts: Counts) -> None:
    with counting(house, counts, cold=True):
        assert house.call("/token", SERVICE, client="service").status_code == 200
    assert counts.calls == {"clients.get": 1}
    assert counts.sql == {"reads": 1, "writes": 0}


def test_a_wrong_secret_costs_no_more(house: House, counts: Counts) -> None:
    form = {**SERVICE, "client_id": "service", "client_secret": "wrong"}
    with counting(house, counts):
        assert house.call("/token", form).status_code == 401
    assert counts.calls == {}
    assert counts.sql == {"reads": 0, "writes": 0}


@pytest.mark.parametrize("path", ["/jwks", "/.well-known/openid-configuration"])
def test_documents_read_nothing(house: House, counts: Counts, path: str) -> None:
    with counting(house, counts):
        assert house.call(path).status_code == 200
    assert counts.calls == {}
    assert counts.statements == []


def test_introspection_is_one_statement(house: House, counts: Counts) -> None:
    token = house.tokens("ben")["access_token"]
    with counting(house, counts):
        answer = house.call("/introspect", {"token": token}, client="web")
        assert answer.json["active"] is True
    assert counts.calls == {"grants.standing": 1}
    assert counts.sql == {"reads": 1, "writes": 0}


def test_userinfo(house: House, counts: Counts) -> None:
    """Its standing, its user, its grant for the `claims` that were asked."""
    token = house.tokens("ben")["access_token"]
    with counting(house, counts):
        assert house.call("/userinfo", bearer=token).status_code == 200
    assert counts.calls == {"grants.standing": 1, "users.get": 1, "grants.get": 1}
    assert counts.sql == {"reads": 3, "writes": 0}


def test_refresh(house: House, counts: Counts) -> None:
    """The token and its successor change hands in one transaction: two writes, no more."""
    token = house.tokens("ben")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    with counting(house, counts):
        assert house.call("/token", form, client="web").status_code == 200
    assert counts.calls == {
        "grants.find_refresh": 1,
        "grants.get": 1,
        "users.get": 1,
        "grants.rotate_refresh": 1,
    }
    assert counts.sql == {"reads": 3, "writes": 2}


def test_code_exchange(house: House, counts: Counts) -> None:
    request = Request()
    code = house.browser().sign_in(request, "ben")["code"]
    with counting(house, counts):
        assert house.redeem(request, code, "web").status_code == 200
    assert counts.calls == {
        "grants.peek_code": 1,
        "grants.get": 1,
        "users.get": 1,
        "grants.use_code": 1,
    }
    assert counts.sql == {"reads": 3, "writes": 2}


def test_revocation(house: House, counts: Counts) -> None:
    token = house.tokens("ben")["access_token"]
    with counting(house, counts):
        assert house.call("/revoke", {"token": token}, client="web").status_code == 200
    assert counts.sql["writes"] == 2  # the token, and the audit row that is owed before the answer
    assert counts.calls["grants.revoke_token"] == 1


def test_a_whole_login(house: House, counts: Counts) -> None:
    """/authorize, the page, the password: three requests."""
    browser = house.browser()
    with counting(house, counts):
        browser.authorize(Request())
        response = browser.submit(username="ben", password=house.users["ben"]["password"])
        assert answer_of(response)["code"]
    assert dict(counts.calls) == LOGIN
    assert counts.sql == {"reads": 7, "writes": 12}


def test_single_sign_on(house: House, counts: Counts) -> None:
    """With a session, /authorize answers at once."""
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    with counting(house, counts):
        assert answer_of(browser.authorize(Request()))["code"]
    assert dict(counts.calls) == SINGLE_SIGN_ON
    assert counts.sql == {"reads": 5, "writes": 3}
