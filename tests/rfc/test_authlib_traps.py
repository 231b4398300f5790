"""Authlib's defaults that are traps (reference/security.md 1.3): one test per row.

If an upgrade of Authlib, or a grant that forgets its override, brings one back, it shows here.
"""

import ast
from pathlib import Path
from typing import Any

import pytest

import idp
from idp.oidc.client_auth import ASSERTION_ALGS
from idp.oidc.grants.authorization_code import AuthorizationCode
from idp.oidc.grants.refresh_token import RefreshTokens
from idp.oidc.keys import ALGORITHMS
from idp.oidc.verify import KEY_OF_ALG
from tests.house import House, Request
from tests.rfc.jose import b64, es256_from
from tests.rfc.test_rfc7523 import claims, present
from tests.rfc.tools import header_of, introspect, refresh, refusal, refused

OFFLINE = "openid offline_access"


@pytest.mark.parametrize("client", ["web", "native"])
def test_code_challenge_is_required_of_confidential_clients_too(house: House, client: str) -> None:
    uri = {"web": "http://localhost:8001/callback", "native": "http://127.0.0.1/callback"}[client]
    request = Request(client, uri, more={"code_challenge": None, "code_challenge_method": None})
    assert refusal(house, request)["error"] == "invalid_request"


def test_code_challenge_method_plain_is_not_supported(house: House) -> None:
    request = Request(more={"code_challenge": "a" * 43, "code_challenge_method": "plain"})
    assert refusal(house, request)["error"] == "invalid_request"
    found = house.call("/.well-known/openid-configuration").json
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_a_code_is_used_up_before_anything_is_issued_and_leaves_a_trace(house: House) -> None:
    request = Request(scope=OFFLINE)
    code = house.browser().sign_in(request, "ben")["code"]
    first = house.redeem(request, code, "web").json
    refused(house.redeem(request, code, "web"), "invalid_grant")
    assert introspect(house, first["access_token"]) == {"active": False}


def test_a_failing_signature_does_not_give_the_code_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Authlib deletes the code last: a crash in between would leave it good."""
    request = Request()
    code = house.browser().sign_in(request, "ben")["code"]

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no signature today")

    with monkeypatch.context() as patch:
        patch.setattr("idp.oidc.tokens.Tokens._sign", broken)
        assert house.redeem(request, code, "web").status_code == 500
    refused(house.redeem(request, code, "web"), "invalid_grant")


def test_redirect_uri_is_required_at_both_endpoints(house: House) -> None:
    page = house.browser().authorize(Request(more={"redirect_uri": None}))
    assert page.status_code == 400
    request = Request()
    code = house.browser().sign_in(request, "ben")["code"]
    refused(house.redeem(request, code, "web", redirect_uri=None), "invalid_grant")


def test_a_refresh_always_rotates(house: House) -> None:
    assert RefreshTokens.INCLUDE_NEW_REFRESH_TOKEN is True
    first = house.tokens(scope=OFFLINE)["refresh_token"]
    assert refresh(house, first).json["refresh_token"] != first


@pytest.mark.parametrize("alg", ["none", "ES256"])
@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_request_objects_are_refused_signed_or_not(house: House, name: str, alg: str) -> None:
    """RFC 9101: none of the plain parameters is replaced by what such an object says."""
    head = b64(f'{{"alg":"{alg}"}}'.encode())
    value = f"{head}.{b64(b'{}')}." if name == "request" else "https://rp.example/object"
    answer = refusal(house, Request(more={name: value}))
    assert answer["error"] == f"{name}_not_supported"


@pytest.mark.parametrize("aud", [["{0}"], ["{0}", "https://evil.example"], "{0}/token"])
def test_an_assertions_audience_is_the_issuer_as_one_string(house: House, aud: Any) -> None:
    key = es256_from(house.clients["service-jwt"]["private_jwk"])
    filled = [a.format(house.issuer) for a in aud] if isinstance(aud, list) else aud.format("x")
    refused(present(house, key.sign(claims(house, aud=filled))), "invalid_client", 401)


def test_an_assertion_lives_minutes_and_works_once(house: House) -> None:
    key = es256_from(house.clients["service-jwt"]["private_jwk"])
    year = int(house.clock().timestamp()) + 365 * 86400
    refused(present(house, key.sign(claims(house, exp=year))), "invalid_client", 401)
    once = key.sign(claims(house))
    assert present(house, once).status_code == 200
    refused(present(house, once), "invalid_client", 401)


def test_an_access_token_without_its_type_is_none(house: House) -> None:
    tokens = house.tokens()
    assert header_of(tokens["access_token"])["typ"] == "at+jwt"
    assert house.call("/userinfo", bearer=tokens["id_token"]).status_code == 401


def test_no_list_of_algorithms_names_none() -> None:
    listed = {*ALGORITHMS, *ASSERTION_ALGS, *KEY_OF_ALG}
    assert "none" not in {alg.lower() for alg in listed}


def test_joserfc_is_asked_to_verify_in_one_place_only() -> None:
    """Whoever verifies goes through `verify_jws`, whose algorithms come from those lists."""
    found = []
    for path in Path(idp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in {
                "deserialize_compact",
                "deserialize_json",
                "deserialize",
            }:
                found.append(path.name)
    assert found == ["verify.py"]


def test_authlib_answers_no_authorization_request() -> None:
    assert AuthorizationCode.check_authorization_endpoint(object()) is False
