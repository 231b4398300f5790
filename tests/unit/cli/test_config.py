import re
from datetime import timedelta
from pathlib import Path

import pytest

from idp import settings
from idp.cli import config, reference
from tests.unit.cli.conftest import Run

ISSUER = 'issuer = "https://login.example.com"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("IDP_DEV", raising=False)
    return tmp_path / "idp.toml"


def test_a_good_configuration_writes_nothing(run: Run, file: Path, tmp_path: Path) -> None:
    file.write_text(ISSUER)
    checked = run("config", "check", str(file), "--json")
    assert checked.code == 0
    assert checked.json["ok"]
    assert checked.json["issuer"] == "https://login.example.com"
    assert not (tmp_path / "state").exists()


def test_every_problem_is_a_finding(run: Run, file: Path) -> None:
    file.write_text(
        ISSUER + 'seal_key_file = "/nowhere"\n[server]\nworkers = 2\n[factors.retina]\n'
        '[web]\ntheme = "/nowhere"\n'
    )
    checked = run("--config", str(file), "config", "check", "--json")
    assert checked.code == 4
    where = [f["where"] for f in checked.json["findings"] if f["severity"] == "error"]
    assert where == ["factors.retina", "server.workers", "seal_key_file", "web.theme"]
    assert "error: server.workers" in run("config", "check", str(file)).out


def test_a_factor_that_is_not_installed_or_refuses_its_section(run: Run, file: Path) -> None:
    for toml in ("[acr.aal1]\nany_of = [['retina']]", "[factors.password]\nmin_length = 1"):
        file.write_text(ISSUER + toml)
        checked = run("config", "check", str(file), "--json")
        assert checked.code == 4
        assert checked.json["findings"]


def test_clients_are_checked_once_there_is_a_database(run: Run) -> None:
    run("client", "add", "old", "--redirect-uri", "https://x.example.com/", "--no-pkce")
    where = [f["where"] for f in run("config", "check", "--json").json["findings"]]
    assert "client old" in where


def test_what_cannot_be_read_is_3(run: Run, file: Path) -> None:
    file.write_text("isuer = 1")
    checked = run("config", "check", str(file))
    assert (checked.code, checked.out) == (3, "")
    assert "isuer" in checked.err
    as_json = run("config", "check", str(file), "--json")
    assert as_json.code == 3
    assert "isuer" in as_json.json["error"]
    assert run("config", "check", "/nowhere").code == 3


def test_the_generated_files_are_current(run: Run) -> None:
    assert run("config", "docs", "--check").code == 0


def test_a_stale_file_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(config, "ROOT", tmp_path)
    stale = run("config", "docs", "--check")
    assert stale.code == 1
    assert "config/idp.toml is stale" in stale.err
    assert not (tmp_path / "config").exists()
    assert run("config", "docs").code == 0
    assert run("config", "docs", "--check").code == 0
    (tmp_path / "docs/reference/settings.md").write_text("other")
    assert "settings.md is stale" in run("config", "docs", "--check").err


def test_an_installed_package_prints_the_reference(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "ROOT", tmp_path)
    assert run("config", "docs").out == reference.toml()
    assert list(tmp_path.iterdir()) == []


def test_every_default_of_the_reference_is_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take away each `#` before a key: what is read is what the sources say."""
    file.write_text(re.sub(r"^#(?=[\w\[])", "", reference.toml(), flags=re.MULTILINE))
    read = settings.read(file)
    default = settings.Settings(issuer=read.issuer)
    assert read.model_dump(exclude={"rule", "factors"}) == default.model_dump(
        exclude={"rule", "factors"}
    )
    for name, section in reference.FACTORS.items():
        assert section.model_validate(read.factors[name]) == section()


def test_every_key_is_in_both_documents() -> None:
    entries = [entry for part in reference.parts() for entry in part.entries]
    assert len(entries) > 50
    for entry in entries:
        assert entry.text, f"{entry.name} has no meaning"
        assert "value" not in entry.type.split(), f"{entry.name} has no named type"
        assert entry.name in reference.toml()
        assert f"`{entry.name}`" in reference.markdown()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(seconds=90), "PT1M30S"),
        (timedelta(days=30), "P30D"),
        (timedelta(days=1, hours=2), "P1DT2H"),
        (timedelta(milliseconds=1500), "PT1.5S"),
    ],
)
def test_durations_are_written_as_iso_8601(value: timedelta, text: str) -> None:
    assert reference.duration(value) == text
