"""`idp serve` as a process: what it says, what it refuses, how it ends."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from idp.core import Core
from idp.storage.open import schema_current
from tests.contract.race import race
from tests.house import Request
from tests.services import fresh_database
from tests.serving import ISSUER, Place, Serving, Visitor, serving, until

pytestmark = pytest.mark.xdist_group("serve")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Serving]:
    """Two workers on PostgreSQL."""
    place = Place(tmp_path_factory.mktemp("serve")).configure(
        f'[storage]\ndatabase_url = "{fresh_database(postgres_url)}"', server="workers = 2"
    )
    place.seed()
    with serving(place) as found:
        until(lambda: len(found.workers()) == 2)
        yield found


def refusal(place: Place, *arguments: str) -> str:
    """Why `idp serve` does not start: exit code 3, one line, no traceback."""
    done = place.idp("serve", *arguments, code=3)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("configuration: ")
    return lines[0]


def test_discovery_names_the_configured_issuer_and_nothing_from_the_request(live: Serving) -> None:
    answer = requests.get(
        f"{live.url}/.well-known/openid-configuration",
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
        timeout=10,
    )
    document = answer.json()
    assert document["issuer"] == ISSUER
    urls = [v for v in document.values() if isinstance(v, str) and v.startswith("http")]
    assert len(urls) > 5
    assert all(url == ISSUER or url.startswith(f"{ISSUER}/") for url in urls)
    assert "evil" not in answer.text


def test_metrics_add_up_every_worker(live: Serving) -> None:
    """On the management port only; each worker's own count is a part of the sum."""
    workers = live.workers()

    def both_answered() -> bool:
        race(lambda _: requests.get(f"{live.url}/jwks", timeout=10), 8)
        return workers <= {pid for pid, count in live.answered().items() if count}

    until(both_answered)
    before = live.counted('http_requests_total{endpoint="jwks",status="200"}')
    race(lambda _: requests.get(f"{live.url}/jwks", timeout=10), 20)
    series = 'http_requests_total{endpoint="jwks",status="200"}'
    until(lambda: live.counted(series) == before + 20)
    assert live.counted('http_request_seconds_count{endpoint="jwks"}') == before + 20
    assert requests.get(f"{live.url}/metrics", timeout=10).status_code == 404
    assert requests.get(f"{live.url}/health", timeout=10).status_code == 404


def test_health_opens_the_stores(live: Serving) -> None:
    answer = requests.get(f"{live.management}/health", timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"healthy": True})
    assert requests.get(f"{live.management}/other", timeout=10).status_code == 404


def test_a_killed_worker_is_replaced(live: Serving) -> None:
    before = live.workers()
    victim = before.copy().pop()
    os.kill(victim, signal.SIGKILL)
    after = until(lambda: len(found := live.workers() - {victim}) == 2 and found)
    fresh = (after - before).pop()
    assert after & before == before - {victim}

    def replacement_answers() -> bool:
        found = race(lambda _: _status(live), 8)
        assert set(found) <= {200, 0}  # 0: a connection that had waited for the dead worker
        return bool(live.answered().get(fresh))

    until(replacement_answers)
    assert live.tokens("ben")["token_type"] == "Bearer"
    assert live.process.poll() is None


def _status(live: Serving) -> int:
    try:
        return requests.get(f"{live.url}/jwks", timeout=10).status_code
    except requests.ConnectionError:
        return 0


