"""Attacks on tokens: TK-02, TK-11, and that no mint goes around the guard."""

import ast
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import idp
from idp.errors import OAuthError
from idp.oidc.guard import Guard
from idp.oidc.server import GRANT_TYPES, GRANTS
from tests.house import House, Request
from tests.rfc.tools import at_once, introspect, refresh, refused

OFFLINE = "openid offline_access"


def test_tk_02_fifty_at_once_get_the_tokens_at_most_once(house: House) -> None:
    request = Request(scope=OFFLINE)
    code = house.browser().sign_in(request, "ben")["code"]
    answers = at_once([lambda: house.redeem(request, code, "web")] * 50)
    won = [answer.json for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(won) <= 1
    for answer in lost:
        refused(answer, "invalid_grant")
    for tokens in won:
        assert introspect(house, tokens["access_token"]) == {"active": False}
        refused(refresh(house, tokens["refresh_token"]), "invalid_grant")


def test_tk_02_two_codes_at_once_do_not_harm_each_other(house: House) -> None:
    requests = [Request() for _ in range(20)]
    browser = house.browser()
    codes = [browser.sign_in(request, "ben")["code"] for request in requests]
    answers = at_once(
        [
            lambda request=request, code=code: house.redeem(request, code, "web")
            for request, code in zip(requests, codes, strict=True)
        ]
    )
    assert {answer.status_code for answer in answers} == {200}


@pytest.fixture(params=["openid", OFFLINE])
def disabled(house: House, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Ben has tokens, a code in flight and a session; then an operator disables him."""
    asked = Request(scope=request.param)
    browser = house.browser()
    tokens = house.redeem(asked, browser.sign_in(asked, "ben")["code"], "web").json
    pending = Request(scope=request.param)
    code = browser.sign_in(pending, "ben")["code"]
    house.user_admin.disable("ben", actor="test")
    return {"tokens": tokens, "request": pending, "code": code, "browser": browser}


def test_tk_11_the_code_in_flight(house: House, disabled: dict[str, Any]) -> None:
    refused(house.redeem(disabled["request"], disabled["code"], "web"), "invalid_grant")


def test_tk_11_the_refresh_token(house: House, disabled: dict[str, Any]) -> None:
    refused(refresh(house, disabled["tokens"]["refresh_token"]), "invalid_grant")


def test_tk_11_userinfo(house: House, disabled: dict[str, Any]) -> None:
    token = disabled["tokens"]["access_token"]
    assert house.call("/userinfo", bearer=token).status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_tk_11_introspection(house: House, disabled: dict[str, Any], kind: str) -> None:
    assert introspect(house, disabled["tokens"][kind]) == {"active": False}


def test_tk_11_the_session(house: House, disabled: dict[str, Any]) -> None:
    page = disabled["browser"].authorize(Request())
    assert 'name="username"' in page.text


def test_tk_11_a_sign_in_half_done(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request())
    browser.submit(username="ana", password=house.users["ana"]["password"])
    house.user_admin.disable("ana", actor="test")
    response = browser.submit(code=house.totp("ana"))
    assert "error=access_denied" in response.headers["Location"]
    assert "code=" not in response.headers["Location"]


def test_tk_11_enabling_again_revives_no_session(house: House, disabled: dict[str, Any]) -> None:
    house.user_admin.enable("ben", actor="test")
    assert 'name="username"' in disabled["browser"].authorize(Request()).text


def test_a_password_change_ends_what_hangs_on_the_sessions(house: House) -> None:
    tokens = house.tokens()
    house.user_admin.set_password("ben", "a-brand-new-password", actor="test")
    refused(refresh(house, tokens["refresh_token"]), "invalid_grant")


# DESIGN section 4: one guard inside every mint


def by_code(house: House) -> Callable[[], Any]:
    request = Request()
    code = house.browser().sign_in(request, "ben")["code"]
    return lambda: house.redeem(request, code, "web")


def by_refresh(house: House) -> Callable[[], Any]:
    token = house.tokens()["refresh_token"]
    return lambda: refresh(house, token)


def by_itself(house: House) -> Callable[[], Any]:
    form = {"grant_type": "client_credentials"}
    return lambda: house.call("/token", form, client="service")


EXCHANGES: dict[str, Callable[[House], Callable[[], Any]]] = {
    "authorization_code": by_code,
    "refresh_token": by_refresh,
    "client_credentials": by_itself,
}


def test_the_table_names_every_grant() -> None:
    assert set(EXCHANGES) == set(GRANT_TYPES) == {grant.GRANT_TYPE for grant in GRANTS}


@pytest.mark.parametrize("grant_type", GRANT_TYPES)
def test_every_mint_passes_the_guard(
    house: House, monkeypatch: pytest.MonkeyPatch, grant_type: str
) -> None:
    exchange = EXCHANGES[grant_type](house)
    asked = []

    def refuse(*subject: Any) -> None:
        asked.append(subject)
        raise OAuthError("invalid_grant", "No.")

    with monkeypatch.context() as patch:
        patch.setattr(Guard, "may_receive_tokens", refuse)
        refused(exchange(), "invalid_grant")
    assert len(asked) == 1
    if grant_type != "authorization_code":
        house.clock.advance(timedelta(minutes=1))
        assert exchange().status_code == 200, "the refusal came from the guard, and used nothing"


def test_only_the_guard_makes_what_the_signer_demands() -> None:
    makers = []
    for path in Path(idp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Cleared":
                makers.append(path.name)
    assert set(makers) == {"guard.py"}
