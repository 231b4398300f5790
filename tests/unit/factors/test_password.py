"""Password: the same work for everybody, a bounded queue, and what a password may be."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher, extract_parameters
from pydantic import ValidationError

from idp.errors import Busy
from idp.factors.base import Challenge, Context, Form, Rejected
from idp.factors.password import LONGEST_WAIT, Password, prepare
from idp.model import Authenticator, User
from idp.settings import FlowSettings, Server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USER = User("u1", "alice", NOW, NOW)
FORM = Challenge(Form("", ()))
CHEAP = {"memory_kib": 8192, "iterations": 1}
GOOD = "correct horse"


class Counter:
    """Counts what the hasher is asked, and hashes nonetheless."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verified: list[tuple[str, bytes]] = []
        self.hashed = 0
        verify, hash_ = PasswordHasher.verify, PasswordHasher.hash

        def counted_verify(hasher: PasswordHasher, known: str, given: bytes) -> bool:
            self.verified.append((known, given))
            return verify(hasher, known, given)

        def counted_hash(hasher: PasswordHasher, given: bytes) -> str:
            self.hashed += 1
            return hash_(hasher, given)

        monkeypatch.setattr(PasswordHasher, "verify", counted_verify)
        monkeypatch.setattr(PasswordHasher, "hash", counted_hash)


@pytest.fixture
def password() -> Password:
    return Password(CHEAP)


@pytest.fixture
def held(password: Password) -> Authenticator:
    return password.confirm(context(), FORM, {"password": GOOD})


