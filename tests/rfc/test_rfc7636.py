"""RFC 7636 (PKCE) as RFC 9700 section 2.1.1 narrows it: S256 alone, for every client."""

import base64
import hashlib
import secrets

import pytest

from tests.house import CALLBACK, House, Request
from tests.rfc.tools import refusal, refused, register


@pytest.fixture
def lenient(house: House) -> str:
    """A legacy client that was exempted from PKCE."""
    return register(
        house, "legacy", redirect_uris=(CALLBACK,), scopes=("openid",), require_pkce=False
    )


def signed_in(house: House, request: Request) -> str:
    return house.browser().sign_in(request, "ben")["code"]


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("more", "parameter"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "code_challenge"),
        ({"code_challenge": None}, "code_challenge"),
        ({"code_challenge": ""}, "code_challenge"),
        ({"code_challenge_method": None}, "S256"),
        ({"code_challenge_method": "plain"}, "S256"),
        ({"code_challenge_method": "s256"}, "S256"),
        ({"code_challenge_method": "S512"}, "S256"),
        ({"code_challenge_method": ["S256", "plain"]}, "repeated"),
        ({"code_challenge": "short"}, "malformed"),
        ({"code_challenge": "a" * 44}, "malformed"),
        ({"code_challenge": "a" * 42 + "="}, "malformed"),
        ({"code_challenge": "a" * 42 + "\n"}, "malformed"),
        ({"code_challenge": ["a" * 43, "b" * 43]}, "repeated"),
    ],
)
@pytest.mark.parametrize("client", ["web", "native"])
def test_4_4_1_refused_at_the_authorization_endpoint(
    shared: House, client: str, more: dict[str, str], parameter: str
) -> None:
    uri = CALLBACK if client == "web" else "http://127.0.0.1:1/callback"
    answer = refusal(shared, Request(client_id=client, redirect_uri=uri, more=more))
    assert answer["error"] == "invalid_request"
    assert parameter in answer["error_description"]


def test_4_6_the_right_verifier(house: House) -> None:
    request = Request()
    assert house.redeem(request, signed_in(house, request), "web").status_code == 200


@pytest.mark.parametrize("length", [43, 128])
def test_4_1_verifiers_of_every_allowed_length(house: House, length: int) -> None:
    request = Request(verifier=("a-._~Z9" * 20)[:length])
    assert house.redeem(request, signed_in(house, request), "web").status_code == 200


@pytest.mark.parametrize("length", [42, 129])
def test_4_1_verifiers_of_other_lengths(house: House, length: int) -> None:
    request = Request(verifier="a" * length)
    refused(house.redeem(request, signed_in(house, request), "web"), "invalid_grant")


@pytest.mark.parametrize("verifier", [None, "", "x" * 43, "ä" * 43])
def test_4_6_downgrade_challenge_without_its_verifier(house: House, verifier: str | None) -> None:
    request = Request()
    response = house.redeem(request, signed_in(house, request), "web", code_verifier=verifier)
    refused(response, "invalid_grant")


def test_4_6_the_challenge_itself_is_no_verifier(house: House) -> None:
    request = Request()
    code = signed_in(house, request)
    response = house.redeem(request, code, "web", code_verifier=s256(request.verifier))
    refused(response, "invalid_grant")


def test_rfc9700_4_8_downgrade_verifier_without_a_challenge(house: House, lenient: str) -> None:
    request = Request(
        client_id=lenient,
        scope="openid",
        more={"code_challenge": None, "code_challenge_method": None},
    )
    code = signed_in(house, request)
    refused(house.redeem(request, code, lenient), "invalid_grant")


def test_an_exempted_client_may_do_without(house: House, lenient: str) -> None:
    request = Request(
        client_id=lenient,
        scope="openid",
        more={"code_challenge": None, "code_challenge_method": None},
    )
    code = signed_in(house, request)
    assert house.redeem(request, code, lenient, code_verifier=None).status_code == 200


def test_an_exempted_client_that_uses_it_is_held_to_it(house: House, lenient: str) -> None:
    request = Request(client_id=lenient, scope="openid")
    code = signed_in(house, request)
    refused(house.redeem(request, code, lenient, code_verifier=None), "invalid_grant")
    refused(
        house.redeem(request, code, lenient, code_verifier=secrets.token_urlsafe(48)),
        "invalid_grant",
    )
    assert house.redeem(request, code, lenient).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": None},
    ],
)
def test_an_exempted_client_gets_no_weaker_method(
    house: House, lenient: str, more: dict[str, str]
) -> None:
    request = Request(client_id=lenient, scope="openid", more=more)
    assert refusal(house, request)["error"] == "invalid_request"
