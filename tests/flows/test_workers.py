"""Two workers over PostgreSQL and Redis: any of them may take any request of a flow."""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from redis import Redis

from tests.contract.race import THREADS, race
from tests.house import Request
from tests.services import fresh_database
from tests.serving import ISSUER, Place, Serving, Visitor, serving, until

pytestmark = pytest.mark.xdist_group("workers")

SECOND = timedelta(seconds=1)
LATE = 1.0  # what a loaded machine may add to a promised second


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> Iterator[Serving]:
    Redis.from_url(redis_url).flushdb()
    place = Place(tmp_path_factory.mktemp("workers")).configure(
        f"""
[storage]
database_url = "{fresh_database(postgres_url)}"
redis_url = "{redis_url}"
cache_ttl = "PT1S"
[keys]
refresh_every = "PT1S"
[tokens]
code_ttl = "PT5M"
""",
        server="workers = 2",
    )
    place.seed()
    with serving(place) as found:
        until(lambda: len(found.workers()) == 2)
        until(lambda: race(lambda _: found.call("/jwks"), 8) and _all_answered(found, {}))
        yield found


def _all_answered(live: Serving, before: dict[int, float]) -> bool:
    """Whether every worker has answered something since."""
    now = live.answered()
    return all(now.get(pid, 0) > before.get(pid, 0) for pid in live.workers())


def events(live: Serving, name: str, **fields: Any) -> list[dict[str, Any]]:
    """What the audit trail holds of them."""
    with live.core() as core:
        found, after = [], 0
        while rows := core.stores.audit.read(after=after, limit=1000):
            after = rows[-1][0]
            found += [row for _, row in rows if row.event == name]
    return [
        row.detail
        for row in found
        if all(getattr(row, key, row.detail.get(key)) == value for key, value in fields.items())
    ]


def test_a_flow_crosses_the_workers(live: Serving) -> None:
    """Every request is on a connection of its own; flows until both took part in the same one."""
    for username in ("ben", "amy", "cyd"):
        before = live.answered()
        request, visitor = Request(), Visitor(live)
        tokens = live.redeem(request, visitor.sign_in(request, username)).json()
        claims = live.call("/userinfo", bearer=tokens["access_token"]).json()
        assert claims["sub"] == live.described["users"][username]["sub"]
        refreshed = live.refresh(tokens["refresh_token"]).json()
        state = live.call("/introspect", {"token": refreshed["access_token"]}, client="web").json()
        assert (state["active"], state["sub"]) == (True, claims["sub"])
        # The session holds on whichever worker it is asked: no page in between.
        again = Request()
        assert live.redeem(again, visitor.sign_in(again, username)).status_code == 200
        assert visitor.begin(Request(more={"prompt": "none"}))["step"] == "done"
        if _all_answered(live, before):
            return
    # 3 flows of 9 requests on one of two workers by chance: once in 2**26
    raise AssertionError(f"one worker did everything: {before} {live.answered()}")


def test_one_of_50_redemptions_of_a_code_succeeds(live: Serving) -> None:
    request = Request()
    code = Visitor(live).sign_in(request, "ben")
    before = live.answered()
    answers = race(lambda _: live.redeem(request, code))
    assert Counter(a.status_code for a in answers) == {200: 1, 400: THREADS - 1}
    assert {a.json()["error"] for a in answers if a.status_code == 400} == {"invalid_grant"}
    assert _all_answered(live, before)
    # RFC 6749 section 4.1.2: the others were replays, so what the first one got is revoked.
    won = next(a.json() for a in answers if a.status_code == 200)
    assert live.call("/userinfo", bearer=won["access_token"]).status_code == 401
    assert live.refresh(won["refresh_token"]).json()["error"] == "invalid_grant"


def test_50_refreshes_of_a_token_have_one_successor(live: Serving) -> None:
    first = live.tokens("ben")
    before = live.answered()
    answers = race(lambda _: live.refresh(first["refresh_token"]))
    assert Counter(a.status_code for a in answers) == {200: THREADS}
    successors = {a.json()["refresh_token"] for a in answers}
    assert len(successors) == 1
    assert successors != {first["refresh_token"]}
    assert len({a.json()["access_token"] for a in answers}) == THREADS
    assert _all_answered(live, before)
    assert live.refresh(successors.pop()).status_code == 200


