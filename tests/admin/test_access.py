"""Every operation of the admin API, with every kind of token that does not open it."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from idp.oidc.verify import InvalidJws
from idp.web.admin.build import AdminServices, operations
from idp.web.admin.build import build as build_admin
from idp.web.admin.operations import PREFIX, Operation
from tests.admin.conftest import ALL, Admin, token_of
from tests.house import ADMIN_TOKEN, House, Request, build

UNTRIED: Any = None
TABLE = operations(
    AdminServices(*(UNTRIED,) * 10)  # the table itself needs no service
)
BY_ID = [pytest.param(operation, id=operation.id) for operation in TABLE]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = build(tmp_path_factory.mktemp("access"), web={"machine_failure_rate": "10000/minute"})
    yield built
    built.app.close()


@pytest.fixture(scope="module")
def keys(house: House) -> dict[str, str]:
    """Tokens that open nothing, by why."""
    right = token_of(house)
    revoked = token_of(house)
    house.call("/revoke", {"token": revoked}, client="admin")
    elsewhere = house.call("/token", {"grant_type": "client_credentials"}, client="service").json[
        "access_token"
    ]
    person = house.tokens("ben", more={"resource": "https://api.example.com"})["access_token"]
    head, _, signature = right.rpartition(".")
    return {
        "nothing": "",
        "garbage": "garbage",
        "another audience": elsewhere,
        "a person's": person,
        "revoked": revoked,
        "forged": f"{head}.{'A' * len(signature)}",
        "of a disabled client": disabled(house),
        "of another issuer": resigned(house, iss="https://elsewhere.example"),
        "expired": resigned(house, exp=int(house.clock().timestamp())),
        "bound to a key": resigned(house, cnf={"jkt": "x"}),
        "an ID token": house.tokens("ben")["id_token"],
        "nearly the one of development": ADMIN_TOKEN[:-1],
    }


def disabled(house: House) -> str:
    """A token of a client that has every scope, and was disabled since."""
    client = replace(house.app.stores.clients.get("admin"), client_id="former")
    secret = house.client_admin.add(client, actor="test").secret
    house.clients = {**house.clients, "former": {"client_secret": secret}}
    token = token_of(house, client="former")
    now = house.clock()
    house.client_admin.change("former", lambda c: replace(c, disabled_at=now), actor="test")
    return token


def resigned(house: House, **claims: Any) -> str:
    """A right token with other claims, signed with the provider's own key."""
    payload = token_of(house).split(".")[1]
    given = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    (key,) = [k for k in house.app.stores.signing_keys.all() if k.alg == "ES256"]
    head = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(head, {**given, **claims}, ECKey.import_key(json.loads(key.private)))


def call(house: House, operation: Operation, token: str) -> Any:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", "nobody")
    return Admin(house, token).send(operation.method, path)


def test_every_operation_has_an_id_and_a_place_of_its_own() -> None:
    assert len({o.id for o in TABLE}) == len(TABLE) > 15
    assert len({(o.method, o.path) for o in TABLE}) == len(TABLE)


@pytest.mark.parametrize("operation", BY_ID)
def test_no_token_but_a_right_one_opens_it(
    house: House, keys: dict[str, str], operation: Operation
) -> None:
    for why, token in keys.items():
        answer = call(house, operation, token)
        assert answer.status_code == 401, why
        assert answer.mimetype == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_of_the_same_making_with_the_right_claims_does(house: House) -> None:
    """Or the ones above would be refused for how they were made."""
    assert Admin(house, resigned(house)).get("/users").status_code == 200


@pytest.mark.parametrize("operation", BY_ID)
def test_another_scope_is_not_enough(house: House, operation: Operation) -> None:
    others = " ".join(scope for scope in ALL.split() if scope != operation.scope)
    answer = call(house, operation, token_of(house, others))
    assert answer.status_code == 403
    assert f'scope="{operation.scope}"' in answer.headers["WWW-Authenticate"]
    assert answer.json["code"] == "insufficient_scope"


@pytest.mark.parametrize("operation", BY_ID)
def test_its_own_scope_is(house: House, operation: Operation) -> None:
    assert call(house, operation, token_of(house, operation.scope)).status_code not in {401, 403}


def test_who_guards_nothing_is_told(house: House) -> None:
    """A guarded operation whose handler forgets to look at the state would change it."""
    guarded = [operation for operation in TABLE if operation.guarded]
    assert len(guarded) == 5
    user = house.users["ana"]["sub"]
    held = house.app.authenticators.of(user)[0].id
    admin = Admin(house, token_of(house))
    bodies = {
        "changeUser": {"locale": "fr"},
        "changeClient": {},
        "renameAuthenticator": {"name": "x"},
    }
    for operation in guarded:
        path = operation.path.format(user_id=user, authenticator_id=held, client_id="web")
        body = bodies.get(operation.id)
        assert admin.send(operation.method, path, body).status_code == 428, operation.id
        answer = admin.send(operation.method, path, body, {"If-Match": '"other"'})
        assert answer.status_code == 412, operation.id


@pytest.mark.parametrize("operation", BY_ID)
def test_the_token_of_development_is(house: House, operation: Operation) -> None:
    assert call(house, operation, ADMIN_TOKEN).status_code not in {401, 403}


def test_a_token_ends(house: House) -> None:
    token = token_of(house)
    house.clock.advance(timedelta(hours=1))
    assert Admin(house, token).get("/users").status_code == 401


def test_a_token_in_the_address_is_none(house: House) -> None:
    answer = Admin(house, "").get(f"/users?access_token={token_of(house)}")
    assert answer.status_code == 401


class Refuses:
    """No token is one of this provider's."""

    def verify_access_token(self, *_: Any) -> None:
        raise InvalidJws("not a token")


@pytest.mark.parametrize(("dev", "status"), [(True, 200), (False, 401)])
def test_outside_development_the_token_of_development_opens_nothing(
    house: House, dev: bool, status: int
) -> None:
    settings = house.app.settings.model_copy(update={"dev": dev})
    services = AdminServices(
        house.user_admin,
        house.client_admin,
        house.app.authenticators,
        house.app.management,
        house.app.stores,
        cast(Any, Refuses()),
        UNTRIED,
        house.app.bus,
        house.clock,
        lambda *_: None,
        ADMIN_TOKEN,
    )
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    client = build_admin(settings, services).test_client()
    assert client.get("/users", headers=headers).status_code == status


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    built = build(tmp_path, web={"machine_failure_rate": "3/minute"})
    guesser = Admin(built, "garbage")
    assert [guesser.get("/users").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    built.app.close()


def test_refusals_are_events(tmp_path: Path) -> None:
    built = build(tmp_path)
    Admin(built, "garbage").get("/users")
    Admin(built, token_of(built, "admin:clients:read")).get("/users")
    built.app.close()
    rows = [row for _, row in built.app.stores.audit.read(limit=1000)]
    refused = [row for row in rows if row.event == "admin_refused"]
    assert [(r.detail["operation"], r.client_id or "") for r in refused] == [
        ("listUsers", ""),
        ("listUsers", "admin"),
    ]


def test_the_description_needs_no_token(house: House) -> None:
    answer = Admin(house, "").get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json["openapi"] == "3.1.0"
    described = {
        (method.upper(), path)
        for path, methods in answer.json["paths"].items()
        for method in methods
    }
    assert described == {(o.method, o.path) for o in TABLE}


def test_a_cookie_of_a_person_opens_nothing(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    answer = browser.http.get(f"{PREFIX}/users", base_url=house.issuer)
    assert answer.status_code == 401
