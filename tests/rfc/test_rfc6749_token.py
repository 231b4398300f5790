"""RFC 6749 sections 3.2, 4.1.3, 4.4, 5 and 6: the token endpoint."""

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from tests.house import CALLBACK, House, Request
from tests.rfc.tools import basic, claims_of, introspect, raw_post, refresh, refused, register

FORM = "application/x-www-form-urlencoded"
SERVICE = {"grant_type": "client_credentials"}


def code_for(house: House, request: Request, username: str = "ben") -> str:
    return house.browser().sign_in(request, username)["code"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password", "username": "ben"}, "unsupported_grant_type"),
        ({"grant_type": "no-such"}, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        (
            {"grant_type": "client_credentials", "scope": ["api:read", "api:read"]},
            "invalid_request",
        ),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unauthorized_client"),
    ],
)
def test_5_2_errors(house: House, form: dict[str, str], error: str) -> None:
    refused(house.call("/token", form, client="service"), error)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
    ],
)
def test_5_2_errors_of_the_code_flow(house: House, form: dict[str, str], error: str) -> None:
    refused(house.call("/token", form, client="web"), error)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data", ""]
)
def test_3_2_only_a_form_is_read(house: House, content_type: str) -> None:
    refused(_raw(house, b"grant_type=client_credentials", content_type), "invalid_request")


@pytest.mark.parametrize(
    "body", [b"grant_type=%ff", b"grant_type=\xff\xfe", "grant_type=ä".encode(), b"a=1&" * 101]
)
def test_3_2_what_cannot_be_decoded(house: House, body: bytes) -> None:
    refused(_raw(house, body, FORM), "invalid_request")


def test_3_2_a_charset_beside_the_type_is_fine(house: House) -> None:
    body = b"grant_type=client_credentials"
    assert _raw(house, body, f"{FORM}; charset=UTF-8").status_code == 200


@pytest.mark.parametrize("length", [None, ""])
def test_3_2_an_oversized_body_is_413(house: House, length: str | None) -> None:
    body = b"grant_type=client_credentials&x=" + b"y" * 70000
    response = _raw(house, body, FORM, length)
    assert response.status_code == 413
    assert response.json["error"] == "invalid_request"


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "²", "9" * 30, "9" * 5000])
def test_3_2_an_unreadable_length_is_refused(house: House, length: str) -> None:
    assert _raw(house, b"a=b", FORM, length).status_code in {400, 413}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "TRACE", "HEAD"])
def test_3_2_post_alone(house: House, method: str) -> None:
    response = house.call("/token", client="service", method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_3_2_parameters_in_the_query_are_not_read(house: House) -> None:
    refused(
        house.call("/token?grant_type=client_credentials", {}, client="service"), "invalid_request"
    )


def test_5_1_a_successful_answer(house: House) -> None:
    response = house.call("/token", SERVICE, client="service")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.json["token_type"] == "Bearer"
    assert response.json["expires_in"] == 300


# 4.1.3: what a code is bound to


def test_4_1_3_another_clients_code(house: House) -> None:
    request = Request()
    code = code_for(house, request)
    refused(house.redeem(request, code, "web-post"), "invalid_grant")
    assert house.redeem(request, code, "web").status_code == 200, "the owner is not harmed"


@pytest.mark.parametrize("uri", [None, "", "https://localhost:8001/callback", CALLBACK + "/"])
def test_4_1_3_another_redirect_uri(house: House, uri: str | None) -> None:
    request = Request()
    response = house.redeem(request, code_for(house, request), "web", redirect_uri=uri)
    refused(response, "invalid_grant")


def test_4_1_2_a_code_expires_after_a_minute(house: House) -> None:
    request = Request()
    code = code_for(house, request)
    house.clock.advance(timedelta(seconds=60))
    refused(house.redeem(request, code, "web"), "invalid_grant")


def test_4_1_2_a_code_lives_until_then(house: House) -> None:
    request = Request()
    code = code_for(house, request)
    house.clock.advance(timedelta(seconds=59))
    assert house.redeem(request, code, "web").status_code == 200


def test_4_1_2_a_code_used_twice_revokes_what_it_gave(house: House) -> None:
    request = Request(scope="openid offline_access")
    code = code_for(house, request)
    tokens = house.redeem(request, code, "web").json
    refused(house.redeem(request, code, "web"), "invalid_grant")
    assert introspect(house, tokens["access_token"]) == {"active": False}
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401
    refused(refresh(house, tokens["refresh_token"]), "invalid_grant")


def test_4_1_2_a_stranger_with_the_used_code_revokes_nothing(house: House) -> None:
    request = Request()
    code = code_for(house, request)
    tokens = house.redeem(request, code, "web").json
    refused(house.redeem(request, code, "web-post"), "invalid_grant")
    assert introspect(house, tokens["access_token"])["active"] is True


# 4.4 and 3.3: scopes of a service


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        (None, "api:read api:write"),
        ("api:read", "api:read"),
        ("api:write api:read", "api:write api:read"),
        ("api:read api:read", "api:read"),
    ],
)
def test_4_4_scopes_of_a_service(house: House, scope: str | None, granted: str) -> None:
    form = SERVICE if scope is None else {**SERVICE, "scope": scope}
    answer = house.call("/token", form, client="service").json
    assert answer["scope"] == granted
    assert claims_of(answer["access_token"])["scope"] == granted
    assert "refresh_token" not in answer
    assert "id_token" not in answer


@pytest.mark.parametrize("scope", ["admin", "api:read admin", "openid"])
def test_4_4_scopes_that_it_may_not_have(house: House, scope: str) -> None:
    refused(house.call("/token", {**SERVICE, "scope": scope}, client="service"), "invalid_scope")


def test_4_4_scopes_about_a_person_mean_nothing_for_a_service(house: House) -> None:
    register(house, "mixed", grant_types=("client_credentials",), scopes=("openid", "api:read"))
    assert house.call("/token", SERVICE, client="mixed").json["scope"] == "api:read"
    refused(house.call("/token", {**SERVICE, "scope": "openid"}, client="mixed"), "invalid_scope")


# 6: refreshing


def test_6_a_refresh_may_narrow_and_later_widen_up_to_the_grant(house: House) -> None:
    first = house.tokens(scope="openid profile email")
    narrow = refresh(house, first["refresh_token"], scope="openid email").json
    assert narrow["scope"] == "openid email"
    assert claims_of(narrow["access_token"])["scope"] == "openid email"
    whole = refresh(house, narrow["refresh_token"]).json
    assert whole["scope"] == "openid profile email"


@pytest.mark.parametrize("scope", ["openid phone", "offline_access", "no-such"])
def test_6_a_refresh_never_widens(house: House, scope: str) -> None:
    first = house.tokens(scope="openid profile")
    refused(refresh(house, first["refresh_token"], scope=scope), "invalid_scope")
    house.clock.advance(timedelta(minutes=1))
    assert refresh(house, first["refresh_token"]).status_code == 200, "nothing was used up"


def test_6_another_clients_refresh_token(house: House) -> None:
    first = house.tokens()
    stranger = register(
        house,
        "stranger",
        redirect_uris=(CALLBACK,),
        grant_types=("authorization_code", "refresh_token"),
        scopes=("openid",),
    )
    refused(refresh(house, first["refresh_token"], stranger), "invalid_grant")
    assert refresh(house, first["refresh_token"]).status_code == 200


def _raw(house: House, body: bytes, content_type: str, length: str | None = None) -> TestResponse:
    secret = house.clients["service"]["client_secret"]
    headers = {**basic("service", secret), "Content-Type": content_type}
    return raw_post(house, body, headers, length)