def test_5_of_50_wrong_passwords_are_looked_at(live: Serving) -> None:
    """The rest were refused unread; the right password is refused as well while it waits."""
    ana = live.described["users"]["ana"]
    visitors = [Visitor(live) for _ in range(THREADS)]
    pages = [visitor.begin(Request()) for visitor in visitors]
    before = live.answered()

    def guess(number: int) -> requests.Response:
        return visitors[number].answer(pages[number], username="ana", password=f"wrong-{number}")

    answers = race(guess)
    assert {a.status_code for a in answers} == {200}
    assert all(a.json()["error"] for a in answers)
    assert _all_answered(live, before)
    rejected = events(live, "factor_rejected", user_id=ana["sub"], factor="password")
    refused = events(live, "attempt_refused", user_id=ana["sub"], factor="password")
    assert (len(rejected), len(refused)) == (5, THREADS - 5)
    assert sum(bool(a.json()["retry_after"]) for a in answers) == THREADS - 5

    visitor = Visitor(live)
    page = visitor.answer(visitor.begin(Request()), username="ana", password=ana["password"]).json()
    assert page["factor"] == "password"
    assert 0 < page["retry_after"] <= 30


def test_a_rotated_secret_is_refused_everywhere_within_cache_ttl(live: Serving) -> None:
    form = {"grant_type": "client_credentials"}

    def statuses(secret: str) -> set[int]:
        found = race(lambda _: live.call("/token", form, client="service", secret=secret), 12)
        return {answer.status_code for answer in found}

    old = live.secret("service")
    before = live.answered()
    until(lambda: statuses(old) == {200} and _all_answered(live, before))  # in every cache
    done = live.idp("client", "rotate-secret", "service", "--json")
    changed = time.monotonic()
    new = json.loads(done.stdout)["client_secret"]
    until(lambda: 200 not in statuses(old), SECOND.total_seconds() + LATE)
    before = live.answered()
    until(lambda: _refused(live, old) and _all_answered(live, before))
    assert time.monotonic() - changed < 10
    assert statuses(new) == {200}


def _refused(live: Serving, secret: str) -> bool:
    form = {"grant_type": "client_credentials"}
    answers = race(lambda _: live.call("/token", form, client="service", secret=secret), 12)
    assert {(a.status_code, a.json()["error"]) for a in answers} == {(401, "invalid_client")}
    return True


def test_rotated_keys_are_seen_everywhere_within_refresh_every(live: Serving) -> None:
    tokens = live.tokens("cyd")
    done = live.idp("keys", "rotate", "--now", "--json")
    fresh = {key["kid"] for key in json.loads(done.stdout)["keys"]}
    assert len(fresh) == 3

    def everywhere() -> bool:
        found = race(lambda _: {k["kid"] for k in live.call("/jwks").json()["keys"]}, 12)
        return all(fresh <= kids for kids in found)

    before = live.answered()
    until(everywhere, SECOND.total_seconds() + LATE)
    until(lambda: everywhere() and _all_answered(live, before))
    # Both sign with the new keys; what the old ones signed is still good.
    answers = race(lambda _: live.refresh(tokens["refresh_token"]).json(), 12)
    assert {_kid(a["access_token"]) for a in answers} <= fresh
    assert _kid(tokens["access_token"]) not in fresh
    found = race(lambda _: live.call("/userinfo", bearer=tokens["access_token"]).status_code, 12)
    assert set(found) == {200}


def _kid(token: str) -> str:
    header = token.partition(".")[0]
    found: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return found


def test_a_disabled_user_is_out_at_once(live: Serving) -> None:
    request, visitor = Request(), Visitor(live)
    code = visitor.sign_in(request, "cyd")
    tokens = live.tokens("cyd")

    def userinfo() -> set[int]:
        bearer = tokens["access_token"]
        return set(race(lambda _: live.call("/userinfo", bearer=bearer).status_code, 12))

    assert userinfo() == {200}
    live.idp("user", "disable", "cyd")
    try:
        assert userinfo() == {401}  # no cache in between: no waiting
        assert live.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
        assert live.redeem(request, code).json()["error"] == "invalid_grant"
        page = visitor.begin(Request(more={"prompt": "none"}))
        assert "error=login_required" in page["redirect_uri"]
        state = live.call("/introspect", {"token": tokens["access_token"]}, client="web").json()
        assert state == {"active": False}
    finally:
        live.idp("user", "enable", "cyd")
    # Enabled again, but what was ended stays ended.
    assert live.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert live.tokens("cyd")["access_token"]


