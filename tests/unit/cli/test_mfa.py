"""`idp mfa` as a shell runs it: processes of their own share what is under way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from idp.cli.db import opened
from tests.unit.cli.conftest import Run

POLICY = (
    '{"aal1": {"any_of": [["password"]]},'
    ' "aal2": {"any_of": [["password", ["totp", "recovery_code"]]]}}'
)


@pytest.fixture(autouse=True)
def policy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_ACR", POLICY)


def begun(run: Run) -> str:
    """The key of an authenticator app whose binding is under way."""
    uri = run("mfa", "enable", "ana", "totp", "--json").json["question"]["provisioning_uri"]
    return str(pyotp.parse_uri(uri).secret)


def code(seed: str, steps: int = 0) -> str:
    return pyotp.TOTP(seed).at(datetime.now(UTC) + timedelta(seconds=30 * steps)) + "\n"


def listed(run: Run) -> list[Any]:
    return [a["factor"] for a in run("mfa", "list", "ana", "--json").json["authenticators"]]


def test_an_app_is_enabled_by_one_command_and_verified_by_the_next(run: Run, ana: str) -> None:
    seed = begun(run)
    wrong = run("mfa", "verify", "ana", stdin="000000\n")
    assert (wrong.code, wrong.out) == (1, "")
    assert "did not match" in wrong.err
    assert listed(run) == ["password"]
    done = run("mfa", "verify", "ana", "--json", stdin=code(seed, -1))
    assert (done.code, done.json["status"], done.json["acr"]) == (0, "confirmed", "aal2")
    assert listed(run) == ["password", "totp"]
    assert run("user", "show", "ana", "--json").json["require_acr"] == "aal2"
    gone = run("mfa", "disable", ana, "--json", stdin=code(seed))
    assert gone.json["removed"] == ["totp"]
    assert run("user", "show", "ana", "--json").json["require_acr"] is None


def test_people_see_a_picture_and_what_to_do_next(run: Run, ana: str) -> None:
    shown = run("mfa", "enable", "ana", "totp")
    assert "█" in shown.out
    assert "otpauth://totp/" in shown.out
    assert "idp mfa verify ana" in shown.err


def test_on_a_terminal_the_code_is_asked_for_at_once(
    run: Run, ana: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def typed(prompt: str, **_: object) -> str:
        seen.append(prompt)
        return code(seed, -1).strip()

    monkeypatch.setattr("click.prompt", typed)
    monkeypatch.setattr("pyotp.random_base32", lambda length: "A" * length)
    seed = "A" * 32
    done = run("mfa", "enable", "ana", "totp", terminal=True)
    assert done.code == 0
    assert seen == ["Code"]
    assert "confirmed" in done.out
    assert listed(run) == ["password", "totp"]


def test_codes_are_printed_one_a_line_and_never_again(run: Run, ana: str) -> None:
    first = run("mfa", "codes", "ana")
    codes = first.out.split()
    assert len(codes) == len(set(codes)) == 10
    used = run("mfa", "verify", "ana", "--json", stdin=codes[0].lower() + "\n").json
    assert (used["status"], used["codes_left"]) == ("verified", 9)
    shown = run("mfa", "list", "ana")
    assert "9 recovery codes" in shown.err
    everything = shown.out + run("audit", "show", "--json").out
    assert not [c for c in codes if c in everything or c.replace("-", "") in everything]
    assert len(run("mfa", "codes", "ana", "--json").json["codes"]) == 10
    assert run("mfa", "verify", "ana", stdin=codes[1] + "\n").code == 1


def test_a_helpdesk_hands_out_one_code_that_expires(run: Run, ana: str) -> None:
    shown = run("mfa", "rescue", "ana")
    assert "works once, until 20" in shown.err
    assert len(shown.out.split()) == 1
    expires = datetime.fromisoformat(run("mfa", "rescue", "ana", "--json").json["expires_at"])
    assert timedelta(hours=23) < expires - datetime.now(UTC) <= timedelta(days=1)
    assert run("mfa", "verify", "ana", stdin=shown.out).code == 1  # the second one ended it


def test_an_authenticator_is_named_and_removed(run: Run, ana: str) -> None:
    run("mfa", "verify", "ana", stdin=code(begun(run)))
    held = run("mfa", "list", "ana", "--json").json["authenticators"]
    app = next(a["id"] for a in held if a["factor"] == "totp")
    password = next(a["id"] for a in held if a["factor"] == "password")
    assert run("mfa", "rename", "ana", app, "work phone", "--json").json["name"] == "work phone"
    assert "work phone" in run("mfa", "list", "ana").out
    for one in (app, password):  # she chose aal2, so both are the last way in
        kept = run("mfa", "remove", "ana", one)
        assert (kept.code, kept.out) == (1, "")
        assert "Add another way first" in kept.err
    run("mfa", "verify", "ana", stdin=code(begun(run)))
    with opened(None) as core:
        session = core.sessions.establish(core.authenticators.user(ana), (), None).session
        assert run("mfa", "remove", "ana", app).code == 0
        assert session is not None
        ended = core.stores.sessions.get(session.id)
        assert ended is not None
        assert ended.ended_at is not None
    assert len(listed(run)) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("enable", "ana", "password"), 1, "no second factor"),
        (("enable", "ana", "nonsense"), 1, "not in use"),
        (("enable", "ana"), 2, "METHOD"),
        (("verify", "ana", "123456"), 2, "argument"),  # a code is no argument
        (("disable", "ana", "123456"), 2, "argument"),
        (("verify", "ana"), 1, "no second factor"),
        (("disable", "ana"), 1, "no second factor"),
        (("codes", "nobody"), 1, "idp user list"),
        (("rescue", "nobody"), 1, "idp user list"),
        (("remove", "ana", "x"), 1, "no authenticator"),
        (("rename", "ana", "x", "y"), 1, "no authenticator"),
        (("rename", "ana", "x\x1b[31m", "y"), 1, "no authenticator"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    run: Run, ana: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("mfa", *arguments)
    assert result.code == code
    assert says in result.err
    assert "\x1b" not in result.err
    assert result.out == ""
    assert listed(run) == ["password"]


@pytest.mark.parametrize(
    "name",
    ["enable", "verify", "codes", "disable", "list", "rename", "remove", "rescue"],
)
def test_every_command_has_an_example(run: Run, name: str) -> None:
    shown = run("mfa", name, "--help")
    assert shown.code == 0
    assert f"idp mfa {name} ana" in shown.out
    assert "--json" in shown.out


def test_user_enroll_takes_the_fields_of_any_factor(run: Run, ana: str) -> None:
    """What it shows is on stderr, and what was bound is told like any other."""
    shown = run("user", "enroll", "ana", "totp", "--stdin", stdin="000000\n")
    assert (shown.code, shown.out) == (1, "")
    assert "provisioning_uri: otpauth://" in shown.err
    assert run("user", "enroll", "ana", "password", "--stdin", stdin="x\n").code == 1
    assert run("user", "enroll", "ana", "recovery_code", "--stdin", stdin="x\n").code == 1
    assert listed(run) == ["password"]
