"""MF-01, MF-03, MF-08, MF-09, MF-10 against `idp serve`: embedded (one process, SQLite) and two
workers over PostgreSQL with Redis. Every request is on a connection of its own.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from redis import Redis

from idp.operate.users import UserAdmin
from tests.contract.race import THREADS, race
from tests.house import Request
from tests.services import fresh_database
from tests.serving import Place, Serving, Visitor, code_of, serving, until

PERIOD = 30
PASSWORD = "correct horse battery staple"
POLICY = """
[acr.aal1]
any_of = [["password"]]
[acr.aal2]
any_of = [["password", ["totp", "recovery_code"]]]
"""
AAL2 = {"acr_values": "aal2"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.xdist_group("mfa-embedded")),
        pytest.param("workers", marks=pytest.mark.xdist_group("mfa-workers")),
    ],
)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    place = Place(tmp_path_factory.mktemp(request.param))
    if request.param == "embedded":
        place.configure(POLICY)
    else:
        postgres = request.getfixturevalue("postgres_url")
        redis = request.getfixturevalue("redis_url")
        Redis.from_url(redis).flushdb()
        storage = f'[storage]\ndatabase_url = "{fresh_database(postgres)}"\nredis_url = "{redis}"\n'
        place.configure(storage + POLICY, server="workers = 2")
    place.seed()
    with serving(place) as found:
        if request.param == "workers":
            until(lambda: len(found.workers()) == 2)
        yield found


@dataclass
class Person:
    """Somebody of this test alone, with an authenticator app and recovery codes."""

    live: Serving
    name: str
    sub: str
    seed: str
    codes: tuple[str, ...]

    def at_code(self, factor: str = "totp", **more: str) -> tuple[Visitor, dict[str, Any]]:
        """A browser of its own that has proven the password and is asked for this factor."""
        visitor = Visitor(self.live)
        page = visitor.begin(Request(more={**AAL2, **more}))
        page = visitor.answer(page, username=self.name, password=PASSWORD).json()
        if page["factor"] != factor:
            page = visitor.answer(page, choose=factor).json()
        assert (page["step"], page["factor"]) == ("factor", factor)
        return visitor, page

    def sign_in(self, answer: str, factor: str = "totp") -> bool:
        visitor, page = self.at_code(factor)
        return signed_in(visitor.answer(page, code=answer).json())

    def totp(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.seed).at(int(time.time()) + PERIOD * steps)

    def held(self) -> Counter[str]:
        with self.live.core() as core:
            return Counter(a.factor for a in core.authenticators.of(self.sub))

    def events(self, name: str) -> list[dict[str, Any]]:
        with self.live.core() as core:
            rows = core.stores.audit.about(self.sub, [name], limit=500)
        return [dict(row.detail) for row in rows]


@pytest.fixture
def person(live: Serving) -> Person:
    with live.core() as core:
        admin = UserAdmin(
            core.stores,
            core.factors,
            core.sessions,
            core.bus,
            core.clock,
            core.settings.issuer,
            tuple(core.policy.acrs),
        )
        user = admin.add(f"p{uuid4().hex[:12]}", password=PASSWORD, actor="test")
        past = core.clock() - timedelta(days=1)
        earlier = replace(core.authenticators, clock=lambda: past)
        seed = str(earlier.begin(user.id, "totp").public["secret"])
        earlier.confirm(user.id, "totp", {"code": pyotp.TOTP(seed).at(past)}, actor="test")
        codes = core.authenticators.issue_codes(user.id, actor="test")
    return Person(live, user.username, user.id, seed, codes)


def signed_in(page: dict[str, Any]) -> bool:
    """Else the same question again: with what was wrong, or nothing once the wait is over."""
    if page["step"] != "done":
        assert page["step"] == "factor", page
        return False
    return bool(code_of(page))


def all_took_part(live: Serving, before: dict[int, float]) -> bool:
    """Whether every process that serves has answered something since."""
    now = live.answered()
    return all(now.get(pid, 0) > before.get(pid, 0) for pid in live.workers())


def within_a_step(attempt: Callable[[], bool]) -> bool:
    """What came out of an attempt that began and ended in the same 30 seconds. The clock of the
    server is the machine's: an attempt on the edge says nothing, and is made again."""
    while True:
        before = int(time.time()) // PERIOD
        found = attempt()
        if int(time.time()) // PERIOD == before:
            return found


# MF-01


@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda code: f" {code[:3]} {code[3:]} ",
        lambda code: f"+{code}",
        lambda code: "".join(chr(0xFF10 + int(digit)) for digit in code),
    ],
    ids=["same", "spaces", "plus", "full-width"],
)
def test_mf_01_an_accepted_code_is_refused_everywhere(
    person: Person, spell: Callable[[str], str]
) -> None:
    first, page = person.at_code()
    other, other_page = person.at_code()
    code = person.totp()
    assert signed_in(first.answer(page, code=code).json())
    again = other.answer(other_page, code=spell(code)).json()
    assert (again["step"], again["factor"]) == ("factor", "totp")
    assert not person.sign_in(code)


