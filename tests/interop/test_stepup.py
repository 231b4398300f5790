"""Step-up with openid-client: amy, signed in with a password, is asked for the code alone."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.interop.conftest import Run

pytestmark = pytest.mark.xdist_group("interop_stepup")


@pytest.fixture(scope="module")
def journey(run: Run) -> Mapping[str, Any]:
    return run("stepup.mjs")


def test_only_the_missing_factor_is_asked(journey: Mapping[str, Any]) -> None:
    assert journey["asked"] == [["username", "password"], ["code"]]


def test_the_second_sign_in_reaches_what_was_asked(journey: Mapping[str, Any]) -> None:
    assert journey["acr"] == ["aal1", "aal2"]


def test_amr_names_what_was_used(journey: Mapping[str, Any]) -> None:
    first, second = journey["amr"]
    assert first == ["pwd"]
    assert set(second) == {"pwd", "otp", "mfa"}
