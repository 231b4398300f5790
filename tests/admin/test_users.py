"""Users over the admin API: the same rules as everywhere, and a state that is changed once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.admin.conftest import Admin
from tests.contract.race import race
from tests.house import House, Request, answer_of

NEW = {"username": "Zoë", "email": "Zoe@EXAMPLE.com", "password": "a good long password"}


def test_a_user_from_beginning_to_end(admin: Admin, house: House) -> None:
    made = admin.send("POST", "/users", NEW)
    assert made.status_code == 201
    user = made.json
    assert made.headers["Location"] == f"{house.issuer}/admin/v1/users/{user['id']}"
    assert (user["email"], user["email_verified"]) == ("Zoe@example.com", False)
    assert "password" not in made.text
    path = f"/users/{user['id']}"
    assert admin.get(path).json == user
    house.clock.advance(timedelta(seconds=1))
    changed = admin.change(path, {"email_verified": True, "claims": {"name": "Zoë Z"}})
    assert changed.status_code == 200
    assert changed.json["claims"] == {"name": "Zoë Z"}
    assert changed.json["updated_at"] > user["updated_at"]
    browser = house.browser()
    browser.authorize(Request())
    page = browser.submit(username="zoe@example.com", password=NEW["password"])
    assert answer_of(page)["code"]
    assert admin.send("DELETE", f"{path}/sessions").json == {"sessions": 1}
    replaced = admin.send("PUT", f"{path}/password", {"password": "another good one"})
    assert replaced.status_code == 204
    etag = admin.get(path).headers["ETag"]
    assert admin.send("DELETE", path, headers={"If-Match": etag}).status_code == 204
    assert admin.get(path).status_code == 404
    assert house.app.stores.users.find("zoë") is None


def test_pages_of_users_lead_to_all_of_them_once(admin: Admin, house: House) -> None:
    seen: list[str] = []
    path = "/users?limit=3"
    while path:
        answer = admin.get(path)
        seen += [user["id"] for user in answer.json["items"]]
        link = answer.headers.get("Link", "")
        assert bool(link) == bool(answer.json["next"])
        path = f"/users?limit=3&cursor={answer.json['next']}" if answer.json["next"] else ""
    assert sorted(seen) == sorted({user["sub"] for user in house.users.values()})


@pytest.mark.parametrize("name", ["ben", "BEN", "ben@example.com"])
def test_a_user_is_found_by_name_or_address(admin: Admin, house: House, name: str) -> None:
    (found,) = admin.get(f"/users?name={name}").json["items"]
    assert found["id"] == house.users["ben"]["sub"]
    assert admin.get("/users?name=nobody").json["items"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "bad_parameter"),
        ("limit=501", "bad_parameter"),
        ("limit=x", "bad_parameter"),
        ("limit=1&limit=2", "bad_parameter"),
        ("cursor=!", "bad_cursor"),
        ("cursor=", "bad_cursor"),
        ("other=1", "bad_parameter"),
    ],
)
def test_bad_parameters_are_named(admin: Admin, query: str, code: str) -> None:
    answer = admin.get(f"/users?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/username"),
        ({"username": "x", "id": "mine"}, 422, "/id"),
        ({"username": "x", "created_at": "2020-01-01T00:00:00Z"}, 422, "/created_at"),
        ({"username": 5}, 422, "/username"),
        ({"username": "x", "email_verified": "yes"}, 422, "/email_verified"),
        ({"username": "x" * 300}, 422, "/username"),
        ({"username": "x", "require_acr": "gold"}, 422, None),
        ({"username": "x", "email": "nonsense"}, 422, None),
        ({"username": "a\u202eb"}, 422, None),
        ({"username": "a\u0000b"}, 400, None),
        ({"username": "x", "claims": {"nickname": ["a\u0000b"]}}, 400, None),
        ({"username": "x", "claims": {"zoneinfo": float("nan")}}, 400, None),
        ({"username": "x", "claims": {"sub": "another"}}, 422, None),
        ({"username": "x", "claims": {"email": "a@b.example", "email_verified": True}}, 422, None),
        ({"username": "x", "claims": {"acr": "aal2"}}, 422, None),
        ({"username": "x", "claims": {"name": 5}}, 422, None),
        ({"username": "x", "claims": {"address": {"planet": "x"}}}, 422, None),
        ({"username": "x", "claims": {"picture": "javascript:alert(1)"}}, 422, None),
        ({"username": "x", "phone": "0151"}, 422, None),
        ({"username": "x", "phone_verified": True}, 422, None),
        ({"username": "x", "email_verified": True}, 422, None),
        ({"username": "x", "locale": "../../etc"}, 422, None),
        ({"username": "ben@example.com"}, 422, None),
        ({"username": "x", "password": "short"}, 422, None),
        ({"username": "BEN"}, 409, None),
        ({"username": "x", "email": "ben@example.com", "email_verified": True}, 409, None),
    ],
)
def test_what_will_not_do_is_refused_and_nothing_is_written(
    admin: Admin, house: House, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    before = len(house.app.stores.users.list())
    answer = admin.send("POST", "/users", body)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    if pointer:
        assert [e["pointer"] for e in answer.json["errors"]] == [pointer]
    assert len(house.app.stores.users.list()) == before


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 413),
        (b"[" * 10_000, "application/json", 400),
        (b"username=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"[]", "application/json", 422),
        (b'{"username": "x", "username": "y"}', "application/json", 400),
        (b'{"username": "\\ud800"}', "application/json", 400),
        (b'{"username": "x", "claims": {"name": 1e999}}', "application/json", 400),
        (b'{"locale": "x"}', "application/merge-patch+json", 415),
    ],
)
def test_what_cannot_be_read(admin: Admin, data: bytes, content_type: str, status: int) -> None:
    answer = admin.send("POST", "/users", data=data, content_type=content_type)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("GET", "/", 404),
        ("GET", "/users/%00", 404),
        ("PUT", "/users", 405),
        ("OPTIONS", "/users", 405),
    ],
)
def test_what_is_not_there(admin: Admin, method: str, path: str, status: int) -> None:
    answer = admin.send(method, path)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert (status != 405) or "GET" in answer.headers["Allow"]


def one(house: House, name: str = "ben") -> str:
    return f"/users/{house.users[name]['sub']}"


def test_a_change_needs_what_was_read(admin: Admin, house: House) -> None:
    path = one(house)
    assert admin.send("PATCH", path, {"locale": "de"}).status_code == 428
    answer = admin.send("PATCH", path, {"locale": "de"}, {"If-Match": '"other"'})
    assert (answer.status_code, answer.json["code"]) == (412, "changed_meanwhile")
    assert admin.get(path).json["locale"] == "en"
    assert admin.change(path, {"locale": "de"}).json["locale"] == "de"


def test_a_state_is_changed_by_one_of_many_writers(admin: Admin, house: House) -> None:
    path = one(house)
    etag = admin.get(path).headers["ETag"]

    def write(number: int) -> TestResponse:
        return admin.send("PATCH", path, {"locale": f"en-x{number}"}, {"If-Match": etag})

    statuses = [answer.status_code for answer in race(write, 12)]
    assert sorted(statuses) == [200] + [412] * 11


def test_a_change_that_was_refused_may_be_tried_again(admin: Admin, house: House) -> None:
    path = one(house)
    assert admin.change(path, {"require_acr": "gold"}).status_code == 422
    assert admin.change(path, {"require_acr": "aal1"}).status_code == 200


def test_what_was_not_changed_is_not_sent_again(admin: Admin, house: House) -> None:
    etag = admin.get(one(house)).headers["ETag"]
    answer = admin.send("GET", one(house), headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")


def test_a_state_that_comes_back_may_be_changed_again(admin: Admin, house: House) -> None:
    path = one(house)
    for locale in ("de", "fr", "de", "fr", "fr", "de"):
        assert admin.change(path, {"locale": locale}).json["locale"] == locale


def test_what_others_change_meanwhile_is_not_written_back(admin: Admin, house: House) -> None:
    """Not only another caller of this API: a command, or the person's own account page."""
    path = one(house)
    etag = admin.get(path).headers["ETag"]
    house.clock.advance(timedelta(seconds=1))
    house.user_admin.disable("ben", actor="cli")
    answer = admin.send("PATCH", path, {"locale": "de"}, {"If-Match": etag})
    assert answer.status_code == 412
    assert admin.send("DELETE", path, headers={"If-Match": etag}).status_code == 412
    assert admin.get(path).json["disabled"] is True


