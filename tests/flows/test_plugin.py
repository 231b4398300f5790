"""The pytest plugin as a relying party's developer uses it: one line to tokens, for everybody."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from idp.factors.registry import installed
from idp.testing.browser import NotSignedIn
from idp.testing.provider import Provider

pytestmark = pytest.mark.xdist_group("plugin")  # one provider for all of them


def test_one_line_to_tokens(idp: Provider) -> None:
    tokens = idp.login("ana", acr="aal2")
    assert tokens.claims["sub"] == idp.users["ana"].sub
    assert tokens.claims["acr"] == "aal2"
    assert set(tokens.claims["amr"]) == {"pwd", "otp", "mfa"}
    answer = requests.get(f"{idp.issuer}/userinfo", headers=tokens.bearer, timeout=10)
    assert answer.json()["email"] == "ana@example.com"
    assert tokens.access_token not in repr(tokens)


def test_again_and_again(idp: Provider) -> None:
    """No code works twice: the clock moves where it must."""
    for _ in range(3):
        assert idp.login("amy", acr="aal2").claims["acr"] == "aal2"


def test_a_session_is_found_again_by_the_same_browser(idp: Provider) -> None:
    browser = idp.browser("amy")
    first = idp.login("amy", browser=browser)
    assert browser.asked == ["password"]
    second = idp.login("amy", acr="aal2", browser=browser)
    assert browser.asked == ["password", "totp"]
    assert first.claims["sub"] == second.claims["sub"]


@pytest.mark.parametrize("client", ["web", "web-post", "native"])
def test_each_kind_of_client(idp: Provider, client: str) -> None:
    """One of them asks for consent, one has no secret, each authenticates in its own way."""
    tokens = idp.login("ben", client=client, scope="openid offline_access")
    assert tokens.claims["aud"] == client
    renewed = idp.token(
        client, grant_type="refresh_token", refresh_token=tokens.refresh_token or ""
    )
    assert renewed.access_token != tokens.access_token


def test_a_service_gets_its_own_token(idp: Provider) -> None:
    tokens = idp.token("service", scope="api:read", resource="https://api.example.com")
    assert (tokens.scope, dict(tokens.claims)) == ("api:read", {})


def test_a_resource_and_claims_may_be_asked_for(idp: Provider) -> None:
    tokens = idp.login(
        "cyd",
        resource="https://api.example.com",
        claims='{"id_token": {"nickname": null}}',
        nonce="my-nonce",
    )
    assert tokens.claims["nonce"] == "my-nonce"
    assert tokens.claims["nickname"] == "cy"


def test_time_moves_when_it_is_told_to(idp: Provider) -> None:
    tokens = idp.login("ben")
    before = idp.clock.now()
    idp.clock.advance(timedelta(hours=1))
    assert idp.clock.now() - before >= timedelta(hours=1)
    answer = requests.get(f"{idp.issuer}/userinfo", headers=tokens.bearer, timeout=10)
    assert answer.status_code == 401


def test_a_refusal_says_what_the_provider_said(idp: Provider) -> None:
    ben = idp.users["ben"]
    with pytest.raises(NotSignedIn) as refused:
        idp.login("ben", answers={"password": {"username": "ben", "password": "wrong"}})
    text = str(refused.value)
    assert "ben at /interaction/" in text
    assert "password was refused: That did not match" in text
    assert "support code" in text
    assert ben.password not in text
    with pytest.raises(NotSignedIn, match=r"at web: the provider refused: .*login_required"):
        idp.login("ben", prompt="none")


def test_an_error_page_says_what_is_wrong(idp: Provider) -> None:
    with pytest.raises(NotSignedIn, match=r"answered 400: .*support code") as refused:
        idp.browser("ben").visit(f"{idp.issuer}/authorize?client_id=nobody")
    assert refused.value.answer["error"]


def test_who_is_not_there_is_named(idp: Provider) -> None:
    with pytest.raises(AssertionError, match="no 'zoe' here; there are ana, amy"):
        idp.login("zoe")


def test_an_empty_outbox_says_who_got_what(idp: Provider) -> None:
    with pytest.raises(AssertionError, match=r"nothing was sent to nobody@example\.com"):
        idp.outbox.latest("nobody@example.com")


SECOND = [name for name in ("totp", "webauthn", "sms", "recovery_code") if name in installed()]
STRONG = {
    "aal1": {"any_of": [["password"], ["passkey"]]},
    "aal2": {"any_of": [["password", SECOND], ["passkey"]]},
}


@pytest.fixture(scope="module")
def strong(idp: Provider) -> Iterator[Provider]:
    """With every method in use."""
    with idp.settings(acr=STRONG) as provider:
        yield provider


def test_a_method_that_is_missing_is_enrolled_on_the_way(strong: Provider) -> None:
    """`dia` has none, and has to have one: an authenticator app, kept for the next time."""
    browser = strong.browser("dia")
    tokens = strong.login("dia", by="totp", browser=browser)
    assert tokens.claims["acr"] == "aal2"
    assert strong.users["dia"].totp_secret
    assert browser.asked == ["password", "totp"]
    assert set(strong.login("dia", by="totp").claims["amr"]) == {"pwd", "otp", "mfa"}


def test_passkeys(strong: Provider) -> None:
    """Enrolled on the way, then a second factor, then alone."""
    assert "pop" in strong.login("ben", acr="aal2", by="webauthn").claims["amr"]
    assert "pop" in strong.login("ben", acr="aal2", by="webauthn").claims["amr"]
    browser = strong.browser("ben")
    tokens = strong.login("ben", acr="aal2", by="passkey", browser=browser)
    assert browser.asked == ["passkey"]
    assert tokens.claims["acr"] == "aal2"


SEEDED = {"totp": "ana", "sms": "cho", "recovery_code": "eli"}


@pytest.mark.parametrize("factor", [name for name in SEEDED if name in SECOND])
def test_each_seeded_method_again_and_again(strong: Provider, factor: str) -> None:
    """Codes of an app, codes that are read in the outbox, codes from a list."""
    for _ in range(3):
        browser = strong.browser(SEEDED[factor])
        tokens = strong.login(SEEDED[factor], acr="aal2", by=factor, browser=browser)
        assert browser.asked[:2] == ["password", factor]
        assert tokens.claims["acr"] == "aal2"


def test_two_providers_are_apart(idp: Provider, strong: Provider) -> None:
    assert idp.issuer != strong.issuer
    assert idp.users["ana"].password != strong.users["ana"].password
    before = idp.clock.now()
    strong.clock.advance(timedelta(hours=1))
    assert idp.clock.now() - before < timedelta(minutes=1)


def test_settings_that_cannot_be_used_say_why(idp: Provider) -> None:
    with (
        pytest.raises(AssertionError, match=r"(?s)did not start.*flow\.default_acr"),
        idp.settings(flow={"default_acr": "none"}),
    ):
        pass
