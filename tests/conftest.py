"""What every test may ask for: real services, and a provider in this process."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, build

pytest_plugins = ["tests.services"]


MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own in it
ENOUGH = 4 * 2**30  # bytes

# Thousands of small databases with every commit on disk: where memory can hold them, it does.
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A provider on SQLite with cheap password hashes, one per test."""
    built = build(tmp_path, factors={"password": {"memory_kib": 8192, "iterations": 1}})
    yield built
    built.app.close()
