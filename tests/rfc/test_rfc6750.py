"""RFC 6750: bearer tokens, at userinfo."""

import pytest

from tests.house import House
from tests.rfc.tools import register

CHALLENGE = 'Bearer realm="userinfo"'


@pytest.fixture
def token(house: House) -> str:
    return str(house.tokens()["access_token"])


def test_2_1_in_the_header_of_a_get(house: House, token: str) -> None:
    response = house.call("/userinfo", bearer=token)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json["sub"] == house.users["ben"]["sub"]


def test_2_1_in_the_header_of_a_post(house: House, token: str) -> None:
    assert house.call("/userinfo", bearer=token, method="POST").status_code == 200
    assert house.call("/userinfo", {}, bearer=token).status_code == 200


def test_2_1_the_scheme_has_no_case(house: House, token: str) -> None:
    headers = {"Authorization": f"bEARER {token}"}
    assert house.call("/userinfo", headers=headers).status_code == 200


def test_2_2_in_the_body_of_a_form(house: House, token: str) -> None:
    assert house.call("/userinfo", {"access_token": token}).status_code == 200


def test_2_3_never_in_the_query(house: House, token: str) -> None:
    for method in ("GET", "POST"):
        response = house.call(f"/userinfo?access_token={token}", method=method)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == CHALLENGE


@pytest.mark.parametrize("form", [{"access_token": "{0}"}, {"access_token": "other"}])
def test_2_in_two_places(house: House, token: str, form: dict[str, str]) -> None:
    sent = {"access_token": form["access_token"].format(token)}
    response = house.call("/userinfo", sent, bearer=token)
    assert response.status_code == 400
    assert response.json["error"] == "invalid_request"
    assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


def test_2_twice_in_the_body(house: House, token: str) -> None:
    response = house.call("/userinfo", {"access_token": [token, token]})
    assert response.status_code == 400
    assert response.json["error"] == "invalid_request"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "x"}])
def test_3_1_no_token_no_error_code(shared: House, headers: dict[str, str]) -> None:
    response = shared.call("/userinfo", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == CHALLENGE
    assert response.data == b""


@pytest.mark.parametrize("bad", ["x", "a.b.c", "e30.e30.e30", "\xe9\xff.a.b", "a" * 20000])
def test_3_1_invalid_token(shared: House, bad: str) -> None:
    response = shared.call("/userinfo", bearer=bad)
    assert response.status_code == 401
    assert response.json["error"] == "invalid_token"
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_3_1_a_changed_token(house: House, token: str) -> None:
    changed = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
    assert house.call("/userinfo", bearer=token).status_code == 200
    assert house.call("/userinfo", bearer=changed).status_code == 401


def test_3_1_insufficient_scope_names_what_is_needed(house: House) -> None:
    form = {"grant_type": "client_credentials"}
    service = house.call("/token", form, client="service").json["access_token"]
    response = house.call("/userinfo", bearer=service)
    assert response.status_code == 403
    assert response.json["error"] == "insufficient_scope"
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith(CHALLENGE)
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="openid"' in challenge


def test_3_1_a_plain_oauth_token_of_a_person_has_not_enough_scope(house: House) -> None:
    register(
        house, "plain", redirect_uris=("http://localhost:8001/callback",), scopes=("api:read",)
    )
    token = house.tokens(client="plain", scope="api:read")["access_token"]
    assert house.call("/userinfo", bearer=token).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods(shared: House, method: str) -> None:
    response = shared.call("/userinfo", method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"
