from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import click
import pyotp
import pytest

from idp import settings
from idp.core import create_core
from idp.factors.base import Context
from tests.unit.cli.conftest import PASSWORD, Run


def test_a_user_is_added_and_shown(run: Run) -> None:
    added = run(
        "user", "add", "Ana", "--password-stdin", "--email", "a@example.com", "--phone",
        "+4915123456789", "--require-acr", "aal2", "--json", stdin=PASSWORD,
    )  # fmt: skip
    assert added.code == 0
    shown = run("user", "show", "ana", "--json").json
    assert shown == added.json
    assert (shown["username"], shown["email"], shown["phone"]) == (
        "Ana",
        "a@example.com",
        "+4915123456789",
    )
    assert shown["require_acr"] == "aal2"
    assert shown["state"] == "active"
    assert shown["created_at"].endswith("Z")
    assert [a["factor"] for a in shown["authenticators"]] == ["password"]
    assert set(shown["authenticators"][0]) == {"factor", "created_at", "last_used_at", "state"}
    assert run("user", "show", shown["sub"]).code == 0


def test_no_output_holds_a_password_or_its_hash(run: Run, ana: str) -> None:
    for arguments in (("show", "ana"), ("show", "ana", "--json"), ("list",), ("list", "--json")):
        shown = run("user", *arguments)
        assert PASSWORD not in shown.out + shown.err
        assert "argon2" not in shown.out + shown.err
    assert PASSWORD not in run("audit", "show", "--json").out


def test_without_terminal_and_password_the_user_has_none_yet(run: Run) -> None:
    added = run("user", "add", "ben")
    assert added.code == 0
    assert "idp user password ben" in added.err
    assert run("user", "show", "ben", "--json").json["authenticators"] == []


def test_on_a_terminal_the_password_is_asked_for_twice(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def typed(prompt: str = "") -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr(click.termui, "hidden_prompt_func", typed)
    assert run("user", "add", "ana", terminal=True).code == 0
    assert len(asked) == 2
    assert len(run("user", "show", "ana", "--json").json["authenticators"]) == 1


def test_a_password_is_no_argument(run: Run) -> None:
    assert run("user", "add", "ana", "--password", PASSWORD).code == 2


def test_totp_prints_a_uri_whose_codes_are_all_unused(run: Run) -> None:
    added = run("user", "add", "ana", "--password-stdin", "--totp", "--json", stdin=PASSWORD).json
    seed = parse_qs(urlsplit(added["totp"]["provisioning_uri"]).query)["secret"][0]
    core = create_core(settings.read())
    try:
        held = [a for a in core.stores.authenticators.of(added["sub"]) if a.factor == "totp"]
        user, now = core.stores.users.get(added["sub"]), datetime.now(UTC)
        ctx = Context(now, core.settings.issuer, user, held, core.stores.ephemeral.once)
        code = {"code": pyotp.TOTP(seed).at(now)}
        factor = core.factors["totp"]
        assert factor.verify(ctx, factor.begin(ctx), code).id == held[0].id
    finally:
        core.close()
    assert seed not in run("user", "show", "ana", "--json").out


def test_totp_shows_a_qr_code_to_people(run: Run) -> None:
    added = run("user", "add", "ana", "--password-stdin", "--totp", stdin=PASSWORD)
    assert "█" in added.out
    assert "otpauth://totp/" in added.out


def test_totp_that_no_acr_uses_adds_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_ACR", '{"aal1": {"any_of": [["password"]]}}')
    assert run("user", "add", "ana", "--totp").code == 2
    assert run("user", "list", "--json").json["users"] == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        (("add", "ANA"), "", 1, "taken"),
        (("add", "  "), "", 1, "1 to 256"),
        (("add", "a\x1b[31m"), "", 1, "no control characters"),
        (("add", "x" * 257), "", 1, "1 to 256"),
        (("add", "ben", "--require-acr", "aal9"), "", 1, "aal1, aal2"),
        (("add", "ben", "--password-stdin"), "short", 1, "at least 8"),
        (("add", "ben", "--password-stdin"), "", 2, "empty"),
        (("add",), "", 2, "NAME"),
        (("show", "nobody"), "", 1, "idp user list"),
        (("disable", "nobody"), "", 1, "idp user list"),
        (("enable", "nobody"), "", 1, "idp user list"),
        (("password", "nobody"), "", 1, "idp user list"),
        (("password", "ana"), "", 2, "--password-stdin"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    run: Run, ana: str, arguments: tuple[str, ...], stdin: str, code: int, says: str
) -> None:
    result = run("user", *arguments, stdin=stdin)
    assert result.code == code
    assert says in result.err
    assert "\x1b" not in result.err
    assert result.out == ""
    assert [u["username"] for u in run("user", "list", "--json").json["users"]] == ["ana"]


def test_disable_and_enable(run: Run, ana: str) -> None:
    assert run("user", "disable", "ana", "--json").json["state"] == "disabled"
    assert "disabled" in run("user", "list").out
    assert run("user", "enable", "ana", "--json").json["disabled_at"] is None


def test_a_password_is_replaced(run: Run, ana: str) -> None:
    changed = run("user", "password", "ana", "--password-stdin", stdin="another long one\n")
    assert changed.code == 0
    assert len(run("user", "show", "ana", "--json").json["authenticators"]) == 1


def test_list_pages_through_everything(run: Run, ana: str) -> None:
    core = create_core(settings.read())
    try:
        user = core.stores.users.get(ana)
        assert user is not None
        from dataclasses import replace

        for number in range(220):
            core.stores.users.add(replace(user, id=f"{number:032}", username=f"u{number}"))
    finally:
        core.close()
    first = run("user", "list", "--json").json
    assert (len(first["users"]), first["more"]) == (100, True)
    assert "--all" in run("user", "list").err
    everyone = run("user", "list", "--all", "--json").json
    assert (len(everyone["users"]), everyone["more"]) == (221, False)
    assert len({u["sub"] for u in everyone["users"]}) == 221


def test_changes_reach_the_audit_trail_with_their_actor(run: Run, ana: str) -> None:
    run("user", "disable", "ana")
    events = run("audit", "show", "--json").json["events"]
    assert [(e["detail"]["change"], e["detail"]["actor"]) for e in events] == [
        ("added", "cli"),
        ("disabled", "cli"),
    ]
