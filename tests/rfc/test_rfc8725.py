"""RFC 8725 at the endpoints: attacks JW-01, JW-02, JW-05, JW-07, JW-08 over HTTP."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.house import House, Request
from tests.rfc.jose import b64, es256, es256_from, hs256
from tests.rfc.tools import claims_of, header_of, introspect


@pytest.fixture
def token(house: House) -> str:
    return str(house.tokens()["access_token"])


def rejected(house: House, token: str) -> None:
    assert house.call("/userinfo", bearer=token).status_code == 401
    assert introspect(house, token) == {"active": False}


def forged(token: str, **header: Any) -> tuple[str, str]:
    head = b64(json.dumps({**header_of(token), **header}).encode())
    return head, token.split(".")[1]


@pytest.mark.parametrize("alg", ["none", "NoNe", "ES256"])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_jw_01_without_a_signature(house: House, token: str, alg: str, signature: str) -> None:
    head, payload = forged(token, alg=alg)
    rejected(house, f"{head}.{payload}.{signature}")


def test_jw_02_hmac_with_the_published_key(house: House, token: str) -> None:
    for jwk in house.call("/jwks").json["keys"]:
        for secret in (json.dumps(jwk).encode(), str(jwk.get("n", jwk.get("x"))).encode()):
            key = hs256(secret, jwk["kid"])
            rejected(house, key.sign(claims_of(token), typ="at+jwt"))


def test_jw_02_a_key_of_the_attackers_own(house: House, token: str) -> None:
    own = es256(header_of(token)["kid"])
    rejected(house, own.sign(claims_of(token), typ="at+jwt"))
    rejected(house, own.sign(claims_of(token), typ="at+jwt", jwk=own.public()))


def test_jw_05_each_kind_of_token_is_for_one_thing(house: House) -> None:
    tokens = house.tokens()
    rejected(house, tokens["id_token"])
    rejected(house, tokens["refresh_token"][:32])
    assert house.call("/userinfo", bearer=tokens["refresh_token"]).status_code == 401
    hint = house.browser().authorize(Request(more={"id_token_hint": tokens["access_token"]}))
    assert "error=invalid_request" in hint.headers["Location"]


@pytest.mark.parametrize("typ", [None, "JWT", "at+JWT", "application/at+jwt", "jwt", 1])
def test_jw_05_only_the_exact_type(house: House, token: str, typ: Any) -> None:
    """Signed with the provider's own key: only `typ` is wrong."""
    own = next(key for key in house.app.stores.signing_keys.all() if key.alg == "ES256")
    key = es256_from(json.loads(own.private))
    good = key.sign(claims_of(token), kid=own.kid, typ="at+jwt")
    assert house.call("/userinfo", bearer=good).status_code == 200
    rejected(house, key.sign(claims_of(token), kid=own.kid, typ=typ))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 1},
    ],
)
def test_rfc8725_3_8_and_3_9_issuer_and_expiry(
    house: House, token: str, change: dict[str, Any]
) -> None:
    own = next(key for key in house.app.stores.signing_keys.all() if key.alg == "ES256")
    key = es256_from(json.loads(own.private))
    rejected(house, key.sign({**claims_of(token), **change}, kid=own.kid, typ="at+jwt"))


@pytest.mark.parametrize("size", [20_000, 60_000])
def test_jw_07_a_large_token(house: House, size: int) -> None:
    big = "e30." + "A" * size + ".AAAA"
    began = time.perf_counter()
    rejected(house, big)
    assert time.perf_counter() - began < 1
    assert house.call("/introspect", {"token": "A" * 70_000}, client="web").status_code == 413


def rotate(house: House) -> None:
    house.app.ring.rotate(publish_ahead=house.app.settings.keys.publish_ahead)


def test_jw_08_a_new_key_is_published_before_it_signs(house: House) -> None:
    old = header_of(house.tokens()["access_token"])["kid"]
    rotate(house)
    published = {key["kid"] for key in house.call("/jwks").json["keys"]}
    assert len(published) == 6
    assert header_of(house.tokens()["access_token"])["kid"] == old
    house.clock.advance(timedelta(hours=1))
    fresh = header_of(house.tokens()["access_token"])["kid"]
    assert fresh != old
    assert fresh in published


def test_jw_08_a_retired_key_verifies_until_its_last_token_is_over(house: House) -> None:
    rotate(house)
    house.clock.advance(timedelta(hours=1) - timedelta(seconds=1))
    last = house.tokens()["access_token"]
    house.clock.advance(timedelta(seconds=16))
    fresh = house.tokens()["access_token"]
    assert header_of(fresh)["kid"] != header_of(last)["kid"]
    assert house.call("/userinfo", bearer=last).status_code == 200
    house.clock.advance(timedelta(minutes=10))
    published = {key["kid"] for key in house.call("/jwks").json["keys"]}
    assert header_of(last)["kid"] not in published
    assert header_of(fresh)["kid"] in published
    assert house.call("/userinfo", bearer=last).status_code == 401