def test_mf_01_of_fifty_uses_of_one_code_exactly_one_wins(person: Person) -> None:
    waiting = [person.at_code() for _ in range(THREADS)]

    def use(number: int) -> bool:
        visitor, page = waiting[number]
        return signed_in(visitor.answer(page, code=code).json())

    code, before = person.totp(), person.live.answered()
    assert Counter(race(use)) == {True: 1, False: THREADS - 1}
    assert all_took_part(person.live, before)


# MF-03


@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_mf_03_this_step_and_the_one_before(person: Person, steps: int) -> None:
    waiting = [person.at_code() for _ in range(2)]

    def attempt() -> bool:
        visitor, page = waiting.pop()
        return signed_in(visitor.answer(page, code=person.totp(steps)).json())

    assert within_a_step(attempt) is (steps in {0, -1})


# MF-08


def test_mf_08_a_half_login_is_anonymous(live: Serving, person: Person) -> None:
    visitor, page = person.at_code()
    silent = visitor.begin(Request(more={"prompt": "none"}))
    assert "error=login_required" in silent["redirect_uri"]
    for secret in visitor.cookies.values():
        assert live.call("/userinfo", bearer=secret).status_code == 401
    home = visitor.open("/")
    assert person.name not in home.text
    for path in ("/account/", "/account/security", "/account/password"):
        assert person.name not in visitor.open(path).text
    # and the other way on: the same visit goes on from where it was
    assert signed_in(visitor.answer(page, code=person.totp()).json())


