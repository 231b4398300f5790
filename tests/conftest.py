"""What every test may ask for: real services, and a provider in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, build

pytest_plugins = ["tests.services"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A provider on SQLite with cheap password hashes, one per test."""
    built = build(tmp_path, factors={"password": {"memory_kib": 8192, "iterations": 1}})
    yield built
    built.app.close()
