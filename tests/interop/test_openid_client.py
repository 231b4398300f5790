"""The certified openid-client takes the main journey, with every check of its own switched on."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.interop.conftest import Run
from tests.live import Provider

pytestmark = pytest.mark.xdist_group("interop_openid_client")


@pytest.fixture(scope="module")
def journey(run: Run) -> Mapping[str, Any]:
    return run("openid_client_flow.mjs")


def test_ana_is_asked_for_password_and_then_code(journey: Mapping[str, Any]) -> None:
    assert journey["asked"] == [["username", "password"], ["code"]]


def test_the_id_token_says_who_and_how(running: Provider, journey: Mapping[str, Any]) -> None:
    claims = journey["claims"]
    assert claims["iss"] == running.issuer
    assert claims["sub"] == running.user("ana")["sub"]
    assert claims["aud"] == "web"
    assert claims["acr"] == "aal2"
    assert set(claims["amr"]) == {"pwd", "otp", "mfa"}
    assert claims["auth_time"] <= claims["iat"] < claims["exp"]


def test_userinfo_gives_what_the_scope_allows(
    running: Provider, journey: Mapping[str, Any]
) -> None:
    ana, told = running.user("ana"), journey["userinfo"]
    assert told["sub"] == ana["sub"]
    assert (told["email"], told["email_verified"]) == (ana["email"], True)
    assert told["name"]
    assert told["preferred_username"] == "ana"
    assert "phone_number" not in told  # the scope phone was not asked for


def test_introspection_describes_the_access_token(
    running: Provider, journey: Mapping[str, Any]
) -> None:
    told = journey["introspection"]
    assert told["active"] is True
    assert told["sub"] == running.user("ana")["sub"]
    assert told["client_id"] == "web"
    assert told["acr"] == "aal2"
    assert set(told["scope"].split()) == {"openid", "profile", "email", "offline_access"}


def test_refresh_rotates_the_refresh_token(journey: Mapping[str, Any]) -> None:
    assert journey["refresh"]["rotated"] is True


def test_what_was_revoked_is_inactive_and_cannot_be_refreshed(journey: Mapping[str, Any]) -> None:
    assert journey["revocation"] == {
        "access_active": False,
        "refresh_active": False,
        "refresh_error": "invalid_grant",
    }


def test_logout_returns_and_ends_the_session(running: Provider, journey: Mapping[str, Any]) -> None:
    returned_to = journey["logout"]["returned_to"].rstrip("/")
    assert returned_to in running.client("web")["post_logout_redirect_uris"]
    assert journey["logout"]["prompt_none"] == "login_required"
