"""Other people's clients, run with Node against one provider per module."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.live import Provider, provider

HERE = Path(__file__).parent
CURE = "run `make test`, or scripts/services.sh once: it installs the npm packages of tests/interop"
RUN_SECONDS = 60

Run = Callable[[str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("provider")) as started:
        yield started


@pytest.fixture(scope="module")
def run(running: Provider, node_path: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a script of this folder; what it printed, read from JSON. Its words, where it fails."""
    if not (HERE / "node_modules").is_dir():
        pytest.fail(f"{HERE / 'node_modules'} is missing: {CURE}", pytrace=False)
    described = tmp_path_factory.mktemp("described") / "provider.json"
    described.write_text(json.dumps(running.described))

    def execute(script: str) -> Mapping[str, Any]:
        result = subprocess.run(
            [node_path, str(HERE / script), str(described), str(running.advanced)],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if result.returncode:
            pytest.fail(f"{script} failed:\n{result.stderr}", pytrace=False)
        printed: Mapping[str, Any] = json.loads(result.stdout)
        running.advanced = float(printed["advance"])
        return printed

    return execute
