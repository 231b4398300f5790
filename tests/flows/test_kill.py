"""kill -9 of every process at a random moment, and a restart over the same state.

What was answered before the kill must hold afterwards; what was not may have happened or not,
but never half, and never twice. Moments come from `SEED`, which a failure prints.
"""

import base64
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from idp.oidc.verify import verify_jws
from tests.house import Request
from tests.serving import Place, Serving, Visitor, code_of, serving

pytestmark = pytest.mark.xdist_group("kill")

SEED = random.SystemRandom().randrange(2**32)
ROUNDS = 4
THREADS = 2  # of each kind of request
CODES = 24
LONGEST = 0.4  # seconds of traffic before it

ROTATE = """
import sys
from datetime import timedelta
from pathlib import Path
from idp import settings
from idp.core import create_core
core = create_core(settings.read(Path(sys.argv[1])))
print("ready", flush=True)
while True:
    core.ring.rotate(publish_ahead=timedelta(0))
    print("rotated", flush=True)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """SQLite, kept from one start to the next."""
    found = Place(tmp_path_factory.mktemp("kill")).configure('[tokens]\ncode_ttl = "PT5M"')
    found.seed()
    return found


@pytest.fixture
def moments() -> random.Random:
    print("SEED =", SEED)
    return random.Random(SEED)


def ask(place: Place, sql: str) -> list[Any]:
    with closing(sqlite3.connect(place.folder / "state" / "idp.db")) as connection:
        return connection.execute(sql).fetchall()


def intact(place: Place) -> None:
    """The file itself, and the pairs of rows that belong together."""
    assert ask(place, "PRAGMA integrity_check") == [("ok",)]
    assert ask(place, "PRAGMA foreign_key_check") == []
    used = "SELECT grant_id FROM code WHERE used_at IS NOT NULL"
    got = "SELECT grant_id FROM refresh_token"
    # A code and what it was exchanged for: both or neither.
    assert ask(place, f"{used} EXCEPT {got}") == []
    assert ask(place, f"{got} EXCEPT {used}") == []
    assert ask(place, 'SELECT id FROM "grant" EXCEPT SELECT grant_id FROM code') == []
    # A used refresh token and its successor, which alone is live.
    live = "SELECT grant_id, count(*) FROM refresh_token WHERE used_at IS NULL GROUP BY grant_id"
    assert [row for row in ask(place, live) if row[1] != 1] == []
    assert len(ask(place, live)) == len(ask(place, f"SELECT DISTINCT grant_id FROM ({got})"))  # noqa: S608


class Redemptions:
    """Codes that were made before, redeemed one after the other."""

    def __init__(self) -> None:
        self.todo: list[Redemption] = []
        self.answered = 0
        self._lock = threading.Lock()

    def prepare(self, live: Serving) -> None:
        visitor = Visitor(live)
        visitor.sign_in(Request(), "ben")  # from now on a code is one request
        self.todo = []
        for _ in range(CODES):
            request = Request()
            self.todo.append(Redemption(request, code_of(visitor.begin(request))))

    def act(self, live: Serving, _: int) -> bool:
        with self._lock:
            one = next((one for one in self.todo if not one.sent), None)
            if one is None:
                return False
            one.sent = True
        answer = live.redeem(one.request, one.code)
        assert answer.status_code == 200, answer.text
        one.answered = True
        self.answered += 1
        return True

    def settle(self, live: Serving) -> None:
        for one in self.todo:
            again = live.redeem(one.request, one.code)
            if one.answered:  # never a second time
                assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
                continue
            if not one.sent:  # nothing happened to it: nothing is lost
                assert again.status_code == 200, again.text
            elif again.status_code != 200:  # used up, the answer lost: it stays used up
                assert again.json()["error"] == "invalid_grant"
            twice = live.redeem(one.request, one.code)
            assert (twice.status_code, twice.json()["error"]) == (400, "invalid_grant")


@dataclass
class Redemption:
    request: Request
    code: str
    sent: bool = False
    answered: bool = False


class Refreshes:
    """One family per thread, each token presented once; the kill loses the last answer."""

    def __init__(self) -> None:
        self.families: list[list[str]] = []
        self.answered = 0

    def prepare(self, live: Serving) -> None:
        self.families = [[live.tokens("ben")["refresh_token"]] for _ in range(THREADS)]

    def act(self, live: Serving, number: int) -> bool:
        answer = live.refresh(self.families[number][-1])
        assert answer.status_code == 200, answer.text
        self.families[number].append(answer.json()["refresh_token"])
        self.answered += 1
        return True

    def settle(self, live: Serving) -> None:
        for family in self.families:
            first, second = live.refresh(family[-1]), live.refresh(family[-1])
            assert (first.status_code, second.status_code) == (200, 200), first.text
            successor = first.json()["refresh_token"]
            assert successor == second.json()["refresh_token"]
            assert successor not in family
            if len(family) > 1:  # a retry of what was answered is the same lineage
                assert live.refresh(family[-2]).json()["refresh_token"] == family[-1]
            assert live.refresh(successor).status_code == 200


class SignIns:
    """Whole sign-ins, one after the other. Each thread is a person of its own: attempts of one
    person at the same moment are counted against that person."""

    def __init__(self) -> None:
        self.made: list[SignIn] = []
        self.answered = self.resumed = 0

    def prepare(self, live: Serving) -> None:
        self.made = []

    def act(self, live: Serving, number: int) -> bool:
        one = SignIn(Visitor(live), Request(), ("ben", "cyd")[number])
        self.made.append(one)
        one.page = one.visitor.begin(one.request)
        done = self._post(live, one)
        assert done.status_code == 200, done.text
        one.code = code_of(done.json())
        self.answered += 1
        return True

    def settle(self, live: Serving) -> None:
        said = ask(live, "SELECT count(*) FROM audit WHERE event = 'sign_in_completed'")
        assert said[0][0] >= self.answered
        for one in [one for one in self.made if one.code][-5:]:
            assert live.redeem(one.request, one.code).status_code == 200
            assert live.redeem(one.request, one.code).status_code == 400
            silent = one.visitor.begin(Request(more={"prompt": "none"}))
            assert "code=" in silent["redirect_uri"]  # the session is there
        for one in self.made:
            if one.page and not one.code:
                self._go_on(live, one)

    def _go_on(self, live: Serving, one: "SignIn") -> None:
        """The page that the person still has in front: it works, or says what to do."""
        answer = self._post(live, one)
        if answer.status_code == 200:
            assert live.redeem(one.request, code_of(answer.json())).status_code == 200
            self.resumed += 1
            return
        assert answer.status_code == 404, answer.text
        assert answer.json()["action"]
        assert len(answer.json()["support_code"]) == 9

    def _post(self, live: Serving, one: "SignIn") -> requests.Response:
        password = live.described["users"][one.username]["password"]
        return one.visitor.answer(one.page, username=one.username, password=password)


@dataclass
class SignIn:
    visitor: Visitor
    request: Request
    username: str
    page: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""


def test_nothing_is_lost_and_nothing_is_given_twice(place: Place, moments: random.Random) -> None:
    """Codes, refresh tokens and sign-ins, all under way when the kill comes."""
    loads = (Redemptions(), Refreshes(), SignIns())
    for _ in range(ROUNDS):
        with serving(place) as live:
            for load in loads:
                load.settle(live)
                load.prepare(live)
            _killed_under(live, loads, moments)
        intact(place)
    with serving(place) as live:
        for load in loads:
            load.settle(live)
    assert [load.answered > 0 for load in loads] == [True] * 3, "a kill came always too early"
    failed = [line for line in place.stderr.read_text().splitlines() if "request_failed" in line]
    assert failed == []


def _killed_under(live: Serving, loads: Sequence[Any], moments: random.Random) -> None:
    """THREADS of each load go on until the connection breaks."""
    started = threading.Barrier(len(loads) * THREADS + 1)
    problems: list[BaseException] = []

    def work(load: Any, number: int) -> None:
        started.wait(30)
        try:
            while load.act(live, number):
                pass
        except requests.RequestException:
            pass  # the kill
        except BaseException as problem:  # noqa: BLE001 - it is raised below
            problems.append(problem)

    threads = [
        threading.Thread(target=work, args=(load, number))
        for load in loads
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    started.wait(30)
    time.sleep(moments.uniform(0.05, LONGEST))  # not for something to happen: the random moment
    live.kill()
    for thread in threads:
        thread.join(30)
    assert problems == []


def test_the_key_ring_is_whole(place: Place, moments: random.Random) -> None:
    """The rotating process and the provider die at once; everything issued before is still good."""
    tokens: list[Mapping[str, Any]] = []
    rotations = 0
    for _ in range(3):
        with serving(place) as live, rotating(place) as rotator:
            tokens.append(live.tokens("ben"))
            time.sleep(moments.uniform(0.0, LONGEST))  # the random moment
            rotator.kill()
            live.kill()
            assert rotator.stdout is not None
            rotations += rotator.stdout.read().count("rotated")
        assert ask(place, "PRAGMA integrity_check") == [("ok",)]
        _one_active_key_each(place)
    assert rotations > 0, "no rotation was finished before any kill"
    with serving(place) as live:
        keys = live.call("/jwks").json()
        assert len({key["kid"] for key in keys["keys"]}) == len(keys["keys"])
        for issued in tokens:
            for name, algs in (("access_token", ["ES256"]), ("id_token", ["RS256"])):
                claims = verify_jws(issued[name], keys, algs).payload
                assert claims["sub"] == live.described["users"]["ben"]["sub"]
            assert live.call("/userinfo", bearer=issued["access_token"]).status_code == 200
        fresh = live.tokens("ben")["access_token"]
        signers = {k["kid"] for k in json.loads(live.idp("keys", "list", "--json").stdout)["keys"]}
        assert _kid(fresh) in signers


@contextmanager
def rotating(place: Place) -> Iterator[subprocess.Popen[str]]:
    """`idp keys rotate --now`, over and over, once it has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", ROTATE, str(place.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait(timeout=15)
        assert process.stdout is not None
        process.stdout.close()


def _one_active_key_each(place: Place) -> None:
    with place.core() as core:
        keys, now = core.ring.published(), core.clock()
        unretired = sorted(k.alg for k in keys if k.retired_at is None)
        assert unretired == ["ES256", "Ed25519", "RS256"]
        assert {"ES256", "Ed25519", "RS256"} == set(core.ring.now().signing)
        assert all(k.active_at <= now for k in keys)
        batches = {k.created_at for k in keys}  # a rotation writes its three keys, or none
        assert len(keys) == 3 * len(batches)


def _kid(token: str) -> str:
    header = token.partition(".")[0]
    found: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return found
