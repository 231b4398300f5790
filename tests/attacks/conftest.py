"""A provider for tests that only ask and never change anything: one per module."""

from collections.abc import Iterator

import pytest

from tests.house import House, build


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Like `house`, but shared: use it where every request is refused and nothing is written."""
    cheap = {"password": {"memory_kib": 8192, "iterations": 1}}
    built = build(tmp_path_factory.mktemp("shared"), factors=cheap)
    yield built
    built.app.close()
