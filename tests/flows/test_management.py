"""Multi-factor management: every method through enable, verify, disable and every refusal, on every
surface. A surface gives what the functions give, as JSON says it.

`sms` and `webauthn` are the real factors where they are installed, else what stands in for them
(tests/stand_ins.py); another surface is one more class and its name in SURFACES.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pyotp
import pytest
import segno

from idp.cli import main
from idp.cli.output import _encode
from idp.core import Core, create_core
from idp.factors import management, registry
from idp.factors.management import (
    disable_mfa,
    enable_mfa,
    generate_backup_codes,
    use,
    verify_mfa,
)
from idp.model import Message, User
from tests import stand_ins
from tests.house import House, Request, build

SECOND = ["totp", "sms", "webauthn", "recovery_code"]
POLICY = {
    "aal1": {"any_of": [["password"]]},
    "aal2": {"any_of": [["password", SECOND]]},
}
CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
PERIOD = timedelta(seconds=30)

Json = dict[str, Any]


class Surface(Protocol):
    """The four functions, however they are reached. A refusal of `codes` is {"reason": ...}."""

    def enable(self, user_id: str, method: str) -> Json: ...
    def verify(self, user_id: str, code: str) -> Json: ...
    def codes(self, user_id: str) -> Json: ...
    def disable(self, user_id: str, verification: str) -> Json: ...


class Python:
    def __init__(self, core: Core, _: pytest.MonkeyPatch) -> None:
        use(core.management)

    def enable(self, user_id: str, method: str) -> Json:
        return plain(enable_mfa(user_id, method))

    def verify(self, user_id: str, code: str) -> Json:
        return plain(verify_mfa(user_id, code))

    def codes(self, user_id: str) -> Json:
        try:
            return {"codes": generate_backup_codes(user_id)}
        except management.IdpError as error:
            return {"reason": error.code, "public": error.public}

    def disable(self, user_id: str, verification: str) -> Json:
        return plain(disable_mfa(user_id, verification))


class Commands:
    """`idp mfa ... --json` with the code on standard input, over the same stores and time."""

    def __init__(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def opened(_: Path | None) -> Iterator[Core]:
            yield core

        monkeypatch.setattr("idp.cli.mfa.opened", opened)
        self._patch = monkeypatch

    def enable(self, user_id: str, method: str) -> Json:
        return self._run("enable", user_id, method)

    def verify(self, user_id: str, code: str) -> Json:
        return self._run("verify", user_id, typed=code)

    def codes(self, user_id: str) -> Json:
        return self._run("codes", user_id)

    def disable(self, user_id: str, verification: str) -> Json:
        return self._run("disable", user_id, typed=verification)

    def _run(self, *words: str, typed: str = "") -> Json:
        out, err = io.StringIO(), io.StringIO()
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["idp", "mfa", *words, "--json"])
            patch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as stop:
                main()
        if not out.getvalue():
            return {"error": err.getvalue(), "exit": stop.value.code}
        found: Json = json.loads(out.getvalue())
        assert stop.value.code == (1 if found.get("status") == "refused" else 0)
        return found


SURFACES: Mapping[str, Callable[[Core, pytest.MonkeyPatch], Surface]] = {
    "python": Python,
    "cli": Commands,
}


def plain(result: Any) -> Json:
    found: Json = json.loads(json.dumps(asdict(result), default=_encode))
    return found


@dataclass
class Place:
    """A provider, and one of its people as the methods see them."""

    house: House
    core: Core
    surface: Surface
    seed: str = ""
    known: tuple[str, ...] = ()

    @property
    def ben(self) -> str:
        return str(self.house.users["ben"]["sub"])

    def user(self) -> User:
        return self.core.authenticators.user(self.ben)

    def factors(self) -> list[str]:
        """The password first, then by name: what is bound at one instant has no order."""
        held = {a.factor for a in self.core.authenticators.of(self.ben)}
        return sorted(held, key=lambda factor: (factor != "password", factor))

    def message(self) -> Message:
        return self.house.outbox.messages()[0][1]

    def events(self, name: str) -> list[Mapping[str, Any]]:
        rows = self.core.stores.audit.read(limit=1000)
        return [r.detail for _, r in rows if r.event == name and r.user_id == self.ben]


@dataclass(frozen=True)
class Method:
    """How a person answers: what binds it, what proves it again, and what does neither."""

    bind: Callable[[Place, Json], str]
    prove: Callable[[Place, Json | None], str]
    wrong: Callable[[Place, Json | None], str]
    asks: str
    begun: bool  # a proof of it has to be begun


def _seeded(place: Place, question: Json) -> str:
    place.seed = pyotp.parse_uri(question["provisioning_uri"]).secret
    return pyotp.TOTP(place.seed).at(place.house.clock())


def _totp(place: Place, _: Json | None) -> str:
    place.house.clock.advance(PERIOD)
    return pyotp.TOTP(place.seed).at(place.house.clock())


def _old(place: Place, question: Json | None) -> str:
    seed = place.seed or pyotp.parse_uri((question or {})["provisioning_uri"]).secret
    return pyotp.TOTP(seed).at(place.house.clock() - 3 * PERIOD)


def _sms(place: Place, _: Json | None) -> str:
    found = re.search(r"\b\d{6}\b", place.message().text)
    assert found
    return found[0]


def _not_sms(place: Place, _: Json | None) -> str:
    return f"{(int(_sms(place, None)) + 1) % 10**6:06}"


def _key(_: Place, question: Json | None) -> str:
    assert question is not None
    return stand_ins.credential(question["options"])


def _another(_: Place, question: Json | None) -> str:
    return stand_ins.credential({"challenge": "0" * 16})


def _code(place: Place, _: Json | None) -> str:
    code, *rest = place.known
    place.known = tuple(rest)
    return code


METHODS: Mapping[str, Method] = {
    "totp": Method(_seeded, _totp, _old, "code", begun=False),
    "sms": Method(_sms, _sms, _not_sms, "code", begun=True),
    "webauthn": Method(_key, _key, _another, "credential", begun=True),
}


@pytest.fixture(params=SURFACES)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    yield from _place(request.param, tmp_path, monkeypatch)


def _place(
    surface: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> Iterator[Place]:
    monkeypatch.setattr(registry, "installed", stand_ins.installed)
    house = build(folder, factors=CHEAP, **{"acr": POLICY, **settings})
    core = create_core(house.app.settings, house.app.stores, house.clock, house.outbox)
    yield Place(house, core, SURFACES[surface](core, monkeypatch))
    house.app.close()


def enabled(place: Place, method: str) -> None:
    """Ben has it."""
    begun = place.surface.enable(place.ben, method)
    if method == "recovery_code":
        place.known = tuple(begun["codes"])
        return
    done = place.surface.verify(place.ben, METHODS[method].bind(place, begun["question"]))
    assert done["status"] == "confirmed", done
    place.house.clock.advance(timedelta(minutes=6))  # past the spacing of messages


def asked(place: Place, method: str, ask: Callable[[str, str], Json]) -> Json | None:
    """Begin what has to be begun before it can be proven."""
    if not METHODS[method].begun:
        return None
    begun = ask(place.ben, "")
    assert begun["status"] == "pending", begun
    question: Json = begun["question"]
    return question


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_enabled_verified_and_disabled(place: Place, method: str) -> None:
    how, surface = METHODS[method], place.surface
    begun = surface.enable(place.ben, method)
    question = begun["question"]
    assert (begun["status"], begun["method"], begun["reason"]) == ("pending", method, "")
    assert question["asks"] == how.asks
    assert place.factors() == ["password"]  # nothing is bound before it was confirmed

    wrong = surface.verify(place.ben, how.wrong(place, question))
    assert (wrong["status"], wrong["reason"]) == ("refused", "wrong")
    assert wrong["public"]
    assert place.factors() == ["password"]
    if method == "webauthn":  # its challenge takes one answer
        question = surface.enable(place.ben, method)["question"]

    done = surface.verify(place.ben, how.bind(place, question))
    assert (done["status"], done["method"], done["acr"]) == ("confirmed", method, "aal2")
    assert place.factors() == ["password", method]
    assert place.user().require_acr == "aal2"
    assert [e["factor"] for e in place.events("authenticator_added")] == [method]

    place.house.clock.advance(timedelta(minutes=6))
    question = asked(place, method, surface.verify)
    answer = how.prove(place, question)
    right = surface.verify(place.ben, answer)
    assert (right["status"], right["method"]) == ("verified", method)
    again = surface.verify(place.ben, answer)
    assert (again["status"], again["reason"]) == ("refused", "wrong")

    place.house.clock.advance(timedelta(minutes=6))
    question = asked(place, method, surface.disable)
    assert surface.disable(place.ben, how.wrong(place, question))["reason"] == "wrong"
    assert place.factors() == ["password", method]
    place.house.clock.advance(timedelta(minutes=6))
    session = place.core.sessions.establish(place.user(), (), None).session
    question = asked(place, method, surface.disable)
    gone = surface.disable(place.ben, how.prove(place, question))
    assert (gone["status"], gone["removed"]) == ("disabled", [method])
    assert place.factors() == ["password"]
    assert place.user().require_acr is None
    assert session is not None
    ended = place.core.stores.sessions.get(session.id)
    assert ended is not None
    assert ended.ended_at is not None
    assert [e["factor"] for e in place.events("authenticator_removed")] == [method]


def test_recovery_codes_are_enabled_verified_and_disabled(place: Place) -> None:
    begun = place.surface.enable(place.ben, "recovery_code")
    assert (begun["status"], begun["codes_left"], len(begun["codes"])) == ("enabled", 10, 10)
    assert place.user().require_acr is None  # codes run out: nobody is asked for them every time
    used = place.surface.verify(place.ben, begun["codes"][0].lower().replace("-", " "))
    assert (used["status"], used["method"], used["codes_left"]) == ("verified", "recovery_code", 9)
    assert place.events("recovery_code_used") == [{"left": 9}]
    assert place.surface.verify(place.ben, begun["codes"][0])["reason"] == "wrong"

    fresh = place.surface.codes(place.ben)["codes"]
    assert len(fresh) == 10
    assert place.surface.verify(place.ben, begun["codes"][1])["reason"] == "wrong"
    assert place.surface.verify(place.ben, fresh[0])["codes_left"] == 9

    assert place.surface.disable(place.ben, fresh[0])["reason"] == "wrong"
    gone = place.surface.disable(place.ben, fresh[1])
    assert (gone["status"], gone["removed"]) == ("disabled", ["recovery_code"])
    assert place.factors() == ["password"]


def test_the_key_of_an_app_is_a_picture_and_a_uri(place: Place) -> None:
    question = place.surface.enable(place.ben, "totp")["question"]
    uri = pyotp.parse_uri(question["provisioning_uri"])
    assert (uri.name, uri.issuer) == ("ben", "idp")
    assert question["qr_svg"].startswith("<svg")
    size = segno.make(question["provisioning_uri"], error="m", micro=False).symbol_size(border=4)[0]
    assert f'viewBox="0 0 {size} {size}"' in question["qr_svg"]


def test_a_verified_number_is_used_and_masked(place: Place) -> None:
    question = place.surface.enable(place.ben, "sms")["question"]
    phone = place.house.users["ben"]["phone"]
    assert place.message().to == phone
    assert question["masked_number"] == phone[:3] + "•" * (len(phone) - 5) + phone[-2:]


def test_without_a_verified_number_it_is_asked_for(place: Place) -> None:
    number = place.house.users["cyd"]["phone"]
    place.core.stores.users.save(replace(place.user(), phone_verified=False))
    begun = place.surface.enable(place.ben, "sms")
    assert begun["question"]["asks"] == "number"
    assert place.house.outbox.messages() == ()
    sent = place.surface.verify(place.ben, number)
    assert (sent["status"], sent["question"]["asks"]) == ("pending", "code")
    assert place.message().to == number
    done = place.surface.verify(place.ben, _sms(place, None))
    assert done["status"] == "confirmed"


def test_a_binding_is_shown_again_by_an_empty_code(place: Place) -> None:
    begun = place.surface.enable(place.ben, "totp")
    again = place.surface.verify(place.ben, "")
    assert (again["status"], again["question"]) == ("pending", begun["question"])


def test_every_second_factor_goes_at_once(place: Place) -> None:
    for method in (*METHODS, "recovery_code"):
        enabled(place, method)
    assert place.factors() == ["password", *sorted([*METHODS, "recovery_code"])]
    gone = place.surface.disable(place.ben, _totp(place, None))
    assert sorted(gone["removed"]) == sorted([*METHODS, "recovery_code"])
    assert place.factors() == ["password"]


def test_a_lost_phone_is_disabled_by_a_recovery_code(place: Place) -> None:
    enabled(place, "totp")
    enabled(place, "recovery_code")
    assert place.surface.disable(place.ben, _code(place, None))["status"] == "disabled"


def test_a_second_method_leaves_the_choice_as_it_is(place: Place) -> None:
    enabled(place, "totp")
    place.core.stores.users.save(replace(place.user(), require_acr=None))
    enabled(place, "webauthn")
    assert place.user().require_acr is None


# Refusals


def _nothing(_: Place) -> None:
    """Ben as he is seeded."""


def _locked(place: Place) -> None:
    enabled(place, "totp")
    for _ in range(5):
        place.surface.verify(place.ben, "000000")


def _locked_binding(place: Place) -> None:
    place.surface.enable(place.ben, "totp")
    for _ in range(5):
        place.surface.verify(place.ben, "000000")


def _disabled(place: Place) -> None:
    place.house.user_admin.disable("ben", actor="test")


def _has_totp(place: Place) -> None:
    enabled(place, "totp")


def _has_key(place: Place) -> None:
    enabled(place, "webauthn")


def _binding(place: Place) -> None:
    place.surface.enable(place.ben, "totp")


def _gateway_down(place: Place) -> None:
    def fail(_: Message) -> None:
        raise OSError("the gateway says no")

    place.house.outbox.send = fail  # type: ignore[method-assign]


def _key_and_gateway_down(place: Place) -> None:
    enabled(place, "sms")
    _gateway_down(place)


LONG = "1" * 1_000_000
REFUSALS: list[tuple[str, Callable[[Place], None], str, str]] = [
    # what is called, with what, after what, and why not
    ("enable password", _nothing, "", "not_a_second_factor"),
    ("enable nonsense", _nothing, "", "unknown_method"),
    ("enable sms", _gateway_down, "", "not_sent"),
    ("enable totp", _disabled, "", "disabled"),
    ("enable recovery_code", _disabled, "", "disabled"),
    ("verify", _nothing, "123456", "not_enabled"),
    ("verify", _nothing, "", "not_enabled"),
    ("verify", _has_totp, "", "code_needed"),
    ("verify", _key_and_gateway_down, "", "not_sent"),
    ("verify", _has_totp, "12 34 5x", "wrong"),
    ("verify", _has_totp, "\uff11\uff12\uff13\uff14\uff15\uff16", "wrong"),
    ("verify", _has_totp, "abcdef", "wrong"),
    ("verify", _has_totp, '{"code": "x"}', "wrong"),
    ("verify", _has_totp, LONG, "wrong"),
    ("verify", _has_totp, "{" * 5000, "wrong"),
    ("verify", _has_key, "123456", "wrong"),  # nothing was asked yet
    ("verify", _has_key, '{"challenge": "0000000000000000", "key": "key"}', "wrong"),
    ("verify", _locked, "000000", "wait"),
    ("verify", _locked_binding, "000000", "wait"),
    ("verify", _disabled, "123456", "disabled"),
    ("verify", _binding, "\uff11\uff12\uff13\uff14\uff15\uff16", "wrong"),
    ("verify", _binding, LONG, "wrong"),
    ("disable", _nothing, "123456", "not_enabled"),
    ("disable", _has_totp, "000000", "wrong"),
    ("disable", _has_totp, "", "code_needed"),
    ("disable", _locked, "000000", "wait"),
    ("disable", _disabled, "123456", "disabled"),
    ("disable", _has_totp, LONG, "wrong"),
]


@pytest.mark.parametrize(
    ("call", "before", "given", "reason"),
    REFUSALS,
    ids=[f"{call} {before.__name__} {given[:12]}" for call, before, given, _ in REFUSALS],
)
def test_a_refusal_says_why_and_changes_nothing(
    place: Place, call: str, before: Callable[[Place], None], given: str, reason: str
) -> None:
    before(place)
    held, user = place.core.authenticators.of(place.ben), place.user()
    verb, _, method = call.partition(" ")
    what = getattr(place.surface, verb)(place.ben, method or given)
    assert (what["status"], what["reason"]) == ("refused", reason)
    assert what["public"]
    assert (what["retry_at"] is not None) == (reason == "wait")
    assert place.core.authenticators.of(place.ben) == held
    assert place.user() == user


@pytest.mark.parametrize("call", ["enable", "verify", "disable", "codes"])
def test_nobody_is_not_found(place: Place, call: str) -> None:
    arguments = ("nobody",) if call == "codes" else ("nobody", "totp")
    what = getattr(place.surface, call)(*arguments)
    # a command says it as it does for every other unknown name
    assert what.get("reason") == "not_found" or ("nobody" in what["error"] and what["exit"] == 1)


def test_a_password_alone_disables_nothing(place: Place) -> None:
    enabled(place, "totp")
    what = place.surface.disable(place.ben, place.house.users["ben"]["password"])
    assert (what["status"], what["reason"]) == ("refused", "wrong")
    assert "totp" in place.factors()


def test_a_code_of_another_person_is_wrong(place: Place) -> None:
    enabled(place, "totp")
    for call in (place.surface.verify, place.surface.disable):
        assert call(place.ben, place.house.totp("ana"))["reason"] == "wrong"


def test_wrong_codes_are_counted_with_those_of_sign_ins(place: Place) -> None:
    """Five here, and a sign-in has to wait too."""
    _locked(place)
    place.house.users["ben"]["totp_secret"] = place.seed  # type: ignore[index]
    browser = place.house.browser()
    browser.authorize(Request())
    browser.submit(username="ben", password=place.house.users["ben"]["password"])
    page = browser.submit(code=pyotp.TOTP(place.seed).at(place.house.clock()))
    assert "Too many attempts" in page.text


@pytest.mark.parametrize("surface", SURFACES)
def test_what_the_provider_demands_is_not_disabled(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in _place(surface, tmp_path, monkeypatch, flow={"default_acr": "aal2"}):
        enabled(place, "totp")
        enabled(place, "recovery_code")
        for given in ("", _totp(place, None), place.known[0]):
            what = place.surface.disable(place.ben, given)
            assert (what["status"], what["reason"]) == ("refused", "required")
        assert place.factors() == ["password", "recovery_code", "totp"]
        # and no code was used up by asking
        assert place.surface.verify(place.ben, place.known[0])["codes_left"] == 9


@pytest.mark.parametrize("surface", SURFACES)
def test_a_proof_below_the_highest_level_disables_nothing(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "aal3": {"any_of": [["password", "webauthn"]]}}
    for place in _place(surface, tmp_path, monkeypatch, acr=policy):
        enabled(place, "totp")
        enabled(place, "recovery_code")
        enabled(place, "webauthn")
        for given in (_totp(place, None), place.known[0]):
            what = place.surface.disable(place.ben, given)
            assert (what["status"], what["reason"]) == ("refused", "wrong")
        question = asked(place, "webauthn", place.surface.disable)
        assert place.surface.disable(place.ben, _key(place, question))["status"] == "disabled"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_level_above_the_others_is_chosen_by_enabling_what_reaches_it(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "aal3": {"any_of": [["password", "webauthn"]]}}
    for place in _place(surface, tmp_path, monkeypatch, acr=policy):
        enabled(place, "webauthn")
        assert place.user().require_acr == "aal3"


@pytest.mark.parametrize("surface", SURFACES)
def test_codes_that_no_level_takes_are_not_issued(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "aal2": {"any_of": [["password", ["totp", "sms"]]]}}
    for place in _place(surface, tmp_path, monkeypatch, acr=policy):
        what = place.surface.enable(place.ben, "recovery_code")
        assert (what["status"], what["reason"]) == ("refused", "unknown_method")
        assert "codes" not in place.surface.codes(place.ben)


def test_a_challenge_that_was_begun_for_one_is_no_use_to_another(place: Place) -> None:
    enabled(place, "webauthn")
    question = asked(place, "webauthn", place.surface.verify)
    cyd = str(place.house.users["cyd"]["sub"])
    refused = place.surface.verify(cyd, _key(place, question))
    assert (refused["status"], refused["reason"]) == ("refused", "not_enabled")
    refused = place.surface.disable(place.ben, _another(place, question))
    assert refused["reason"] == "wrong"
    # one answer, right or wrong: the one that was asked is gone
    assert place.surface.verify(place.ben, _key(place, question))["reason"] == "wrong"


def test_no_result_shows_a_secret_in_its_repr(place: Place) -> None:
    use(place.core.management)
    shown = repr(enable_mfa(place.ben, "totp"))
    seed = pyotp.parse_uri(plain(enable_mfa(place.ben, "totp"))["question"]["provisioning_uri"])
    assert seed.secret not in shown
    assert "otpauth" not in shown
    issued = enable_mfa(place.ben, "recovery_code")
    assert not any(code in repr(issued) for code in issued.codes)


def test_without_a_provider_the_functions_say_what_to_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(management, "_in_use", [])
    with pytest.raises(management.ConfigError, match="create_core"):
        enable_mfa("u", "totp")
