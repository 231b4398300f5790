"""What settings refuse, which source wins, and that no message shows a value."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from idp import settings
from idp.errors import ConfigError
from idp.settings import Settings

ISSUER = 'issuer = "https://login.example.com"\n'
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("IDP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "secrets").mkdir()
    monkeypatch.setattr(settings, "SECRETS_DIR", tmp_path / "secrets")


def read(tmp_path: Path, toml: str, head: str = ISSUER) -> Settings:
    file = tmp_path / "idp.toml"
    file.write_text(head + toml)
    return settings.read(file)


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("isuer = 1", "isuer"),
        ("[server]\nprot = 1", "server.prot"),
        ("[nothing]\na = 1", "nothing"),
        ("[acr.aal1]\nany_of = [['password']]\nage = 1", "acr.aal1.age"),
        ("[[rule]]\nclient = 'a'\nrequire = 'aal2'\nwhen = 'x'", "rule.0.when"),
    ],
)
def test_unknown_keys_are_refused(tmp_path: Path, toml: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: is not a setting"):
        read(tmp_path, toml)


@pytest.mark.parametrize("name", ["IDP_ISUER", "IDP_SERVERS__PORT", "IDP_SERVER__PROT", "idp_x"])
def test_unknown_variables_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match="is not a setting"):
        read(tmp_path, "")


@pytest.mark.parametrize("name", ["seal_keys", "database_password", "redis_password"])
def test_secrets_in_toml_are_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is a secret") as refused:
        read(tmp_path, f'{name} = "hunter2hunter2"')
    assert f"IDP_{name.upper()}" in refused.value.public
    assert "hunter2" not in refused.value.public


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = "state_dir = 'toml'\n[server]\nport = 1\nthreads = 3"
    assert read(tmp_path, toml).server.port == 1
    monkeypatch.setenv("IDP_STATE_DIR", "environment")
    monkeypatch.setenv("IDP_SERVER__PORT", "2")
    found = read(tmp_path, toml)
    assert (found.state_dir, found.server.port) == (Path("environment"), 2)
    assert found.server.threads == 3
    (tmp_path / "secrets" / "idp_state_dir").write_text("file")
    assert read(tmp_path, toml).state_dir == Path("file")


def test_secrets_come_from_files_and_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "idp_database_password").write_text("hunter2hunter2\n")
    found = read(tmp_path, "")
    assert found.database_password is not None
    assert found.database_password.get_secret_value() == "hunter2hunter2"
    assert "hunter2" not in repr(found) + str(found)


def test_the_configuration_file_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.toml").write_text(ISSUER + "[server]\nport = 7")
    monkeypatch.setenv("IDP_CONFIG", str(tmp_path / "other.toml"))
    assert settings.read().server.port == 7


@pytest.mark.parametrize("value", ['"5m"', "300", '"300"', '"0:05:00"', '"PT0S"', '"-PT5M"', "1.5"])
def test_durations_are_iso_8601_and_positive(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"tokens\.access_token_ttl"):
        read(tmp_path, f"[tokens]\naccess_token_ttl = {value}")


def test_a_duration(tmp_path: Path) -> None:
    found = read(tmp_path, '[tokens]\naccess_token_ttl = "PT1H30M"\nrefresh_token_ttl = "P1D"')
    assert found.tokens.access_token_ttl == timedelta(hours=1, minutes=30)
    assert found.tokens.refresh_token_ttl == timedelta(days=1)


@pytest.mark.parametrize(
    "issuer",
    [
        "login.example.com", "ftp://x.example.com", "https://", "https://x.example.com/",
        "https://x.example.com?a=1", "https://x.example.com#a", "https://u@x.example.com",
        "http://x.example.com", "http://localhost:8000",
    ],
)  # fmt: skip
def test_bad_issuers(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(ConfigError, match="issuer"):
        read(tmp_path, f'issuer = "{issuer}"', head="")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:1"])
def test_plain_http_is_for_dev_on_loopback(tmp_path: Path, host: str) -> None:
    assert not read(tmp_path, f'dev = true\nissuer = "http://{host}"', head="").secure
    with pytest.raises(ConfigError, match="https is required"):
        read(tmp_path, 'dev = true\nissuer = "http://10.0.0.1"', head="")


def test_an_issuer_may_have_a_path(tmp_path: Path) -> None:
    found = read(tmp_path, 'issuer = "https://x.example.com/idp"', head="")
    assert (found.path, found.secure) == ("/idp", True)


@pytest.mark.parametrize("name", ["seal_keys", "database_password", "redis_password"])
def test_sample_secrets_are_for_dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"IDP_{name.upper()}", "ChangeMe")
    with pytest.raises(ConfigError, match=f"{name}: this is a sample value") as refused:
        read(tmp_path, "")
    assert "ChangeMe" not in refused.value.public
    assert read(tmp_path, "dev = true").dev


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("[server]\nport = 'hunter2'", "server.port"),
        ("[server]\nport = 99999", "server.port"),
        ("[server]\ntrusted_proxies = ['hunter2']", "server.trusted_proxies.0"),
        ("[log]\nlevel = 'hunter2'", "log.level"),
        ("[flow]\ndefault_acr = 'aal9'", "flow.default_acr"),
        ("[[rule]]\nclient = 'a'\nrequire = 'aal9'", "rule for 'a'"),
        ("[acr.aal1]\nany_of = 3", "acr.aal1.any_of"),
    ],
)
def test_errors_name_the_key_and_hide_the_value(tmp_path: Path, toml: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, toml)
    assert key in refused.value.public
    assert "hunter2" not in refused.value.public


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, "[server]\nport = -1\nthreads = 0")
    assert len(refused.value.public.splitlines()) == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        settings.read(tmp_path / "none.toml")
    for content in (b"= 1", b"a = \xff"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match="is not TOML"):
            settings.read(tmp_path / "bad.toml")


def test_settings_are_frozen(tmp_path: Path) -> None:
    found = read(tmp_path, "")
    with pytest.raises(ValueError, match="frozen"):
        found.server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["idp.toml", "production.toml"])
def test_the_configuration_files_of_the_project_can_be_read(name: str) -> None:
    assert settings.read(ROOT / "config" / name).issuer == "https://login.example.com"
