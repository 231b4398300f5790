"""`idp keys`, `idp db`, `idp flow`, `idp audit`, and what all commands have in common."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from idp import events, settings
from idp.cli import COMMANDS, group
from idp.core import create_core
from tests.unit.cli.conftest import Run


def states(run: Run) -> list[str]:
    return [key["state"] for key in run("keys", "list", "--json").json["keys"]]


def test_keys_are_published_ahead(run: Run) -> None:
    assert run("keys", "list", "--json").json == {"keys": []}
    assert run("keys", "rotate").code == 0
    assert states(run) == ["active"] * 3
    rotated = run("keys", "rotate", "--json").json
    assert [key["state"] for key in rotated["keys"]] == ["next"] * 3
    assert sorted(states(run)) == ["active"] * 3 + ["next"] * 3
    listed = run("keys", "list")
    assert "private" not in listed.out
    assert "ES256" in listed.out


def test_keys_now_warns_of_caches(run: Run) -> None:
    run("keys", "rotate")
    rotated = run("keys", "rotate", "--now", "--json")
    assert "cache the JWKS" in rotated.err
    assert sorted(states(run)) == ["active"] * 3 + ["retired"] * 3


def test_keys_reseal(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "rotate")
    assert run("keys", "reseal", "--json").json == {"resealed": 0}
    keyring = tmp_path / "state" / "seal.keys"
    other = "k2:" + "A" * 43 + "="
    monkeypatch.setenv("IDP_SEAL_KEYS", f"{other}\n{keyring.read_text()}")
    resealed = run("keys", "reseal", "--json")
    assert resealed.json == {"resealed": 3}
    assert "AAAA" not in resealed.out + resealed.err


def test_db_upgrade_and_status(run: Run) -> None:
    status = run("db", "status", "--json")
    assert (status.code, status.json["current"]) == (4, False)
    upgraded = run("db", "upgrade", "--json")
    assert upgraded.json["upgraded"]
    assert "upgrading" in upgraded.err
    assert not run("db", "upgrade", "--json").json["upgraded"]
    assert run("db", "status").code == 0


def test_a_database_that_is_away_is_a_line_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_STORAGE__DATABASE_URL", "postgresql://idp@127.0.0.1:1/idp")
    monkeypatch.setenv("IDP_DATABASE_PASSWORD", "hunter2hunter2")
    for arguments in (("db", "status"), ("user", "list"), ("config", "check", "--json")):
        result = run(*arguments)
        assert result.code in {3, 4}
        assert "hunter2" not in result.out + result.err


def test_flow_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = run("flow", "check", "--json")
    assert checked.code == 0
    assert checked.json["ok"]
    run(
        "client", "add", "shop", "--redirect-uri", "https://x.example.com/", "--require-acr", "aal2"
    )
    monkeypatch.setenv("IDP_ACR", '{"aal1": {"any_of": [["password"]]}}')
    broken = run("flow", "check", "--json")
    assert broken.code == 4
    (error,) = [f for f in broken.json["findings"] if f["severity"] == "error"]
    assert error["where"] == "client shop"
    assert set(error) == {"severity", "where", "message", "advice"}
    assert "error: client shop" in run("flow", "check").out


def test_flow_explain(run: Run, ana: str) -> None:
    run("client", "add", "shop", "--redirect-uri", "https://x.example.com/")
    which = ("flow", "explain", "--user", "ana", "--client", "shop")
    plain = run(*which, "--json").json
    assert (plain["asked"], plain["acr"], plain["refused"]) == (["password"], "aal1", None)
    more = run(*which, "--acr", "aal2", "--json").json
    assert (more["asked"], more["enrolled"]) == (["password", "totp"], ["totp"])
    assert (more["acr"], more["refused"]) == ("aal2", None)
    assert "would ask: password" in run(*which).out
    assert run(*which, "--acr", "aal9").code == 2
    assert run("flow", "explain", "--user", "nobody", "--client", "shop").code == 1
    assert run("flow", "explain", "--user", "ana", "--client", "none").code == 1
    run("user", "disable", "ana")
    assert "disabled" in run(*which, "--json").json["refused"]


def test_flow_explain_asks_totp_of_who_has_it(run: Run) -> None:
    run("user", "add", "amy", "--password-stdin", "--totp", stdin="a long password")
    run("client", "add", "shop", "--redirect-uri", "https://x.example.com/")
    answer = run("flow", "explain", "--user", "amy", "--client", "shop", "--acr", "aal2", "--json")
    assert answer.json["asked"] == ["password", "totp"]
    assert answer.json["acr"] == "aal2"


def emit(*found: events.Event) -> None:
    core = create_core(settings.read())
    try:
        for event in found:
            core.bus.emit(event)
    finally:
        core.close()


def rejected(code: str, user_id: str, reason: str) -> events.FactorRejected:
    return events.FactorRejected(
        at=datetime.now(UTC), interaction="i", support_code=code, client_id="shop",
        user_id=user_id, factor="password", reason=reason,
    )  # fmt: skip


def test_a_support_code_leads_to_the_cause(run: Run, ana: str) -> None:
    emit(rejected("ABCD-EFGH", ana, "wrong password"), rejected("ZZZZ-ZZZZ", ana, "other"))
    shown = run("audit", "show", "--support-code", " abcd-efgh ")
    assert len(shown.out.splitlines()) == 1
    for part in ("factor_rejected", "user=ana", "client=shop", "reason=wrong password"):
        assert part in shown.out
    (event,) = run("audit", "show", "--support-code", "ABCD-EFGH", "--json").json["events"]
    assert (event["username"], event["user_id"]) == ("ana", ana)
    assert event["detail"]["reason"] == "wrong password"
    nothing = run("audit", "show", "--support-code", "AAAA-AAAA")
    assert (nothing.out, nothing.code) == ("", 0)
    assert "check the code" in nothing.err


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_the_latest_events_are_shown_oldest_first(run: Run, count: int) -> None:
    run("db", "upgrade")
    emit(*(rejected("C", "u", str(number)) for number in range(count)))
    shown = run("audit", "show", "--limit", "3", "--json").json["events"]
    assert [e["detail"]["reason"] for e in shown] == [str(n) for n in range(count)][-3:]


def test_an_event_cannot_write_to_the_terminal(run: Run) -> None:
    run("db", "upgrade")
    emit(rejected("C", "u", "\x1b[2Jgone\nforged line"))
    shown = run("audit", "show")
    assert "\x1b" not in shown.out
    assert len(shown.out.splitlines()) == 1


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    ctx = click.Context(command)
    found: list[tuple[str, ...]] = []
    for name in command.list_commands(ctx):
        child: Any = command.get_command(ctx, name)
        found.extend(leaves(child, (*path, name)))
    return found


def test_every_command_has_help_with_an_example(run: Run) -> None:
    all_commands = leaves(group, ())
    assert len(all_commands) > 20
    for path in [*all_commands, *((name,) for name in COMMANDS)]:
        shown = run(*path, "--help")
        assert shown.code == 0
        assert "Example:" in shown.out, path


def test_help_imports_none_of_the_provider() -> None:
    script = (
        "import sys; sys.argv = ['idp', '--help']\n"
        "from idp.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('flask', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_names_the_known_ones(run: Run) -> None:
    result = run("users")
    assert result.code == 2
    assert "audit, client" in result.err