@pytest.mark.parametrize(
    "fields",
    [
        {"decision": "allow"},
        {"defer": "1"},
        {"enroll": "1", "factor": "totp", "code": "123456"},
        {"factor": "password", "password": PASSWORD},
        {"factor": "", "code": ""},
        {"choose": "password"},
        {"choose": "nonsense"},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_mf_08_no_answer_skips_the_second_step(person: Person, fields: dict[str, str]) -> None:
    visitor, page = person.at_code()
    after = visitor.answer(page, **fields)
    assert after.status_code in (200, 400), after.text
    if after.status_code == 200:
        assert after.json()["step"] == "factor"
        assert after.json()["factor"] in ("totp", "recovery_code")
    silent = visitor.begin(Request(more={"prompt": "none"}))
    assert "error=login_required" in silent["redirect_uri"]


# MF-09


def test_mf_09_a_password_binds_nothing_for_somebody_who_has_more(person: Person) -> None:
    visitor, page = person.at_code()
    before = person.held()
    for fields in (
        {"enroll": "1", "factor": "totp", "code": person.totp()},
        {"enroll": "1", "factor": "totp", "secret": "A" * 32, "code": "123456"},
    ):
        page = visitor.answer(page, **fields).json()
        assert page["step"] == "factor"
    assert person.held() == before
    assert len(person.events("authenticator_added")) == 2  # those of the fixture


def test_mf_09_a_binding_is_completed_once(live: Serving) -> None:
    """Fifty confirmations of one enrolment, whichever worker they meet: one authenticator."""
    name = f"p{uuid4().hex[:12]}"
    added = live.idp("user", "add", name)
    assert "sub" in added.stdout
    with live.core() as core:
        user = core.stores.users.find(name)
        assert user is not None
        admin = UserAdmin(
            core.stores, core.factors, core.sessions, core.bus, core.clock, "", ("aal1", "aal2")
        )
        admin.set_password(name, PASSWORD, actor="test")
    person = Person(live, name, user.id, "", ())
    visitor = Visitor(live)
    page = visitor.begin(Request(more=AAL2))
    page = visitor.answer(page, username=name, password=PASSWORD).json()
    assert page["step"] == "enroll"
    code = pyotp.TOTP(page["public"]["secret"]).now()
    copies = [Visitor(live, visitor.cookies) for _ in range(12)]
    answers = race(lambda n: copies[n].answer(page, enroll="1", code=code), 12)
    assert {a.status_code for a in answers} <= {200, 404, 409}
    assert person.held() == {"password": 1, "totp": 1}
    assert len(person.events("authenticator_added")) == 1


# MF-10


def test_mf_10_a_code_works_once_in_any_spelling(person: Person) -> None:
    code = person.codes[0]
    assert person.sign_in(f" {code.lower().replace('-', ' ')} ", "recovery_code")
    for spelling in (code, code.replace("-", ""), code.replace("0", "O").replace("1", "l")):
        assert not person.sign_in(spelling, "recovery_code")
    assert [e["left"] for e in person.events("recovery_code_used")] == [9]
    assert person.held()["recovery_code"] == 9


def test_mf_10_of_fifty_uses_of_one_code_exactly_one_wins(person: Person) -> None:
    waiting = [person.at_code("recovery_code") for _ in range(THREADS)]

    def use(number: int) -> bool:
        visitor, page = waiting[number]
        return signed_in(visitor.answer(page, code=person.codes[0]).json())

    before = person.live.answered()
    assert Counter(race(use)) == {True: 1, False: THREADS - 1}
    assert all_took_part(person.live, before)
    assert [e["left"] for e in person.events("recovery_code_used")] == [9]


def test_mf_10_codes_used_at_the_same_moment_are_each_used_up(person: Person) -> None:
    waiting = [person.at_code("recovery_code") for _ in range(4)]

    def use(number: int) -> bool:
        visitor, page = waiting[number]
        return signed_in(visitor.answer(page, code=person.codes[number]).json())

    assert race(use, 4) == [True] * 4
    assert person.held()["recovery_code"] == 6
    assert min(e["left"] for e in person.events("recovery_code_used")) == 6


def test_mf_10_a_hundred_guesses_are_throttled(person: Person) -> None:
    waiting = [person.at_code("recovery_code") for _ in range(THREADS)]

    def guess(number: int) -> bool:
        visitor, page = waiting[number]
        first, _, rest = person.codes[number % 10].partition("-")
        wrong = f"{first}-{rest[::-1]}"  # a selector that exists, and another secret
        answers = [visitor.answer(page, code=wrong).json() for _ in range(2)]
        return any(map(signed_in, answers))

    assert not any(race(guess))
    assert len(person.events("factor_rejected")) == 5
    assert len(person.events("attempt_refused")) == 2 * THREADS - 5
    assert not person.sign_in(person.codes[0], "recovery_code")  # the right one has to wait
    assert person.sign_in(person.totp())  # the other way is still open
    assert person.held()["recovery_code"] == 10


def test_mf_10_the_old_set_is_dead_once_a_new_one_is_issued(person: Person) -> None:
    visitor, page = person.at_code("recovery_code")
    with person.live.core() as core:
        fresh = core.authenticators.issue_codes(person.sub, actor="test")
    for old in person.codes[:2]:
        page = visitor.answer(page, code=old).json()
        assert not signed_in(page)
    assert signed_in(visitor.answer(page, code=fresh[0]).json())


def test_mf_10_a_code_of_another_person_is_wrong(live: Serving, person: Person) -> None:
    others = live.described["users"]["eli"]["recovery_codes"]
    assert not person.sign_in(others[0], "recovery_code")


@pytest.mark.parametrize(
    "text",
    ["", " ", "123456", "\uff11" * 20, "A" * 20, "U" * 20, "a\x00b", "1" * 60_000],
    ids=["empty", "space", "totp", "full-width", "letters", "no-letter", "control", "60-kB"],
)
@pytest.mark.parametrize("factor", ["totp", "recovery_code"])
def test_mf_10_what_is_no_code_is_refused_with_the_same_words(
    person: Person, factor: str, text: str
) -> None:
    visitor, page = person.at_code(factor)
    after = visitor.answer(page, code=text)
    assert after.status_code == 200
    assert after.json()["error"] == "That did not match. Check what you typed and try again."
    assert person.held() == {"password": 1, "totp": 1, "recovery_code": 10}


def test_a_megabyte_is_turned_away_before_it_is_read(person: Person) -> None:
    visitor, page = person.at_code()
    assert visitor.answer(page, code="1" * 1_000_000).status_code == 413
    assert person.sign_in(person.totp())


def test_a_code_answers_the_step_that_was_asked(person: Person) -> None:
    """The right recovery code in the field of the app, and the other way round."""
    visitor, page = person.at_code("totp")
    assert not signed_in(visitor.answer(page, code=person.codes[0]).json())
    visitor, page = person.at_code("recovery_code")
    assert not signed_in(visitor.answer(page, code=person.totp()).json())
    stale = {**page, "factor": "totp"}  # the challenge that is under way is another factor's
    assert visitor.answer(stale, code=person.totp()).json()["step"] == "factor"
    assert person.held()["recovery_code"] == 10


def test_nothing_failed_here_and_no_code_is_in_the_log(live: Serving) -> None:
    """Last in this file: no request of any test above met an exception."""
    log = live.stderr.read_text()
    assert "Traceback" not in log
    assert "request_failed" not in log
    for user in live.described["users"].values():
        secrets = [user["password"], user["totp_secret"], *(user["recovery_codes"] or ())]
        assert not [secret for secret in secrets if secret and secret in log]
