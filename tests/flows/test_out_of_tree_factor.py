"""A factor that is a package of its own: installed, configured into an acr and used."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from tests.house import Request
from tests.live import Provider, provider

ROOT = Path(__file__).parents[2]
CONFIG = """
[acr.aal1]
any_of = [["password"]]

[acr.pin]
any_of = [["password", "pin"]]

[factors.pin]
min_digits = 6
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process that has the package; the project's own has not."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(site), "examples/factor_pin"],
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    return {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}


@pytest.fixture
def running(tmp_path: Path, installed: Mapping[str, str]) -> Iterator[tuple[Provider, Path]]:
    config = tmp_path / "idp.toml"
    config.write_text(CONFIG)
    state = tmp_path / "state"
    with provider(tmp_path, "--state", str(state), environment=installed, config=config) as live:
        yield live, config


def idp(
    installed: Mapping[str, str], config: Path, state: Path, *words: str, typed: str = ""
) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "idp.cli", "--config", str(config), *words],
        env={
            **os.environ,
            **installed,
            "IDP_STATE_DIR": str(state),
            "IDP_DEV": "true",
        },
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_asked_for_when_its_acr_is(
    running: tuple[Provider, Path], installed: Mapping[str, str], tmp_path: Path
) -> None:
    live, config = running
    state = tmp_path / "state"
    assert '"ok": true' in idp(installed, config, state, "flow", "check", "--json")
    idp(installed, config, state, "user", "enroll", "ben", "pin", "--stdin", typed="471147\n")
    ben = live.user("ben")
    browser = requests.Session()
    browser.headers["Accept"] = "application/json"
    request = Request(more={"acr_values": "pin"})

    page = browser.get(f"{live.issuer}/authorize?{request.query()}", timeout=10).json()
    assert [f["name"] for f in page["fields"]] == ["username", "password"]
    page = _answer(browser, page, username="ben", password=ben["password"])
    assert [f["name"] for f in page["fields"]] == ["pin"]
    wrong = _answer(browser, page, pin="000000")
    assert wrong["error"]
    done = _answer(browser, wrong, pin="471147")

    assert done["step"] == "done"
    assert "code=" in done["redirect_uri"]


def _answer(browser: requests.Session, page: Mapping[str, str], **fields: str) -> dict[str, str]:
    form = {"csrf": page["csrf"], "factor": page["factor"], **fields}
    answer: dict[str, str] = browser.post(page["action"], data=form, timeout=10).json()
    return answer


def test_its_own_tests_pass_where_it_is_installed(installed: Mapping[str, str]) -> None:
    """As its author runs them: the kit of this provider, on a package that is none of it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "examples/factor_pin"],
        cwd=ROOT,
        env={**os.environ, **installed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 15


def test_a_factor_that_refuses_its_settings_stops_the_start(
    tmp_path: Path, installed: Mapping[str, str]
) -> None:
    config = tmp_path / "idp.toml"
    config.write_text(CONFIG.replace("min_digits = 6", "min_digits = 2"))
    done = subprocess.run(
        [sys.executable, "-m", "idp.cli", "--config", str(config), "dev", "--port", "0"],
        env={**os.environ, **installed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "pin" in done.stderr
    assert "min_digits must be between 4 and 8" in done.stderr
    assert "Traceback" not in done.stderr