def test_the_answer_to_a_change_has_the_etag_of_what_is_there_now(
    admin: Admin, house: House
) -> None:
    path = one(house)
    changed = admin.change(path, {"locale": "de"})
    assert changed.headers["ETag"] == admin.get(path).headers["ETag"]
    weak = f"W/{changed.headers['ETag']}"
    assert admin.send("PATCH", path, {"locale": "fr"}, {"If-Match": weak}).status_code == 412
    assert admin.send("GET", path, headers={"If-None-Match": weak}).status_code == 304
    again = admin.send("PATCH", path, {"locale": "fr"}, {"If-Match": changed.headers["ETag"]})
    assert again.status_code == 200


def test_an_id_is_never_taken_for_the_username_of_another(admin: Admin, house: House) -> None:
    """Ids are the `sub` in tokens: many know them, and may choose them as their username."""
    victim = house.users["ben"]["sub"]
    admin.send("POST", "/users", {"username": victim, "password": "a good long password"})
    admin.change(f"/users/{victim}", {"disabled": True})
    assert admin.get(f"/users/{victim}").json["disabled"] is True
    (other,) = admin.get(f"/users?name={victim}").json["items"]
    assert other["disabled"] is False
    admin.change(f"/users/{victim}", {"disabled": False})
    new = {"password": "another good password"}
    assert admin.send("PUT", f"/users/{victim}/password", new).status_code == 204
    house.users = {**house.users, "ben": {**house.users["ben"], **new}}
    assert house.tokens("ben")


