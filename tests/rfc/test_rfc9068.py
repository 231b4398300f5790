"""RFC 9068: access tokens are JWTs of a type of their own."""

from datetime import timedelta

import pytest

from idp.oidc import verify_jws
from idp.oidc.verify import InvalidJws
from tests.house import House, Request
from tests.rfc.tools import claims_of, header_of, register

SERVICE = {"grant_type": "client_credentials"}


def service_token(house: House) -> str:
    return str(house.call("/token", SERVICE, client="service").json["access_token"])


def test_2_1_header(house: House) -> None:
    header = header_of(service_token(house))
    assert set(header) == {"alg", "typ", "kid"}
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"


def test_2_1_anybody_can_verify_it_with_the_jwks(house: House) -> None:
    jwks = house.call("/jwks").json
    found = verify_jws(service_token(house), jwks, ["ES256"])
    assert found.payload["iss"] == house.issuer
    with pytest.raises(InvalidJws):
        verify_jws(service_token(house), jwks, ["RS256"])


@pytest.mark.parametrize("alg", ["ES256", "RS256", "Ed25519"])
def test_2_1_the_algorithm_of_the_clients_record(house: House, alg: str) -> None:
    register(house, "x", grant_types=("client_credentials",), scopes=("a",), access_token_alg=alg)
    token = house.call("/token", SERVICE, client="x").json["access_token"]
    assert header_of(token)["alg"] == alg
    assert verify_jws(token, house.call("/jwks").json, [alg]).payload["client_id"] == "x"


def test_2_2_claims_of_a_service(house: House) -> None:
    claims = claims_of(service_token(house))
    now = int(house.clock().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": house.issuer,
        "sub": "service",
        "client_id": "service",
        "aud": house.issuer,
        "iat": now,
        "exp": now + 300,
        "scope": "api:read api:write",
    }


def test_2_2_claims_of_a_person(house: House) -> None:
    claims = claims_of(house.tokens("ana")["access_token"])
    signed_in = int(house.clock().timestamp())
    assert claims["sub"] == house.users["ana"]["sub"]
    assert claims["client_id"] == "web"
    assert claims["acr"] == "aal2"
    assert claims["amr"] == ["pwd", "otp", "mfa"]
    assert claims["auth_time"] == signed_in - 30, "the oldest proof that counts"
    assert claims["scope"] == "openid profile email"
    assert not {"email", "name", "nonce"} & set(claims), "no more of the person than is needed"


def test_2_2_every_token_has_its_own_jti(house: House) -> None:
    assert len({claims_of(service_token(house))["jti"] for _ in range(20)}) == 20


def test_4_an_expired_token_is_refused(house: House) -> None:
    token = house.tokens()["access_token"]
    house.clock.advance(timedelta(seconds=299))
    assert house.call("/userinfo", bearer=token).status_code == 200
    house.clock.advance(timedelta(seconds=1))
    assert house.call("/userinfo", bearer=token).status_code == 401


def test_5_an_id_token_is_no_access_token(house: House) -> None:
    tokens = house.tokens(more={"resource": None})
    assert house.call("/userinfo", bearer=tokens["id_token"]).status_code == 401
    response = house.call("/introspect", {"token": tokens["id_token"]}, client="web")
    assert response.json == {"active": False}


def test_5_an_access_token_is_no_hint(house: House) -> None:
    hint = house.tokens()["access_token"]
    response = house.browser().authorize(Request(more={"id_token_hint": hint}))
    assert "error=invalid_request" in response.headers["Location"]
