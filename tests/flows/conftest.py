"""A provider and its second factors, once for every surface."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.management import SURFACES, Place, provided


@pytest.fixture(params=SURFACES)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    yield from provided(request.param, tmp_path, monkeypatch)
