"""oauth4webapi, which checks every answer strictly: a native client, and two kinds of service."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.interop.conftest import Run
from tests.live import Provider

pytestmark = pytest.mark.xdist_group("interop_oauth4webapi")


@pytest.fixture(scope="module")
def journey(run: Run) -> Mapping[str, Any]:
    return run("oauth4webapi_flow.mjs")


@pytest.fixture(scope="module")
def native(journey: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = journey["native"]
    return found


def test_a_native_client_returns_to_a_port_of_its_choice(
    running: Provider, native: Mapping[str, Any]
) -> None:
    registered = [urlsplit(uri).port for uri in running.client("native")["redirect_uris"]]
    assert urlsplit(native["redirect_uri"]).port not in registered


def test_a_native_client_signs_ana_in_with_two_factors(
    running: Provider, native: Mapping[str, Any]
) -> None:
    assert native["asked"] == [["username", "password"], ["code"]]
    claims = native["claims"]
    assert claims["sub"] == running.user("ana")["sub"]
    assert claims["aud"] == "native"
    assert (claims["acr"], set(claims["amr"])) == ("aal2", {"pwd", "otp", "mfa"})
    assert native["userinfo"]["sub"] == claims["sub"]


def test_the_access_token_is_an_rfc_9068_jwt(running: Provider, native: Mapping[str, Any]) -> None:
    token = native["access_token"]
    assert token["iss"] == running.issuer
    assert token["sub"] == running.user("ana")["sub"]
    assert token["client_id"] == "native"
    assert token["acr"] == "aal2"
    assert token["jti"]


def test_a_public_client_refreshes_with_rotation_until_it_revokes(
    native: Mapping[str, Any],
) -> None:
    assert native["refresh"] == {"rotated": True}
    assert native["revocation"] == {"refresh_error": "invalid_grant"}


@pytest.mark.parametrize(
    ("part", "client_id"), [("service", "service"), ("private_key_jwt", "service-jwt")]
)
def test_a_service_gets_a_token_for_its_resource(
    running: Provider, journey: Mapping[str, Any], part: str, client_id: str
) -> None:
    client, answer = running.client(client_id), journey[part]
    assert answer.get("skipped") is None
    assert answer["scope"] == client["scope"]
    assert answer["access_token"]["aud"] == client["resources"][0]
    assert answer["access_token"]["client_id"] == client_id
    assert answer["access_token"]["sub"] == client_id
