"""From settings to stores, and new keys for old values."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from idp.errors import ConfigError
from idp.ports import Stores
from idp.settings import Settings, Storage
from idp.storage.open import open_stores, reseal, schema_current, upgrade
from idp.storage.redis import RedisEphemeral
from idp.storage.resealing import sealed_columns
from idp.storage.seal import Keyring
from idp.storage.sql_ephemeral import SqlEphemeral
from tests.contract.samples import AUTHENTICATOR, KEY, NOW, PLAIN_USER, SECOND

OLD, NEW = Keyring.generate("old"), Keyring.generate("new")


def clock() -> datetime:
    return NOW


def _settings(tmp_path: Path, url: str = "", redis_url: str = "", **more: Any) -> Settings:
    return Settings(
        dev=True,
        state_dir=tmp_path / "state",
        storage=Storage(database_url=url, redis_url=redis_url),
        **more,
    )


def _keys(*lines: str) -> SecretStr:
    return SecretStr("".join(lines))


def test_a_new_laptop_needs_no_settings(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert not schema_current(settings)
    upgrade(settings)
    assert schema_current(settings)
    stores = open_stores(settings, clock)
    stores.users.add(PLAIN_USER)
    secret = stores.server_secrets.get("refresh")
    assert isinstance(stores.ephemeral, SqlEphemeral)
    assert stores.healthy()
    stores.close()
    again = open_stores(settings, clock)
    assert again.users.get(PLAIN_USER.id) == PLAIN_USER
    assert again.server_secrets.get("refresh") == secret
    again.close()
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"idp.db", "seal.keys"}


def test_production(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    settings = _settings(
        tmp_path,
        postgres_url,
        redis_url,
        seal_keys=_keys(NEW),
        database_password=SecretStr("the server trusts us"),
    )
    upgrade(settings)
    stores = open_stores(settings, clock)
    assert isinstance(stores.ephemeral, RedisEphemeral)
    assert stores.ephemeral.once("test_production", SECOND)
    assert stores.healthy()
    stores.close()
    assert not (tmp_path / "state").exists()


def test_the_ephemeral_clock_is_ours(tmp_path: Path) -> None:
    times = [NOW]
    settings = _settings(tmp_path)
    upgrade(settings)
    stores = open_stores(settings, lambda: times[-1])
    stores.ephemeral.put("k", b"v", SECOND)
    times.append(NOW + SECOND)
    assert stores.ephemeral.get("k") is None
    assert stores.purge(NOW + SECOND) == 1
    stores.close()


def test_no_schema_says_what_to_run(engine: str, empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="idp db upgrade"):
        open_stores(_settings(tmp_path, empty_url), clock)


@pytest.mark.parametrize("call", [upgrade, schema_current, reseal])
def test_no_server_says_so(call: Any, tmp_path: Path, unused_port: int) -> None:
    settings = _settings(tmp_path, f"postgresql://idp@127.0.0.1:{unused_port}/idp")
    with pytest.raises(ConfigError, match="cannot be used"):
        call(settings)


def test_no_redis_says_so(tmp_path: Path, unused_port: int) -> None:
    settings = _settings(tmp_path, redis_url=f"redis://127.0.0.1:{unused_port}/0")
    upgrade(settings)
    with pytest.raises(ConfigError, match="redis_url"):
        open_stores(settings, clock)


def test_unhealthy_without_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    settings = _settings(tmp_path, redis_url=redis_url)
    upgrade(settings)
    stores = open_stores(settings, clock)
    monkeypatch.setattr(RedisEphemeral, "answers", lambda _: False)
    assert not stores.healthy()
    stores.close()


def test_unhealthy_without_database(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    upgrade(settings)
    stores = open_stores(settings, clock)
    with closing(sqlite3.connect(tmp_path / "state" / "idp.db")) as other:
        other.execute("DROP TABLE alembic_version")
    assert not stores.healthy()
    stores.close()


# --- the keyring


def test_a_keyring_that_is_wrong(tmp_path: Path) -> None:
    for broken in ({"seal_keys": _keys("nonsense")}, {"seal_key_file": tmp_path / "none"}):
        settings = _settings(tmp_path, **broken)
        upgrade(settings)
        with pytest.raises(ConfigError, match="keyring"):
            open_stores(settings, clock)


def test_the_keyring_may_be_a_file_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_text(OLD)
    path.chmod(0o600)
    settings = _settings(tmp_path, seal_key_file=path)
    upgrade(settings)
    stores = open_stores(settings, clock)
    stores.server_secrets.get("refresh")
    stores.close()
    assert not (tmp_path / "state" / "seal.keys").exists()
    open_stores(_settings(tmp_path, seal_keys=_keys(OLD)), clock).close()


def test_another_databases_keyring_is_found_out_at_the_start(tmp_path: Path) -> None:
    settings = _settings(tmp_path, seal_keys=_keys(OLD))
    upgrade(settings)
    stores = open_stores(settings, clock)
    stores.server_secrets.get("refresh")
    stores.close()
    for wrong in (_keys(NEW), _keys(Keyring.generate("old"))):
        with pytest.raises(ConfigError, match="does not open"):
            open_stores(_settings(tmp_path, seal_keys=wrong), clock)


# --- new keys for old values


def _fill(stores: Stores) -> None:
    stores.users.add(PLAIN_USER)
    stores.authenticators.add(AUTHENTICATOR)
    stores.signing_keys.publish([KEY], retire={})
    stores.server_secrets.get("refresh")


def test_reseal_lets_the_old_key_go(empty_url: str, tmp_path: Path) -> None:
    def settings(*keys: str) -> Settings:
        return _settings(tmp_path, empty_url, seal_keys=_keys(*keys))

    upgrade(settings(OLD))
    stores = open_stores(settings(OLD), clock)
    _fill(stores)
    secret = stores.server_secrets.get("refresh")
    stores.close()

    assert reseal(settings(NEW, OLD)) == 3
    assert reseal(settings(NEW, OLD)) == 0

    stores = open_stores(settings(NEW), clock)
    assert stores.authenticators.of(PLAIN_USER.id) == [AUTHENTICATOR]
    assert stores.signing_keys.all() == [KEY]
    assert stores.server_secrets.get("refresh") == secret
    stores.close()


def test_reseal_goes_on_after_the_first_batch(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.storage.resealing.BATCH", 3)
    old = _settings(tmp_path, empty_url, seal_keys=_keys(OLD))
    upgrade(old)
    stores = open_stores(old, clock)
    for number in range(10):
        stores.server_secrets.get(f"s{number}")
    stores.close()
    assert reseal(_settings(tmp_path, empty_url, seal_keys=_keys(NEW, OLD))) == 10


def test_reseal_without_the_old_key_says_so(tmp_path: Path) -> None:
    old = _settings(tmp_path, seal_keys=_keys(OLD))
    upgrade(old)
    stores = open_stores(old, clock)
    _fill(stores)
    stores.close()
    with pytest.raises(ConfigError, match="old"):
        reseal(_settings(tmp_path, seal_keys=_keys(NEW)))


def test_every_sealed_column_is_known() -> None:
    names = {f"{table.name}.{column.name}" for table, column in sealed_columns()}
    assert names == {
        "authenticator.secret",
        "mail.sealed",
        "server_secret.value",
        "signing_key.private",
    }


def test_a_second_opening_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file when it closes any descriptor of it: a second look
    at the database must not let another process believe that it is alone."""
    settings = _settings(tmp_path)
    upgrade(settings)
    held = open_stores(settings, clock)
    held.users.add(PLAIN_USER)
    open_stores(settings, clock).close()
    alone = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('pragma journal_mode=wal'); c.execute('select count(*) from user').fetchone(); "
        "c.close()"
    )
    subprocess.run(
        [sys.executable, "-c", alone, str(tmp_path / "state" / "idp.db")], check=True, timeout=30
    )
    assert (tmp_path / "state" / "idp.db-wal").exists()
    assert held.users.get(PLAIN_USER.id) == PLAIN_USER
    held.close()
