"""RFC 7523 section 3 with the audience rule of rfc7523bis: private_key_jwt. Attack TK-08."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.house import House
from tests.rfc.jose import Key, ed25519_key, es256, es256_from, hs256, rs256
from tests.rfc.tools import refused, register

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT = "service-jwt"


@pytest.fixture
def key(house: House) -> Key:
    return es256_from(house.clients[CLIENT]["private_jwk"])


def claims(house: House, client: str = CLIENT, **more: Any) -> dict[str, Any]:
    """Those of a good assertion; None leaves one out."""
    now = int(house.clock().timestamp())
    whole = {
        "iss": client,
        "sub": client,
        "aud": house.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": "j1",
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def present(house: House, assertion: str, **more: Any) -> TestResponse:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
        **more,
    }
    return house.call("/token", {name: value for name, value in form.items() if value is not None})


def test_3_a_good_assertion(house: House, key: Key) -> None:
    assert present(house, key.sign(claims(house))).status_code == 200


@pytest.mark.parametrize("client_id", [CLIENT, None])
def test_2_2_client_id_beside_it_is_optional_and_must_agree(
    house: House, key: Key, client_id: str | None
) -> None:
    assert present(house, key.sign(claims(house)), client_id=client_id).status_code == 200
    other = present(house, key.sign(claims(house, jti="j2")), client_id="service")
    refused(other, "invalid_client", 401)


@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
def test_3_allowed_types(house: House, key: Key, typ: str | None) -> None:
    assert present(house, key.sign(claims(house), typ=typ)).status_code == 200


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "logout+jwt", "jwt", 1, ["JWT"]])
def test_jw_05_other_types(house: House, key: Key, typ: Any) -> None:
    refused(present(house, key.sign(claims(house), typ=typ)), "invalid_client", 401)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": None},
        {"aud": "{issuer}/token"},
        {"aud": "{issuer}/"},
        {"aud": ["{issuer}"]},
        {"aud": ["{issuer}", "https://other-as.example"]},
        {"aud": "https://other-as.example"},
        {"iss": "service"},
        {"iss": None},
        {"sub": "service"},
        {"sub": None},
        {"sub": ["service-jwt"]},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e999},
        {"exp": True},
    ],
)
def test_3_and_tk_08_wrong_claims(house: House, key: Key, change: dict[str, Any]) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(part) for part in value]
        return value.format(issuer=house.issuer) if isinstance(value, str) else value

    wrong = {name: filled(value) for name, value in change.items()}
    refused(present(house, key.sign(claims(house, **wrong))), "invalid_client", 401)


@pytest.mark.parametrize(
    ("name", "seconds", "fine"),
    [
        ("exp", 300, True),
        ("exp", 330, True),
        ("exp", 331, False),
        ("exp", 365 * 86400, False),
        ("exp", 0, True),
        ("exp", -29, True),
        ("exp", -30, False),
        ("iat", 30, True),
        ("iat", 31, False),
        ("iat", -86400, True),
        ("nbf", 30, True),
        ("nbf", 31, False),
    ],
)
def test_3_clocks_may_differ_by_half_a_minute(
    house: House, key: Key, name: str, seconds: int, fine: bool
) -> None:
    moment = int(house.clock().timestamp()) + seconds
    response = present(house, key.sign(claims(house, **{name: moment})))
    assert response.status_code == (200 if fine else 401)


def test_3_and_tk_08_a_jti_works_once(house: House, key: Key) -> None:
    assertion = key.sign(claims(house))
    assert present(house, assertion).status_code == 200
    refused(present(house, assertion), "invalid_client", 401)
    house.clock.advance(timedelta(seconds=20))
    refused(present(house, key.sign(claims(house))), "invalid_client", 401)
    assert present(house, key.sign(claims(house, jti="j2"))).status_code == 200


def test_3_a_jti_is_remembered_for_as_long_as_the_assertion_lives(house: House, key: Key) -> None:
    now = int(house.clock().timestamp())
    assertion = key.sign(claims(house, exp=now + 330))
    assert present(house, assertion).status_code == 200
    house.clock.advance(timedelta(seconds=359))
    refused(present(house, assertion), "invalid_client", 401)


def test_3_a_jti_is_the_clients_own(house: House, key: Key) -> None:
    other = es256()
    add(house, "second", jwks=other.jwks())
    assert present(house, key.sign(claims(house))).status_code == 200
    assert present(house, other.sign(claims(house, "second"))).status_code == 200


def test_3_a_failed_assertion_does_not_use_the_jti_up(house: House, key: Key) -> None:
    refused(present(house, es256(key.kid).sign(claims(house))), "invalid_client", 401)
    assert present(house, key.sign(claims(house))).status_code == 200


def test_tk_08_another_clients_key(house: House) -> None:
    other = es256()
    add(house, "second", jwks=other.jwks())
    refused(present(house, other.sign(claims(house))), "invalid_client", 401)


@pytest.mark.parametrize("secret", ["jwk", "x"])
def test_tk_08_hs256_with_the_public_key(house: House, key: Key, secret: str) -> None:
    public = key.public()
    text = str(public) if secret == "jwk" else str(public["x"])
    refused(
        present(house, hs256(text.encode(), key.kid).sign(claims(house))), "invalid_client", 401
    )


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "e30.e30.", "e30.e30.AA", "é.é.é", "." * 9])
def test_tk_08_nonsense(house: House, assertion: str) -> None:
    refused(present(house, assertion), "invalid_client", 401)


def test_tk_08_unsigned(house: House, key: Key) -> None:
    header, payload, _ = key.sign(claims(house), alg="none").split(".")
    refused(present(house, f"{header}.{payload}."), "invalid_client", 401)
    refused(present(house, f"{header}.{payload}.AA"), "invalid_client", 401)


@pytest.mark.parametrize("given", [None, "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"])
def test_2_2_the_assertion_type(house: House, key: Key, given: str | None) -> None:
    response = present(house, key.sign(claims(house)), client_assertion_type=given)
    refused(response, "invalid_client", 401)


def test_2_2_a_client_of_another_method(house: House) -> None:
    refused(present(house, es256().sign(claims(house, "service"))), "invalid_client", 401)
    refused(present(house, es256().sign(claims(house, "native"))), "invalid_client", 401)


@pytest.mark.parametrize("make", [es256, rs256, ed25519_key], ids=lambda make: make.__name__)
def test_3_algorithms(house: House, make: Callable[[], Key]) -> None:
    key = make()
    add(house, "algs", jwks=key.jwks())
    assert present(house, key.sign(claims(house, "algs"))).status_code == 200


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_3_the_older_name_of_ed25519(house: House) -> None:
    key = ed25519_key()
    add(house, "older", jwks=key.jwks())
    assertion = key.sign(claims(house, "older"), alg="EdDSA")
    assert present(house, assertion).status_code == 200


def test_3_introspection_and_revocation_take_it_too(house: House, key: Key) -> None:
    form = {"token": "x", "client_assertion_type": TYPE}
    for jti, path in enumerate(("/introspect", "/revoke")):
        assertion = key.sign(claims(house, jti=f"p{jti}"))
        assert house.call(path, {**form, "client_assertion": assertion}).status_code == 200


def add(house: House, client_id: str, **keys: Any) -> None:
    register(
        house,
        client_id,
        grant_types=("client_credentials",),
        scopes=("api:read",),
        token_endpoint_auth_method="private_key_jwt",
        **keys,
    )
