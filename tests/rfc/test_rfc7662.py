"""RFC 7662: introspection. Who asks must prove itself, and learns of its own tokens only."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.house import House
from tests.rfc.tools import API, basic, claims_of, introspect, refresh, refused, register

INACTIVE = {"active": False}


def test_2_2_an_access_token(house: House) -> None:
    token = house.tokens()["access_token"]
    found = introspect(house, token)
    claims = claims_of(token)
    assert found.pop("active") is True
    assert found.pop("token_type") == "Bearer"
    assert found == {name: value for name, value in claims.items() if name != "grant"}


def test_2_2_a_refresh_token(house: House) -> None:
    tokens = house.tokens()
    found = introspect(house, tokens["refresh_token"])
    now = int(house.clock().timestamp())
    assert found == {
        "active": True,
        "client_id": "web",
        "sub": house.users["ben"]["sub"],
        "scope": "openid profile email",
        "iat": now,
        "exp": now + 30 * 86400,
    }


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_2_1_the_hint_is_only_a_hint(house: House, hint: str, kind: str) -> None:
    token = house.tokens()[kind]
    response = house.call("/introspect", {"token": token, "token_type_hint": hint}, client="web")
    assert response.json["active"] is True


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "\x00", "ä", "a" * 20000])
def test_2_2_nonsense_is_inactive(house: House, token: str) -> None:
    assert introspect(house, token) == INACTIVE


def test_2_2_nothing_is_cached(house: House) -> None:
    response = house.call("/introspect", {"token": "x"}, client="web")
    assert response.headers["Cache-Control"] == "no-store"


def test_2_1_a_get_is_refused(house: House) -> None:
    assert house.call("/introspect?token=x", client="web").status_code == 405


def test_2_1_a_token_is_needed(house: House) -> None:
    refused(house.call("/introspect", {}, client="web"), "invalid_request")
    refused(house.call("/introspect", {"token": ["a", "b"]}, client="web"), "invalid_request")


def test_2_1_and_tk_14_whoever_asks_must_authenticate(house: House) -> None:
    token = house.tokens()["access_token"]
    refused(house.call("/introspect", {"token": token}), "invalid_client", 401)
    wrong = house.call("/introspect", {"token": token}, headers=basic("web", "wrong"))
    refused(wrong, "invalid_client", 401)
    bearer = house.call("/introspect", {"token": token}, bearer=token)
    refused(bearer, "invalid_client", 401)


def test_2_1_a_public_client_may_not(house: House) -> None:
    response = house.call("/introspect", {"token": "x", "client_id": "native"})
    refused(response, "unauthorized_client")


def test_4_and_tk_14_another_clients_tokens_look_inactive(house: House) -> None:
    tokens = house.tokens()
    assert introspect(house, tokens["access_token"], "service") == INACTIVE
    assert introspect(house, tokens["refresh_token"], "service") == INACTIVE


def test_4_a_resource_server_learns_of_tokens_meant_for_it(house: House) -> None:
    token = house.tokens(more={"resource": API})["access_token"]
    assert introspect(house, token, "service")["active"] is True
    register(house, "blind", grant_types=("client_credentials",), scopes=("x",))
    assert introspect(house, token, "blind") == INACTIVE


def test_2_2_inactive_once_expired(house: House) -> None:
    tokens = house.tokens()
    house.clock.advance(timedelta(minutes=5))
    assert introspect(house, tokens["access_token"]) == INACTIVE
    house.clock.advance(timedelta(days=30))
    assert introspect(house, tokens["refresh_token"]) == INACTIVE


def test_2_2_a_rotated_refresh_token_is_inactive(house: House) -> None:
    first = house.tokens()["refresh_token"]
    second = refresh(house, first).json["refresh_token"]
    assert introspect(house, first) == INACTIVE
    assert introspect(house, second)["active"] is True


def test_2_2_inactive_once_the_client_is_disabled(house: House) -> None:
    token = house.tokens(more={"resource": API})["access_token"]
    record = house.app.stores.clients.get("web")
    assert record is not None
    house.app.stores.clients.save(replace(record, disabled_at=house.clock()))
    house.clock.advance(timedelta(seconds=10))
    assert introspect(house, token, "service") == INACTIVE
