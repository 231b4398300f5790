"""Every refusal of multi-factor management, on every surface: it says why and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest

from idp.factors import management
from idp.factors.management import enable_mfa, use
from idp.model import Message
from tests.house import Request
from tests.management import (
    POLICY,
    SURFACES,
    Api,
    Place,
    app_code,
    asked,
    enabled,
    plain,
    provided,
    signed,
    signed_otherwise,
)


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
MOST = 65536  # characters of an answer that the admin API reads
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
    if len(given) > MOST and isinstance(place.surface, Api):
        assert what["reason"] in {"too_large", "invalid"}  # it did not get as far
    else:
        assert (what["status"], what["reason"]) == ("refused", reason)
        assert (what["retry_at"] is not None) == (reason == "wait")
    assert what["public"]
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
    for place in provided(surface, tmp_path, monkeypatch, flow={"default_acr": "aal2"}):
        enabled(place, "totp")
        enabled(place, "recovery_code")
        for given in ("", app_code(place, None), place.known[0]):
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
    for place in provided(surface, tmp_path, monkeypatch, acr=policy):
        enabled(place, "totp")
        enabled(place, "recovery_code")
        enabled(place, "webauthn")
        for given in (app_code(place, None), place.known[0]):
            what = place.surface.disable(place.ben, given)
            assert (what["status"], what["reason"]) == ("refused", "wrong")
        question = asked(place, "webauthn", place.surface.disable)
        assert place.surface.disable(place.ben, signed(place, question))["status"] == "disabled"


@pytest.mark.parametrize("surface", SURFACES)
def test_where_a_password_reaches_the_highest_level_it_still_disables_nothing(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "fresh": {"any_of": [["password"]], "max_age": "PT5M"}}
    for place in provided(surface, tmp_path, monkeypatch, acr=policy):
        enabled(place, "totp")
        password = place.house.users["ben"]["password"]
        assert place.surface.disable(place.ben, password)["status"] == "refused"
        assert place.surface.disable(place.ben, app_code(place, None))["status"] == "disabled"


def test_a_password_that_is_being_set_elsewhere_is_not_what_is_verified(place: Place) -> None:
    enabled(place, "totp")
    password = next(a for a in place.core.authenticators.of(place.ben) if a.factor == "password")
    place.core.stores.authenticators.remove(password.id)
    place.core.authenticators.begin(place.ben, "password")
    assert place.surface.verify(place.ben, app_code(place, None))["status"] == "verified"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_level_above_the_others_is_chosen_by_enabling_what_reaches_it(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "aal3": {"any_of": [["password", "webauthn"]]}}
    for place in provided(surface, tmp_path, monkeypatch, acr=policy):
        enabled(place, "webauthn")
        assert place.user().require_acr == "aal3"


@pytest.mark.parametrize("surface", SURFACES)
def test_codes_that_no_level_takes_are_not_issued(
    surface: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**POLICY, "aal2": {"any_of": [["password", ["totp", "sms"]]]}}
    for place in provided(surface, tmp_path, monkeypatch, acr=policy):
        what = place.surface.enable(place.ben, "recovery_code")
        assert (what["status"], what["reason"]) == ("refused", "unknown_method")
        assert "codes" not in place.surface.codes(place.ben)


def test_a_challenge_that_was_begun_for_one_is_no_use_to_another(place: Place) -> None:
    enabled(place, "webauthn")
    question = asked(place, "webauthn", place.surface.verify)
    cyd = str(place.house.users["cyd"]["sub"])
    refused = place.surface.verify(cyd, signed(place, question))
    assert (refused["status"], refused["reason"]) == ("refused", "not_enabled")
    refused = place.surface.disable(place.ben, signed_otherwise(place, question))
    assert refused["reason"] == "wrong"
    # one answer, right or wrong: the one that was asked is gone
    assert place.surface.verify(place.ben, signed(place, question))["reason"] == "wrong"


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
