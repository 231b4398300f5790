"""RFC 6749 sections 2.3 and 3.2.1: client authentication by basic, post and none."""

import base64
from dataclasses import replace
from urllib.parse import quote_plus

import pytest

from idp.operate.clients import secret_hash
from tests.house import House, Request
from tests.rfc.tools import basic, raw_post, refused, register

SERVICE = {"grant_type": "client_credentials"}
BASIC = 'Basic realm="client"'


def secret_of(house: House, client: str) -> str:
    return str(house.clients[client]["client_secret"])


def test_2_3_1_basic(house: House) -> None:
    headers = basic("service", secret_of(house, "service"))
    assert house.call("/token", SERVICE, headers=headers).status_code == 200


def test_2_3_1_the_scheme_has_no_case(house: House) -> None:
    header = basic("service", secret_of(house, "service"))["Authorization"].replace(
        "Basic", "bASIC"
    )
    assert house.call("/token", SERVICE, headers={"Authorization": header}).status_code == 200


def test_2_3_1_both_parts_are_form_encoded(house: House) -> None:
    client_id, secret = "a:b c%é", "p+q:r %/é"
    register(house, client_id, grant_types=("client_credentials",), scopes=("x",))
    store = house.app.stores.clients
    record = store.get(client_id)
    assert record is not None
    store.save(replace(record, secret_hash=secret_hash(secret)))
    encoded = basic(quote_plus(client_id), quote_plus(secret))
    assert house.call("/token", SERVICE, headers=encoded).status_code == 200
    plain = basic(client_id, secret)
    refused(house.call("/token", SERVICE, headers=plain), "invalid_client", 401)


def test_2_3_1_post(house: House) -> None:
    register(
        house,
        "poster",
        grant_types=("client_credentials",),
        scopes=("x",),
        token_endpoint_auth_method="client_secret_post",
    )
    form = {**SERVICE, "client_id": "poster", "client_secret": secret_of(house, "poster")}
    assert house.call("/token", form).status_code == 200
    refused(house.call("/token", {**form, "client_secret": "wrong"}), "invalid_client", 401)
    refused(house.call("/token", {**form, "client_id": ""}), "invalid_client", 401)


def test_2_3_1_a_secret_in_the_query_is_not_read(house: House) -> None:
    secret = secret_of(house, "web-post")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    response = house.call(f"/token?client_id=web-post&client_secret={secret}", form)
    refused(response, "invalid_client", 401)


def test_2_1_a_public_client_names_itself(house: House) -> None:
    request = Request(client_id="native", redirect_uri="http://127.0.0.1:5/callback")
    code = house.browser().sign_in(request, "ben")["code"]
    assert house.redeem(request, code, "native").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("nobody", "x"),
        basic("service", "wrong"),
        basic("service", ""),
        basic("", ""),
        basic("native", ""),
        basic("service-jwt", ""),
        {"Authorization": "Basic " + base64.b64encode(b"no-colon").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"service:\xff\xfe").decode()},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Digest x"},
    ],
)
def test_5_2_every_failure_is_one_answer(shared: House, headers: dict[str, str]) -> None:
    response = shared.call("/token", SERVICE, headers=headers)
    refused(response, "invalid_client", 401)
    assert response.json["error_description"] == "Client authentication failed."
    assert response.headers["WWW-Authenticate"] == BASIC


def test_5_2_a_header_that_is_not_ascii(house: House) -> None:
    form = b"grant_type=client_credentials"
    headers = {
        "Authorization": "Basic \xe9\xff",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    refused(raw_post(house, form, headers), "invalid_client", 401)


def test_5_2_an_unknown_client_and_a_wrong_secret_are_answered_alike(house: House) -> None:
    wrong = house.call("/token", SERVICE, headers=basic("service", "wrong"))
    unknown = house.call("/token", SERVICE, headers=basic("nobody", "wrong"))
    assert wrong.data == unknown.data
    assert dict(wrong.headers) == dict(unknown.headers)
    assert wrong.status_code == unknown.status_code == 401


@pytest.mark.parametrize(
    "more",
    [
        {"client_secret": "x"},
        {"client_id": "service", "client_secret": "x"},
        {"client_assertion": "x"},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    ],
)
def test_2_3_two_methods_at_once(house: House, more: dict[str, str]) -> None:
    refused(house.call("/token", {**SERVICE, **more}, client="service"), "invalid_request")


def test_2_3_another_client_id_beside_basic(house: House) -> None:
    form = {**SERVICE, "client_id": "service-jwt"}
    refused(house.call("/token", form, client="service"), "invalid_client", 401)
    form = {**SERVICE, "client_id": "service"}
    assert house.call("/token", form, client="service").status_code == 200


@pytest.mark.parametrize("client", ["web", "web-post"])
@pytest.mark.parametrize("method", ["basic", "post", "none"])
def test_2_3_only_the_registered_method(house: House, client: str, method: str) -> None:
    registered = {"web": "basic", "web-post": "post"}[client]
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    headers = {}
    if method == "basic":
        headers = basic(client, secret_of(house, client))
    else:
        form["client_id"] = client
    if method == "post":
        form["client_secret"] = secret_of(house, client)
    response = house.call("/token", form, headers=headers)
    if method == registered:
        refused(response, "invalid_grant")
    else:
        refused(response, "invalid_client", 401)


def test_2_3_1_a_rotated_secret_stops_at_once(house: House) -> None:
    old = secret_of(house, "service")
    assert house.call("/token", SERVICE, headers=basic("service", old)).status_code == 200
    fresh = house.client_admin.rotate_secret("service", actor="test").secret
    house.app.stores.clients.get("service")
    house.clock.advance(house.app.settings.storage.cache_ttl)
    refused(house.call("/token", SERVICE, headers=basic("service", old)), "invalid_client", 401)
    assert house.call("/token", SERVICE, headers=basic("service", fresh or "")).status_code == 200


def test_2_3_a_disabled_client(house: House) -> None:
    record = house.app.stores.clients.get("service")
    assert record is not None
    house.app.stores.clients.save(replace(record, disabled_at=house.clock()))
    refused(house.call("/token", SERVICE, client="service"), "invalid_client", 401)


def test_4_4_a_public_client_cannot_be_given_client_credentials(house: House) -> None:
    record = house.app.stores.clients.get("native")
    assert record is not None
    house.app.stores.clients.save(replace(record, grant_types=("client_credentials",)))
    refused(house.call("/token", {**SERVICE, "client_id": "native"}), "unauthorized_client")


def test_2_3_failures_of_one_address_are_limited(house: House) -> None:
    for _ in range(60):
        house.call("/token", SERVICE, headers=basic("service", "wrong"))
    blocked = house.call("/token", SERVICE, client="service")
    assert blocked.status_code == 429
    assert blocked.headers["Retry-After"] == "60"
