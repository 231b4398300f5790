"""The pytest plugin: the fixture `idp`, a running provider that is started when it is asked for.

Loaded by every pytest run where this package is installed, so it imports nothing but pytest until
then.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from idp.testing.provider import Provider

MANY = "1000000/minute"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Provider]":
    """A provider in a process of its own, with the people and clients of `idp dev`, an outbox and
    a clock that can be moved. One for a module of tests: what time did in one file is no matter in
    the next, where an application may compare it with its own. `idp.settings(...)` starts another
    one."""
    with _running(tmp_path_factory) as provider:
        yield provider


@contextmanager
def _running(
    folders: pytest.TempPathFactory, relying_party: str = "", **settings: Any
) -> "Iterator[Provider]":
    from idp.testing.process import started
    from idp.testing.provider import Provider

    def another(**more: Any) -> Any:
        return _running(folders, **more)

    arguments = ["--relying-party", relying_party] if relying_party else []
    environment = _environment(_merged(_fast(), settings))
    with started(folders.mktemp("idp"), *arguments, environment=environment) as found:
        yield Provider(found.described, another)


def _fast() -> dict[str, Any]:
    """What a test does not want to wait for: costly hashes, and limits on one network address."""
    return {
        "factors": {"password": {"memory_kib": 8192, "iterations": 1}},
        "web": {"sign_in_rate": MANY, "machine_failure_rate": MANY},
        "sms": {
            "spacing": ["PT0.001S"],
            **dict.fromkeys(("per_number", "per_address", "per_prefix", "per_day"), 1_000_000),
        },
    }


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` wins, key by key."""
    both = {
        name: _merged(below[name], value)
        for name, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(name), dict)
    }
    return {**below, **above, **both}


def _environment(settings: dict[str, Any]) -> dict[str, str]:
    return {
        f"IDP_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }
