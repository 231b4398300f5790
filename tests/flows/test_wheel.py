"""The built wheel, installed alone into an empty environment elsewhere, runs `idp dev`."""

import json
import subprocess
import sys
from pathlib import Path

import requests

from idp.testing.process import stop

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))


def test_the_wheel_brings_themes_translations_migrations_and_reference(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)])
    wheel = next(tmp_path.glob("idp-*.whl"))
    python = tmp_path / "venv" / "bin" / "python"
    _run([UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")])
    _run([UV, "pip", "install", "--quiet", "--python", str(python), str(wheel)])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    idp = str(python.with_name("idp"))

    process = subprocess.Popen(
        [idp, "dev", "--json", "--port", "0", "--state", str(tmp_path / "state")],
        cwd=elsewhere,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        issuer = json.loads(process.stdout.readline())["issuer"]
        home = requests.get(f"{issuer}/?lang=ja", timeout=10)
        assert home.status_code == 200
        assert '<html lang="ja"' in home.text
        style = requests.get(f"{issuer}/static/style.css", timeout=10)
        assert style.headers["Content-Type"].startswith("text/css")
    finally:
        stop(process)
        if process.stderr is not None:
            process.stderr.close()
    reference = _run([idp, "config", "docs"], cwd=elsewhere)
    assert "issuer" in reference
    config = elsewhere / "idp.toml"
    config.write_text('issuer = "https://login.example.com"\n')
    upgraded = _run([idp, "--config", str(config), "db", "upgrade", "--json"], cwd=elsewhere)
    assert json.loads(upgraded)


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
