"""RFC 8414 and OpenID Connect Discovery 1.0: the metadata, at every address where it is sought."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.house import House, Request, build
from tests.rfc.tools import claims_of

FORMS = ("openid-configuration", "oauth-authorization-server")
CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
TENANT = "http://localhost:8000/tenant"


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A provider whose issuer has a path."""
    built = build(tmp_path_factory.mktemp("tenant"), factors=CHEAP, issuer=TENANT)
    yield built
    built.app.close()


def raw(house: House, path: str, **headers: str):  # type: ignore[no-untyped-def]
    from werkzeug.test import Client

    return Client(house.app.wsgi, use_cookies=False).get(
        path, headers=headers, base_url="http://localhost:8000"
    )


@pytest.mark.parametrize("form", FORMS)
def test_3_at_the_root(shared: House, form: str) -> None:
    response = raw(shared, f"/.well-known/{form}")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json["issuer"] == shared.issuer == "http://localhost:8000"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["/.well-known/{}/tenant", "/tenant/.well-known/{}"])
def test_3_1_with_an_issuer_path(tenant: House, form: str, place: str) -> None:
    found = raw(tenant, place.format(form)).json
    assert found["issuer"] == TENANT
    for name in ("token_endpoint", "jwks_uri", "authorization_endpoint", "userinfo_endpoint"):
        assert found[name].startswith(TENANT + "/")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["/.well-known/{}", "/.well-known/{}/other", "/x/.well-known/{}"])
def test_3_1_not_for_another_issuer(tenant: House, form: str, path: str) -> None:
    assert raw(tenant, path.format(form)).status_code == 404


@pytest.mark.parametrize("house_name", ["shared", "tenant"])
@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "introspection_endpoint",
        "revocation_endpoint",
        "end_session_endpoint",
    ],
)
def test_2_every_named_endpoint_exists(
    request: pytest.FixtureRequest, house_name: str, name: str
) -> None:
    house: House = request.getfixturevalue(house_name)
    found = raw(house, f"/.well-known/{FORMS[0]}{urlsplit(house.issuer).path}").json
    assert raw(house, urlsplit(found[name]).path).status_code in {200, 400, 401, 405}


def test_2_a_whole_sign_in_below_an_issuer_path(tmp_path: Path) -> None:
    house = build(tmp_path, factors=CHEAP, issuer=TENANT)
    visitor = house.browser()
    request = Request()
    visitor.page = visitor.http.get(
        f"/tenant/authorize?{request.query()}", base_url="http://localhost:8000"
    )
    target = urlsplit(visitor.page.headers["Location"])
    assert target.path.startswith("/tenant/interaction/")
    visitor.page = visitor.http.get(target.path, base_url="http://localhost:8000")
    data = {**visitor.fields(), "username": "ben", "password": house.users["ben"]["password"]}
    answer = visitor.http.post(target.path, data=data, base_url="http://localhost:8000")
    code = dict(p.split("=") for p in urlsplit(answer.headers["Location"]).query.split("&"))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }
    house.issuer = "http://localhost:8000"
    tokens = house.call("/tenant/token", form, client="web").json
    assert claims_of(tokens["id_token"])["iss"] == TENANT
    assert claims_of(tokens["access_token"])["iss"] == TENANT
    house.app.close()


def test_2_no_url_is_made_from_the_host_header(shared: House) -> None:
    plain = raw(shared, "/.well-known/openid-configuration")
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example;proto=https",
    }
    assert raw(shared, "/.well-known/openid-configuration", **forged).data == plain.data
    start = raw(shared, f"/authorize?{Request().query()}", **forged)
    assert start.headers["Location"].startswith(shared.issuer + "/interaction/")


def test_both_forms_are_one_document(shared: House) -> None:
    first, second = (raw(shared, f"/.well-known/{form}").data for form in FORMS)
    assert first == second


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_3_2_etag(shared: House, path: str) -> None:
    response = raw(shared, path)
    etag = response.headers["ETag"]
    assert response.headers["Cache-Control"] == "public, max-age=300"
    again = raw(shared, path, **{"If-None-Match": etag})
    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["ETag"] == etag
    assert raw(shared, path, **{"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "given", ["W/{0}", '"x", {0}', '{0},"y"', "*"], ids=["weak", "list", "first", "any"]
)
def test_rfc9110_13_1_2_other_forms_of_if_none_match(shared: House, given: str) -> None:
    path = "/.well-known/openid-configuration"
    etag = raw(shared, path).headers["ETag"]
    assert raw(shared, path, **{"If-None-Match": given.format(etag)}).status_code == 304


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_head(shared: House, path: str) -> None:
    whole, head = raw(shared, path), shared.call(path, method="HEAD")
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(whole.data))


def test_2_what_is_promised(shared: House) -> None:
    found = json.loads(raw(shared, "/.well-known/openid-configuration").data)
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["response_modes_supported"] == ["query", "form_post"]
    assert found["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
    ]
    assert found["subject_types_supported"] == ["public"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert found["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "none",
        "private_key_jwt",
    ]
    assert "none" not in json.dumps(
        [value for name, value in found.items() if name.endswith("alg_values_supported")]
    )
    assert "none" not in found["introspection_endpoint_auth_methods_supported"]
    assert "offline_access" in found["scopes_supported"]
    assert found["request_uri_parameter_supported"] is False, "its default would be true"
    assert found["claims_parameter_supported"] is True
    assert found["acr_values_supported"] == ["aal1", "aal2"]


def test_jwks_holds_public_keys_only(shared: House) -> None:
    keys = raw(shared, "/jwks").json["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256", "Ed25519"}
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert key["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)
