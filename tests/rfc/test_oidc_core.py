"""OpenID Connect Core 1.0 sections 2, 3 and 5: the ID token and what releases claims."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from idp.oidc import verify_jws
from tests.house import CALLBACK, House, Request, answer_of
from tests.rfc.tools import claims_of, header_of, refresh, refusal, register

STANDARD = {
    "profile": {
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    },
    "email": {"email", "email_verified"},
    "phone": {"phone_number", "phone_number_verified"},
    "address": {"address"},
}


def half(token: str, name: str) -> str:
    digest = hashlib.new(name, token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def test_2_the_id_token(house: House) -> None:
    request = Request(scope="openid")
    code = house.browser().sign_in(request, "ben")["code"]
    tokens = house.redeem(request, code, "web").json
    claims = claims_of(tokens["id_token"])
    now = int(house.clock().timestamp())
    assert claims.pop("sid")
    assert claims == {
        "iss": house.issuer,
        "sub": house.users["ben"]["sub"],
        "aud": "web",
        "exp": now + 300,
        "iat": now,
        "auth_time": now,
        "nonce": request.nonce,
        "acr": "aal1",
        "amr": ["pwd"],
        "at_hash": half(tokens["access_token"], "sha256"),
    }


@pytest.mark.parametrize(
    ("alg", "digest"), [("RS256", "sha256"), ("ES256", "sha256"), ("Ed25519", "sha512")]
)
def test_2_and_3_1_3_6_the_clients_algorithm(house: House, alg: str, digest: str) -> None:
    register(house, "rp", redirect_uris=(CALLBACK,), scopes=("openid",), id_token_alg=alg)
    tokens = house.tokens(client="rp", scope="openid")
    assert header_of(tokens["id_token"])["alg"] == alg
    found = verify_jws(tokens["id_token"], house.call("/jwks").json, [alg])
    assert found.payload["at_hash"] == half(tokens["access_token"], digest)


def test_3_1_2_1_no_nonce_is_invented(house: House) -> None:
    assert "nonce" not in claims_of(house.tokens(more={"nonce": None})["id_token"])


@pytest.mark.parametrize("nonce", ["ä€😀", "a b&c", "x" * 1024])
def test_3_1_2_1_the_nonce_is_passed_unchanged(house: House, nonce: str) -> None:
    assert claims_of(house.tokens(nonce=nonce)["id_token"])["nonce"] == nonce


def test_12_2_a_refreshed_id_token(house: House) -> None:
    tokens = house.tokens()
    first = claims_of(tokens["id_token"])
    house.clock.advance(timedelta(seconds=100))
    answer = refresh(house, tokens["refresh_token"]).json
    second = claims_of(answer["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid"):
        assert second[name] == first[name]
    assert second["iat"] == first["iat"] + 100
    assert second["at_hash"] == half(answer["access_token"], "sha256")
    assert second.get("nonce") in (None, first["nonce"])


def test_2_max_age_makes_auth_time_true(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")
    first = int(house.clock().timestamp())
    house.clock.advance(timedelta(seconds=100))
    for max_age, auth_time, asked in ((200, first, 1), (100, first, 1), (99, first + 100, 2)):
        request = Request(more={"max_age": str(max_age)})
        code = browser.sign_in(request, "ben")["code"]
        token = house.redeem(request, code, "web").json["id_token"]
        assert claims_of(token)["auth_time"] == auth_time
        assert len(browser.asked) == asked


@pytest.mark.parametrize("scope", ["profile", "email", "phone", "address"])
def test_5_4_scopes_release_their_claims_at_userinfo(house: House, scope: str) -> None:
    tokens = house.tokens("cyd", scope=f"openid {scope}")
    found = house.call("/userinfo", bearer=tokens["access_token"]).json
    assert set(found) == {"sub"} | STANDARD[scope]
    assert not STANDARD[scope] & set(claims_of(tokens["id_token"])), "not in the ID token"


def test_5_4_openid_alone_releases_the_subject(house: House) -> None:
    token = house.tokens("cyd", scope="openid")["access_token"]
    assert house.call("/userinfo", bearer=token).json == {"sub": house.users["cyd"]["sub"]}


def test_5_1_types(house: House) -> None:
    token = house.tokens("cyd", scope="openid profile email phone address")["access_token"]
    found = house.call("/userinfo", bearer=token).json
    assert found["email_verified"] is True
    assert found["phone_number_verified"] is True
    assert isinstance(found["updated_at"], int)
    assert found["address"]["country"] == "Germany"
    assert None not in found.values()


@pytest.mark.parametrize("request_for", [None, {"essential": True}, {"value": "x"}])
def test_5_5_the_claims_parameter(house: House, request_for: Any) -> None:
    claims = {
        "userinfo": {"nickname": request_for, "no_such": None},
        "id_token": {"email": request_for, "no_such": {"essential": True}},
        "future": {"ignored": None},
    }
    tokens = house.tokens("cyd", scope="openid", more={"claims": json.dumps(claims)})
    userinfo = house.call("/userinfo", bearer=tokens["access_token"]).json
    assert set(userinfo) == {"sub", "nickname"}
    found = claims_of(tokens["id_token"])
    assert found["email"] == "cyd@example.com"
    assert "nickname" not in found


def test_5_5_it_cannot_change_what_the_provider_says(house: House) -> None:
    asked = {"id_token": {"iss": {"value": "x"}, "aud": {"value": "y"}, "sub": None, "exp": None}}
    found = claims_of(house.tokens(more={"claims": json.dumps(asked)})["id_token"])
    assert found["iss"] == house.issuer
    assert found["aud"] == "web"
    assert found["sub"] == house.users["ben"]["sub"]


def test_3_1_2_2_a_sub_that_is_asked_for_is_the_only_one_answered_for(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")

    def asking(username: str, **more: Any) -> Request:
        claims = {"id_token": {"sub": {"value": house.users[username]["sub"]}}}
        return Request(more={"claims": json.dumps(claims), **more})

    assert "code" in answer_of(browser.authorize(asking("ben", prompt="none")))
    answer = refusal(house, asking("cyd", prompt="none"), browser)
    assert answer["error"] == "login_required"
    assert 'name="username"' in browser.authorize(asking("cyd")).text
    wrong = browser.submit(username="ben", password=house.users["ben"]["password"])
    assert answer_of(wrong)["error"] == "login_required"
    hint = house.tokens("ben")["id_token"]
    both = refusal(house, asking("cyd", id_token_hint=hint), browser)
    assert both["error"] == "invalid_request"


@pytest.mark.parametrize(
    "claims",
    [
        "null",
        '"x"',
        '{"id_token":[]}',
        '{"id_token":{"acr":"aal2"}}',
        "{'a':1}",
        '{"id_token":{"acr":{"values":"aal2"}}}',
        '{"id_token":{"acr":{"values":[1]}}}',
        '{"id_token":{"sub":{"value":5}}}',
    ],
)
def test_5_5_malformed(shared: House, claims: str) -> None:
    assert refusal(shared, Request(more={"claims": claims}))["error"] == "invalid_request"


def test_11_offline_access(house: House) -> None:
    tokens = house.tokens(scope="openid offline_access")
    assert tokens["scope"] == "openid offline_access"
    assert "sid" not in claims_of(tokens["access_token"]), "it does not hang on the session"
    house.clock.advance(timedelta(days=29))
    assert refresh(house, tokens["refresh_token"]).status_code == 200
