"""RFC 8707: `resource` becomes the audience, and never more than the client may ask for."""

from datetime import timedelta
from typing import Any

import pytest

from tests.house import CALLBACK, House, Request
from tests.rfc.tools import API, claims_of, refresh, refusal, refused, register

OTHER = "https://other.example/mcp"
SERVICE = {"grant_type": "client_credentials"}


@pytest.fixture
def many(house: House) -> str:
    """A client of two resources."""
    return register(
        house,
        "many",
        redirect_uris=(CALLBACK,),
        grant_types=("authorization_code", "refresh_token"),
        scopes=("openid", "api:read"),
        resources=(API, OTHER),
    )


def flow(house: House, client: str, asked: Any, **more: Any) -> dict[str, Any]:
    request = Request(client_id=client, scope="api:read", more={"resource": asked})
    code = house.browser().sign_in(request, "ben")["code"]
    response = house.redeem(request, code, client, **more)
    assert response.status_code == 200, response.text
    return claims_of(response.json["access_token"])


def test_2_one_resource_is_the_audience(house: House, many: str) -> None:
    assert flow(house, many, API)["aud"] == API


def test_2_several_resources_are_a_list(house: House, many: str) -> None:
    assert flow(house, many, [OTHER, API, OTHER])["aud"] == [OTHER, API]


def test_2_none_is_the_provider_itself(house: House, many: str) -> None:
    assert flow(house, many, None)["aud"] == house.issuer


def test_2_a_token_that_opens_userinfo_names_the_provider_too(house: House) -> None:
    tokens = house.tokens(more={"resource": API})
    assert claims_of(tokens["access_token"])["aud"] == [API, house.issuer]
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 200


def test_2_a_token_for_an_api_alone_does_not_open_userinfo(house: House, many: str) -> None:
    request = Request(client_id=many, scope="api:read", more={"resource": API})
    code = house.browser().sign_in(request, "ben")["code"]
    token = house.redeem(request, code, many).json["access_token"]
    assert house.call("/userinfo", bearer=token).status_code == 401


@pytest.mark.parametrize(
    "uri", ["HTTPS://api.example.com", "https://API.Example.com", "https://api.EXAMPLE.com"]
)
def test_2_scheme_and_host_have_no_case(house: House, many: str, uri: str) -> None:
    assert flow(house, many, uri)["aud"] == API


@pytest.mark.parametrize(
    "uri",
    [
        "https://unknown.example",
        "https://api.example.com.evil.example",
        "https://api.example.com/more",
        "https://api.example.com#f",
        "https://api.example.com#",
        "https://other.example/MCP",
        "api.example.com",
        "/mcp",
        "x",
        [API, "https://unknown.example"],
    ],
)
def test_2_others_are_an_invalid_target(house: House, many: str, uri: Any) -> None:
    answer = refusal(house, Request(client_id=many, more={"resource": uri}))
    assert answer["error"] == "invalid_target"
    refused(house.call("/token", {**SERVICE, "resource": uri}, client="service"), "invalid_target")


def test_2_2_a_subset_at_the_token_endpoint(house: House, many: str) -> None:
    assert flow(house, many, [API, OTHER], resource=OTHER)["aud"] == OTHER


@pytest.mark.parametrize("asked", [OTHER, "https://unknown.example"])
def test_2_2_never_more_than_was_granted(house: House, many: str, asked: str) -> None:
    request = Request(client_id=many, scope="api:read", more={"resource": API})
    code = house.browser().sign_in(request, "ben")["code"]
    refused(house.redeem(request, code, many, resource=asked), "invalid_target")


def test_2_2_a_subset_at_a_refresh(house: House, many: str) -> None:
    request = Request(client_id=many, scope="api:read", more={"resource": [API, OTHER]})
    code = house.browser().sign_in(request, "ben")["code"]
    first = house.redeem(request, code, many, resource=API).json
    second = refresh(house, first["refresh_token"], many, resource=OTHER).json
    assert claims_of(second["access_token"])["aud"] == OTHER
    third = refresh(house, second["refresh_token"], many).json
    assert claims_of(third["access_token"])["aud"] == [API, OTHER], "the grant is as it was"


def test_2_2_a_refused_refresh_uses_nothing_up(house: House, many: str) -> None:
    request = Request(client_id=many, scope="api:read", more={"resource": API})
    code = house.browser().sign_in(request, "ben")["code"]
    token = house.redeem(request, code, many).json["refresh_token"]
    refused(refresh(house, token, many, resource=OTHER), "invalid_target")
    house.clock.advance(timedelta(minutes=2))
    assert refresh(house, token, many).status_code == 200


def test_client_credentials(house: House) -> None:
    answer = house.call("/token", {**SERVICE, "resource": API}, client="service").json
    assert claims_of(answer["access_token"])["aud"] == API
