"""Clients over the admin API: secrets are shown once, and nobody grants more than they have."""

from typing import Any

import pytest

from idp.web.admin.operations import PREFIX
from tests.admin.conftest import ALL, Admin, token_of
from tests.contract.race import race
from tests.house import House

NEW: dict[str, Any] = {"client_id": "shop", "redirect_uris": ["https://shop.example/cb"]}


def test_a_client_from_beginning_to_end(admin: Admin, house: House) -> None:
    made = admin.send("POST", "/clients", {"client_id": "job", "scopes": ["api:read"]})
    assert made.status_code == 201
    secret = made.json["client_secret"]
    house.clients = {**house.clients, "job": {"client_secret": secret}}
    form = {"grant_type": "client_credentials"}
    assert house.call("/token", form, client="job").status_code == 200
    assert "client_secret" not in admin.get("/clients/job").json
    rotated = admin.send("POST", "/clients/job/secret")
    assert rotated.json["client_secret"] not in {None, secret}
    assert house.call("/token", form, client="job").status_code == 401
    changed = admin.change("/clients/job", {"disabled": True})
    assert changed.json["disabled"] is True
    etag = admin.get("/clients/job").headers["ETag"]
    assert admin.send("DELETE", "/clients/job", headers={"If-Match": etag}).status_code == 204
    assert admin.get("/clients/job").status_code == 404


def test_a_client_of_the_code_flow_gets_what_it_usually_needs(admin: Admin) -> None:
    made = admin.send("POST", "/clients", NEW).json
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert "openid" in made["scopes"]
    assert made["client_name"] == "shop"


@pytest.mark.parametrize(
    "more",
    [
        {"redirect_uris": ["http://shop.example/cb"]},
        {"redirect_uris": ["https://shop.example/*"]},
        {"grant_types": ["password"]},
        {"token_endpoint_auth_method": "nothing"},
        {"jwks": {"keys": [{"kty": "EC", "d": "x"}]}},
        {"jwks": {"keys": "x"}},
        {"jwks": {"keys": []}},
        {"scopes": ["two words"]},
        {"scopes": ["no\u00a0break"]},
        {"scopes": [""]},
        {"resources": ["not a uri"]},
        {"resources": ["https://api.example.com#part"]},
        {"client_id": "a/b"},
        {"client_id": ".."},
        {"logo_uri": "javascript:alert(1)"},
        {"policy_uri": "https://" + "x" * 3000},
        {"secret_hash": "x"},
        {"client_secret": "mine"},
        {"require_acr": "gold"},
    ],
)
def test_what_could_not_work_or_is_not_safe_is_refused(admin: Admin, more: Any) -> None:
    assert admin.send("POST", "/clients", {**NEW, **more}).status_code == 422
    assert admin.get("/clients/shop").status_code == 404


def test_nobody_grants_more_than_they_have(house: House) -> None:
    small = Admin(house, token_of(house, "admin:clients:write admin:clients:read"))
    greedy = {"client_id": "evil", "scopes": ALL.split()}
    answer = small.send("POST", "/clients", greedy)
    assert (answer.status_code, answer.json["code"]) == (403, "beyond_own_scopes")
    for hidden in ("x admin:users:write", "x\tadmin:users:write", "x\u00a0admin:users:write"):
        greedy = {"client_id": "evil", "scopes": [hidden], "resources": [house.issuer + PREFIX]}
        assert small.send("POST", "/clients", greedy).status_code == 422
    small.send("POST", "/clients", {"client_id": "evil", "scopes": ["admin:clients:read"]})
    answer = small.change("/clients/evil", {"scopes": ["x admin:users:write"]})
    assert answer.status_code == 422
    assert small.change("/clients/evil", {"scopes": ALL.split()}).status_code == 403
    assert small.get("/clients/evil").json["scopes"] == ["admin:clients:read"]


def test_nobody_takes_over_a_client_that_may_do_more(house: House) -> None:
    small = Admin(house, token_of(house, "admin:clients:write admin:clients:read"))
    assert small.send("POST", "/clients/admin/secret").status_code == 403
    key = {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}
    assert small.change("/clients/admin", {"jwks": key}).status_code == 403
    assert small.change("/clients/admin", {"client_name": "x"}).status_code == 403
    etag = small.get("/clients/admin").headers["ETag"]
    gone = small.send("DELETE", "/clients/admin", headers={"If-Match": etag})
    assert gone.status_code == 403
    assert small.get("/clients/admin").headers["ETag"] == etag


def test_a_state_that_comes_back_may_be_changed_again(admin: Admin) -> None:
    admin.send("POST", "/clients", NEW)
    for name in ("A", "B", "A", "B", "B", "A"):
        assert admin.change("/clients/shop", {"client_name": name}).json["client_name"] == name


def test_what_is_made_has_the_etag_that_it_is_read_with(admin: Admin) -> None:
    made = admin.send("POST", "/clients", {"client_id": "job one"})
    assert made.headers["Location"].endswith("/admin/v1/clients/job%20one")
    read = admin.get("/clients/job%20one")
    assert made.headers["ETag"] == read.headers["ETag"]
    rotated = admin.send("POST", "/clients/job%20one/secret")
    assert rotated.headers["ETag"] == read.headers["ETag"]


def test_of_many_writers_who_read_the_same_one_wins(admin: Admin) -> None:
    etag = admin.send("POST", "/clients", NEW).headers["ETag"]

    def write(number: int) -> int:
        body = {"client_name": f"n{number}"}
        return admin.send("PATCH", "/clients/shop", body, {"If-Match": etag}).status_code

    assert sorted(race(write, 12)) == [200] + [412] * 11


@pytest.mark.parametrize("name", ["redirect_uris", "scopes", "client_name", "require_pkce"])
def test_what_cannot_be_missing_cannot_be_null(admin: Admin, name: str) -> None:
    admin.send("POST", "/clients", NEW)
    assert admin.change("/clients/shop", {name: None}).status_code == 422


def test_the_account_pages_keep_their_name(admin: Admin) -> None:
    assert admin.send("POST", "/clients", {**NEW, "client_id": "idp-account"}).status_code == 409
    assert admin.change("/clients/idp-account", {"client_name": "x"}).status_code == 404


def test_no_secret_is_ever_read_back(admin: Admin, house: House) -> None:
    """Everything that can be read, after everybody signed in once."""
    for name in ("ben", "ana"):
        house.tokens(name)
    texts = [admin.get("/clients?limit=500").text, admin.get("/users?limit=500").text]
    for user in house.users.values():
        texts.append(admin.get(f"/users/{user['sub']}/authenticators").text)
    for client_id in house.clients:
        texts.append(admin.get(f"/clients/{client_id}").text)
    read = "".join(texts)
    secrets = [c["client_secret"] for c in house.clients.values() if c["client_secret"]]
    for user in house.users.values():
        secrets += [user["password"], user["totp_secret"], *(user["recovery_codes"] or ())]
    assert len([s for s in secrets if s]) > 10
    assert not [secret for secret in secrets if secret and secret in read]
    assert "secret_hash" not in read
    assert "$argon2" not in read