def test_a_password_that_is_set_ends_what_hung_on_the_old_one(admin: Admin, house: House) -> None:
    tokens = house.tokens("ben")
    new = {"password": "another good password"}
    assert admin.send("PUT", f"{one(house)}/password", new).status_code == 204
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401
    held = house.app.stores.authenticators.of(house.users["ben"]["sub"])
    assert [a.factor for a in held] == ["password"]


def test_a_username_that_is_an_address_leaves_with_it(admin: Admin) -> None:
    given = {"username": "zoe@example.com", "email": "zoe@example.com"}
    path = f"/users/{admin.send('POST', '/users', given).json['id']}"
    assert admin.change(path, {"email": "other@example.com"}).status_code == 422
    both = {"username": "zoe", "email": "other@example.com"}
    assert admin.change(path, both).status_code == 200


def test_an_address_that_changes_is_not_verified_any_more(admin: Admin, house: House) -> None:
    changed = admin.change(one(house), {"email": "other@example.com"}).json
    assert (changed["email"], changed["email_verified"]) == ("other@example.com", False)


def test_the_old_address_hears_that_it_was_changed(admin: Admin, house: House) -> None:
    admin.change(one(house), {"email": "other@example.com"})
    house.app.later.settle()
    ((_, told),) = house.outbox.messages()
    assert (told.to, told.about) == ("ben@example.com", "notice")
    assert "other@example.com" in told.text
    house.outbox.clear()
    admin.change(one(house), {"locale": "de"})
    admin.change(one(house), {"phone": "+4915123999999"})
    house.app.later.settle()
    assert not house.outbox.messages()  # no verified address is left


def test_disabling_ends_what_was_signed_in(admin: Admin, house: House) -> None:
    token = house.tokens("ben")["access_token"]
    assert admin.change(one(house), {"disabled": True}).json["disabled"] is True
    assert house.call("/userinfo", bearer=token).status_code == 401
    assert admin.change(one(house), {"disabled": False}).json["disabled"] is False


def test_a_repeated_request_gets_the_first_answer(admin: Admin, house: House) -> None:
    key = {"Idempotency-Key": "abc"}
    first = admin.send("POST", "/users", NEW, key)
    again = admin.send("POST", "/users", NEW, key)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Location"] == first.headers["Location"]
    assert len([u for u in house.app.stores.users.list() if u.username == "Zoë"]) == 1
    other = admin.send("POST", "/users", {"username": "other"}, key)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_what_is_kept_for_a_repetition_is_sealed(admin: Admin, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "abc"}
    made = admin.send("POST", "/clients", {"client_id": "job"}, key).json
    assert admin.send("POST", "/clients", {"client_id": "job"}, key).json == made
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*.db*"))
    assert b"admin:once:" in kept
    assert made["client_secret"].encode() not in kept
    assert b"client_secret_basic" in kept  # or nothing could be found there


def test_of_many_at_once_with_one_key_one_is_done(admin: Admin, house: House) -> None:
    def create(_: int) -> TestResponse:
        return admin.send("POST", "/users", {"username": "once"}, {"Idempotency-Key": "k"})

    statuses = {answer.status_code for answer in race(create, 12)}
    assert statuses <= {201, 409}
    assert admin.send("POST", "/users", {"username": "once"}, {"Idempotency-Key": "k"}).json["id"]


def test_a_key_of_a_request_that_failed_may_be_used_again(admin: Admin) -> None:
    key = {"Idempotency-Key": "k"}
    assert admin.send("POST", "/users", {"username": "BEN"}, key).status_code == 409
    assert admin.send("POST", "/users", {"username": "fine"}, key).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none(admin: Admin, key: str) -> None:
    assert admin.send("POST", "/users", NEW, {"Idempotency-Key": key}).status_code == 400