def test_the_log_is_json_without_secrets(live: Serving) -> None:
    """At level debug, after everything that carries a secret was used, rightly and wrongly."""
    secrets = {
        live.secret("web"),
        live.secret("service"),
        live.described["users"]["ana"]["password"],
        live.described["users"]["ana"]["totp_secret"],
        "a-wrong-Passw0rd",
        "a-wrong-client-s3cret",
    }
    request, visitor = Request(), Visitor(live)
    page = visitor.begin(request)
    page = visitor.answer(page, username="ana", password="a-wrong-Passw0rd").json()
    assert page["error"]
    code = visitor.sign_in(request, "ana")
    tokens = live.redeem(request, code).json()
    again = live.refresh(tokens["refresh_token"]).json()
    service = live.call("/token", {"grant_type": "client_credentials"}, client="service").json()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        live.call("/introspect", {"token": token}, client="web")
    live.call("/userinfo", bearer=again["access_token"])
    live.redeem(request, code)
    live.call("/revoke", {"token": again["refresh_token"]}, client="web")
    wrong = live.call(
        "/token",
        {"grant_type": "client_credentials"},
        client="service",
        secret="a-wrong-client-s3cret",
    )
    assert wrong.status_code == 401
    for answer in (tokens, again, service):
        secrets |= {v for k, v in answer.items() if k.endswith("_token")}
    secrets |= {code, request.verifier, *visitor.cookies.values()}
    assert len(secrets) >= 15

    until(lambda: any('"code_replayed"' in line for line in live.log()))
    lines = live.log()
    seen = {json.loads(line)["event"] for line in lines}  # every line is an object
    assert {"factor_rejected", "sign_in_completed", "token_issued", "code_replayed"} <= seen
    text = "\n".join(lines)
    assert [secret for secret in secrets if secret in text] == []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_sigterm_ends_it_cleanly(place: Place) -> None:
    """SQLite makes its own schema at the first start; every process goes, and the folder too."""
    with serving(place.configure()) as found:
        family = found.family
        assert len(family) >= 2  # a worker and the caretaker
        assert found.call("/jwks").status_code == 200
        found.process.terminate()
        assert found.process.wait(timeout=15) == 0
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        assert list((place.folder / "tmp").glob("idp-metrics-*")) == []
        assert all(json.loads(line) for line in found.log())


def test_a_request_under_way_is_answered_before_the_end(place: Place) -> None:
    """SIGTERM while a password is hashed: the person still gets an answer."""
    place.configure()
    slow = place.config.read_text().replace("iterations = 1", "iterations = 60")
    place.seed()
    place.config.write_text(slow)
    with serving(place) as found:
        visitor = Visitor(found)
        page = visitor.begin(Request())
        answers: list[requests.Response] = []

        def act(number: int) -> None:
            if number == 0:
                answers.append(visitor.answer(page, username="nobody", password="x" * 12))
                return
            with found.core() as core:
                until(lambda: _attempts(core))
            found.process.terminate()

        race(act, 2)
        assert answers[0].status_code == 200
        assert answers[0].json()["error"]
        assert found.process.wait(timeout=15) == 0


def _attempts(core: Core) -> int:
    """Written before the hash begins."""
    with core.stores.users._database.read() as connection:  # type: ignore[attr-defined]
        found: int = connection.exec_driver_sql("SELECT count(*) FROM attempt").scalar_one()
    return found


def test_a_taken_port_is_named(place: Place, live: Serving) -> None:
    place.port = live.port
    said = refusal(place.configure())
    assert f"server.port: 127.0.0.1:{live.port}: Address already in use" in said


def test_a_taken_management_port_is_named(place: Place, live: Serving) -> None:
    place.management_port = live.management_port
    said = refusal(place.configure())
    assert f"server.management_port: {live.management_port}: Address already in use" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[tokens]\nacces_token_ttl = 'PT5M'", "tokens.acces_token_ttl"),
        ("[storage]\nredis_url = 'redis://127.0.0.1:1/0'", "storage.redis_url"),
        ("[acr.aal1]\nany_of = [['no-such-factor']]", "no-such-factor"),
    ],
)
def test_a_bad_configuration_is_named_by_its_key(place: Place, text: str, key: str) -> None:
    assert key in refusal(place.configure(text))


def test_more_than_one_worker_needs_a_database_server(place: Place) -> None:
    said = refusal(place.configure(server="workers = 2"))
    assert "server.workers: more than one worker needs storage.database_url" in said


def test_a_servers_schema_is_changed_only_when_told_to(place: Place, postgres_url: str) -> None:
    place.configure(f'[storage]\ndatabase_url = "{fresh_database(postgres_url)}"')
    assert "run `idp db upgrade`" in refusal(place)
    assert not schema_current(place.settings())
    with serving(place, "--upgrade") as found:
        assert found.call("/jwks").status_code == 200
