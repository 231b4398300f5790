"""RFC 7009: revocation."""

import pytest

from tests.house import House, Request
from tests.rfc.tools import API, introspect, refresh, refused


def revoke(house: House, token: str, client: str = "web") -> None:
    response = house.call("/revoke", {"token": token}, client=client)
    assert response.status_code == 200
    assert response.data == b""


def test_2_1_a_refresh_token_ends_its_grant(house: House) -> None:
    tokens = house.tokens()
    revoke(house, tokens["refresh_token"])
    refused(refresh(house, tokens["refresh_token"]), "invalid_grant")
    assert introspect(house, tokens["access_token"]) == {"active": False}
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401


def test_2_1_an_old_generation_ends_the_grant_too(house: House) -> None:
    first = house.tokens()["refresh_token"]
    second = refresh(house, first).json["refresh_token"]
    revoke(house, first)
    refused(refresh(house, second), "invalid_grant")


def test_2_1_an_access_token_ends_alone(house: House) -> None:
    tokens = house.tokens()
    revoke(house, tokens["access_token"])
    assert introspect(house, tokens["access_token"]) == {"active": False}
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401
    assert refresh(house, tokens["refresh_token"]).status_code == 200


def test_2_1_a_services_token(house: House) -> None:
    form = {"grant_type": "client_credentials"}
    token = house.call("/token", form, client="service").json["access_token"]
    assert introspect(house, token, "service")["active"] is True
    revoke(house, token, "service")
    assert introspect(house, token, "service") == {"active": False}


def test_2_1_a_public_client_revokes_its_own(house: House) -> None:
    request = Request(client_id="native", redirect_uri="http://127.0.0.1:5/callback")
    code = house.browser().sign_in(request, "ben")["code"]
    tokens = house.redeem(request, code, "native").json
    form = {"token": tokens["refresh_token"], "client_id": "native"}
    assert house.call("/revoke", form).status_code == 200
    form = {
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
        "client_id": "native",
    }
    refused(house.call("/token", form), "invalid_grant")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_2_1_and_tk_14_anothers_token_is_left_alone(house: House, kind: str) -> None:
    tokens = house.tokens(more={"resource": API})
    revoke(house, tokens[kind], "service")
    assert introspect(house, tokens[kind])["active"] is True


@pytest.mark.parametrize("token", ["x", "a.b.c", "ä", "\x00"])
def test_2_2_an_unknown_token_is_200(house: House, token: str) -> None:
    revoke(house, token)


def test_2_2_twice_is_200(house: House) -> None:
    token = house.tokens()["refresh_token"]
    revoke(house, token)
    revoke(house, token)


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_2_1_the_hint_is_only_a_hint(house: House, hint: str) -> None:
    token = house.tokens()["refresh_token"]
    form = {"token": token, "token_type_hint": hint}
    assert house.call("/revoke", form, client="web").status_code == 200
    refused(refresh(house, token), "invalid_grant")


def test_2_1_whoever_asks_must_authenticate(house: House) -> None:
    token = house.tokens()["refresh_token"]
    refused(house.call("/revoke", {"token": token}), "invalid_client", 401)
    refused(house.call("/revoke", {"token": token, "client_id": "web"}), "invalid_client", 401)
    assert refresh(house, token).status_code == 200


def test_2_1_a_token_is_needed(house: House) -> None:
    refused(house.call("/revoke", {}, client="web"), "invalid_request")


def test_2_1_post_alone(house: House) -> None:
    assert house.call("/revoke?token=x", client="web").status_code == 405