@pytest.fixture
def counter(password: Password, held: Authenticator, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Counts from here on: the decoy and the held hash are made already."""
    return Counter(monkeypatch)


def context(*held: Authenticator, user: User | None = USER) -> Context:
    return Context(NOW, "https://login.example", user, held, lambda key, ttl: True)


def test_the_right_one_and_a_wrong_one(password: Password, held: Authenticator) -> None:
    assert password.verify(context(held), FORM, {"password": GOOD}) == held
    for wrong in ("Correct horse", GOOD + " ", " " + GOOD, ""):
        with pytest.raises(Rejected, match="wrong password"):
            password.verify(context(held), FORM, {"password": wrong})
    with pytest.raises(Rejected, match="wrong password"):
        password.verify(context(held), FORM, {})


def test_unknown_users_cost_the_same_hash(
    password: Password, held: Authenticator, counter: Counter
) -> None:
    contexts = [context(held), context(user=None), context(), context(held, user=None)]
    for number, ctx in enumerate(contexts, start=1):
        with pytest.raises(Rejected):
            password.verify(ctx, FORM, {"password": "a wrong one"})
        assert (len(counter.verified), counter.hashed) == (number, 0)
    used = [extract_parameters(known) for known, _ in counter.verified]
    assert all(parameters == used[0] for parameters in used)
    assert {given for _, given in counter.verified} == {b"a wrong one"}


def test_a_match_without_a_user_is_no_proof(password: Password, held: Authenticator) -> None:
    with pytest.raises(Rejected, match="unknown user"):
        password.verify(context(held, user=None), FORM, {"password": GOOD})


def test_a_login_brings_old_hashes_up_to_date(
    password: Password, held: Authenticator, counter: Counter
) -> None:
    stronger = Password({**CHEAP, "iterations": 2})
    counter.hashed = 0  # its decoy
    renewed = stronger.verify(context(held), FORM, {"password": GOOD})
    assert counter.hashed == 1
    assert renewed.secret != held.secret
    assert renewed.id == held.id
    assert extract_parameters(renewed.secret.decode()).time_cost == 2
    assert stronger.verify(context(renewed), FORM, {"password": GOOD}) == renewed
    assert counter.hashed == 1
    with pytest.raises(Rejected):
        stronger.verify(context(held), FORM, {"password": "a wrong one"})
    assert counter.hashed == 1


def test_a_broken_record_is_a_refusal(password: Password, held: Authenticator) -> None:
    broken = Authenticator("a1", "u1", "password", NOW, b"not a hash")
    with pytest.raises(Rejected, match="wrong password"):
        password.verify(context(broken), FORM, {"password": GOOD})


def test_what_is_stored(held: Authenticator) -> None:
    assert held.secret.startswith(b"$argon2id$v=19$m=8192,t=1,p=1$")
    assert (held.user_id, held.factor, held.created_at) == ("u1", "password", NOW)
    assert GOOD not in repr(held)


def test_default_parameters() -> None:
    """OWASP ASVS 5.0 appendix C: 19 MiB, two passes."""
    secret = Password({}).confirm(context(), FORM, {"password": GOOD}).secret
    assert secret.startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")


def test_the_longest() -> None:
    assert len(prepare("x" * 1024)) == 1024
    assert len(prepare("é" * 512)) == 1024
    for long in ("x" * 1025, "é" * 513):
        with pytest.raises(Rejected, match="longer than 1024 bytes"):
            prepare(long)


def test_composed_and_decomposed_are_one_password(password: Password) -> None:
    made = password.confirm(context(), FORM, {"password": "caf\u00e9 noir"})
    assert password.verify(context(made), FORM, {"password": "cafe\u0301 noir"}) == made
    assert prepare("\ufb01") != prepare("fi")  # NFC, not NFKC


def test_nothing_is_cut_at_nul(password: Password) -> None:
    made = password.confirm(context(), FORM, {"password": "before\x00after"})
    assert prepare("before\x00after") == b"before\x00after"
    assert password.verify(context(made), FORM, {"password": "before\x00after"}) == made
    for other in ("before", "before\x00", "before\x00other"):
        with pytest.raises(Rejected, match="wrong password"):
            password.verify(context(made), FORM, {"password": other})


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(Rejected, match="not valid Unicode"):
        prepare("\ud800password")


@pytest.mark.parametrize(("setting", "shortest"), [({}, 8), ({"min_length": 15}, 15)])
def test_the_shortest_counts_characters(setting: dict[str, int], shortest: int) -> None:
    password = Password({**CHEAP, **setting})
    password.confirm(context(), FORM, {"password": "é" * shortest})
    with pytest.raises(Rejected, match=f"at least {shortest} characters"):
        password.confirm(context(), FORM, {"password": "é" * (shortest - 1)})
    with pytest.raises(Rejected, match="nobody"):
        password.confirm(context(user=None), FORM, {"password": GOOD})


@pytest.mark.parametrize("queue", [0, 1])
def test_a_full_queue_says_busy_and_recovers(queue: int, monkeypatch: pytest.MonkeyPatch) -> None:
    password = Password({**CHEAP, "hash_slots": 1, "hash_admitted": 1 + queue})
    inside, leave = threading.Event(), threading.Event()
    running: list[int] = []

    def slow(hasher: PasswordHasher, given: bytes) -> str:
        running.append(1)
        inside.set()
        assert leave.wait(10)
        return "$hash"

    monkeypatch.setattr(PasswordHasher, "hash", slow)
    threads = [
        threading.Thread(target=password.confirm, args=(context(), FORM, {"password": GOOD}))
        for _ in range(1 + queue)
    ]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    admitted = password._slots._admitted
    while admitted._value:
        threading.Event().wait(0.005)
    for act in (password.confirm, password.verify):
        with pytest.raises(Busy) as busy:
            act(context(), FORM, {"password": GOOD})
        assert busy.value.retry_after == timedelta(seconds=2)
    assert len(running) == 1
    leave.set()
    for thread in threads:
        thread.join(10)
    assert password.confirm(context(), FORM, {"password": GOOD}).secret == b"$hash"


def test_who_waited_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the engine's limit for a factor, which would be a refusal and count as one."""
    assert FlowSettings().factor_timeout > LONGEST_WAIT
    password = Password({**CHEAP, "hash_slots": 1})
    monkeypatch.setattr("idp.factors.password.LONGEST_WAIT", timedelta(0))
    free = password._slots._admitted._value
    with password._slots.one(), pytest.raises(Busy):
        password.confirm(context(), FORM, {"password": GOOD})
    assert password._slots._admitted._value == free
    assert password.confirm(context(), FORM, {"password": GOOD}).secret


def test_a_hundred_at_once_are_admitted_and_tokens_are_served_meanwhile() -> None:
    admitted = Password({})._slots._admitted._value
    assert 100 <= admitted < Server().threads


def test_forms_availability_and_settings(password: Password, held: Authenticator) -> None:
    assert [f.name for f in password.begin(context(user=None)).form.fields] == [
        "username",
        "password",
    ]
    assert [f.name for f in password.begin(context(held)).form.fields] == ["password"]
    (new,) = password.enroll(context()).form.fields
    assert new.autocomplete == "new-password"
    assert password.available(context(user=None))
    assert password.available(context(held))
    assert not password.available(context())
    assert (password.amr, password.identifies) == (("pwd",), True)
    for bad in ({"min_length": 7}, {"memory_kib": 1024}, {"pepper": "x"}):
        with pytest.raises(ValidationError):
            Password(bad)