def test_losing_redis_ends_half_done_sign_ins_and_nothing_else(
    live: Serving, redis_url: str
) -> None:
    done = Visitor(live)
    request = Request()
    tokens = live.redeem(request, done.sign_in(request, "ben")).json()
    waiting = Request()
    code = done.sign_in(waiting, "ben")
    half = Visitor(live)
    page = half.begin(Request())

    Redis.from_url(redis_url).flushdb()

    password = live.described["users"]["ben"]["password"]
    for answer in (
        half.answer(page, username="ben", password=password),
        half.open(page["action"]),
    ):
        assert answer.status_code == 404
        said = answer.json()
        assert said["error"] == "interaction_not_found"
        assert said["action"] == "Go back to the application and sign in again."
        assert len(said["support_code"]) == 9
    fresh = Request()
    assert live.redeem(fresh, half.sign_in(fresh, "ben")).status_code == 200
    # Codes, sessions and tokens are in the database.
    assert live.redeem(waiting, code).status_code == 200
    assert done.begin(Request(more={"prompt": "none"}))["step"] == "done"
    assert live.refresh(tokens["refresh_token"]).status_code == 200
    assert live.call("/userinfo", bearer=tokens["access_token"]).status_code == 200


def test_nothing_failed_here(live: Serving) -> None:
    """Last in this file: no request of any test above met an exception."""
    failed = [line for line in live.log() if "request_failed" in line or "Traceback" in line]
    assert failed == []
    assert live.counted('idp_events_total{event="request_failed"}') == 0


def administering(live: Serving) -> Callable[..., requests.Response]:
    """Calls of the admin API, each on a connection of its own: any worker may take it."""
    api = f"{ISSUER}/admin/v1"
    form = {"grant_type": "client_credentials", "resource": api}
    token = live.call("/token", form, client="admin").json()["access_token"]

    def call(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {token}"
        url = f"{live.url}/admin/v1{path}"
        return requests.request(method, url, json=body, headers=sent, timeout=30)

    return call


def test_a_state_is_changed_by_one_of_50_operators(live: Serving) -> None:
    call = administering(live)
    for path, field in ((f"/users/{live.described['users']['ben']['sub']}", "locale"),
                        ("/clients/web", "client_name")):  # fmt: skip
        before, etag = live.answered(), call("GET", path).headers["ETag"]

        def write(
            number: int, path: str = path, field: str = field, etag: str = etag
        ) -> requests.Response:
            return call("PATCH", path, {field: f"en-x{number}"}, If_Match=etag)

        answers = race(write)
        assert Counter(a.status_code for a in answers) == {200: 1, 412: THREADS - 1}
        (won,) = [a.json() for a in answers if a.status_code == 200]
        assert call("GET", path).json()[field] == won[field]
        assert _all_answered(live, before)


def test_of_50_requests_with_one_idempotency_key_one_is_done(live: Serving) -> None:
    call = administering(live)
    before = live.answered()
    new = {"client_id": "made-once"}
    answers = race(lambda _: call("POST", "/clients", new, Idempotency_Key="one"))
    assert {a.status_code for a in answers} <= {201, 409}
    secrets = {a.json()["client_secret"] for a in answers if a.status_code == 201}
    again = call("POST", "/clients", new, Idempotency_Key="one").json()
    assert secrets == {again["client_secret"]}
    assert _all_answered(live, before)


@pytest.mark.parametrize("odd", ["%00", "a%00b", "%ff", "%ed%a0%80", "x" * 3000])
def test_names_that_no_database_holds_are_nobody_s(live: Serving, odd: str) -> None:
    call = administering(live)
    for path in (f"/users/{odd}", f"/clients/{odd}", f"/users/{odd}/authenticators"):
        assert call("GET", path).status_code == 404
    assert call("GET", f"/users?name={odd}").json()["items"] == []
    ana = live.described["users"]["ana"]["sub"]
    removed = call("DELETE", f"/users/{ana}/authenticators/{odd}")
    assert removed.status_code == 404
