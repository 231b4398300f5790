"""RFC 9700 section 4.14: refresh tokens rotate, and reuse kills the family. TK-05, TK-06."""

from datetime import timedelta

from tests.house import CALLBACK, House, Request
from tests.rfc.tools import at_once, introspect, refresh, refused, register

OFFLINE = "openid offline_access"
GRACE = timedelta(seconds=30)


def test_4_14_2_every_use_gives_a_new_one(house: House) -> None:
    token = house.tokens(scope=OFFLINE)["refresh_token"]
    seen = {token}
    for _ in range(3):
        house.clock.advance(timedelta(minutes=5))
        token = refresh(house, token).json["refresh_token"]
        assert token not in seen
        seen.add(token)


def test_4_14_2_the_same_successor_within_the_grace(house: House) -> None:
    first = house.tokens(scope=OFFLINE)["refresh_token"]
    second = refresh(house, first).json["refresh_token"]
    house.clock.advance(GRACE - timedelta(seconds=1))
    assert refresh(house, first).json["refresh_token"] == second
    assert refresh(house, second).status_code == 200


def test_4_14_2_a_retry_does_not_prolong_the_grace(house: House) -> None:
    first = house.tokens(scope=OFFLINE)["refresh_token"]
    refresh(house, first)
    house.clock.advance(GRACE - timedelta(seconds=1))
    assert refresh(house, first).status_code == 200
    house.clock.advance(timedelta(seconds=2))
    refused(refresh(house, first), "invalid_grant")


def test_4_14_2_reuse_after_the_grace_kills_the_family(house: House) -> None:
    first = house.tokens(scope=OFFLINE)["refresh_token"]
    answer = refresh(house, first).json
    house.clock.advance(GRACE)
    refused(refresh(house, first), "invalid_grant")
    refused(refresh(house, answer["refresh_token"]), "invalid_grant")
    assert introspect(house, answer["access_token"]) == {"active": False}
    assert house.call("/userinfo", bearer=answer["access_token"]).status_code == 401


def test_4_14_2_another_family_of_the_same_user_lives_on(house: House) -> None:
    first, other = (house.tokens(scope=OFFLINE)["refresh_token"] for _ in range(2))
    refresh(house, first)
    house.clock.advance(GRACE)
    refused(refresh(house, first), "invalid_grant")
    assert refresh(house, other).status_code == 200


def test_4_14_2_an_ancestor_kills_the_family_too(house: House) -> None:
    first = house.tokens(scope=OFFLINE)["refresh_token"]
    second = refresh(house, first).json["refresh_token"]
    third = refresh(house, second).json["refresh_token"]
    house.clock.advance(GRACE)
    refused(refresh(house, first), "invalid_grant")
    refused(refresh(house, third), "invalid_grant")


def test_tk_06_fifty_at_once_give_one_lineage(house: House) -> None:
    token = house.tokens(scope=OFFLINE)["refresh_token"]
    answers = at_once([lambda: refresh(house, token)] * 50)
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json["refresh_token"] for answer in answers}
    assert len(successors) == 1
    house.clock.advance(GRACE)
    assert refresh(house, successors.pop()).status_code == 200


def test_4_14_2_the_lifetime_of_a_family_is_absolute(house: House) -> None:
    token = house.tokens(scope=OFFLINE)["refresh_token"]
    for _ in range(29):
        house.clock.advance(timedelta(days=1))
        token = refresh(house, token).json["refresh_token"]
    house.clock.advance(timedelta(days=1))
    refused(refresh(house, token), "invalid_grant")


def sign_out(house: House, offline: bool) -> dict[str, str]:
    browser = house.browser()
    request = Request(scope=OFFLINE if offline else "openid")
    code = browser.sign_in(request, "ben")["code"]
    tokens: dict[str, str] = house.redeem(request, code, "web").json
    browser.get("/logout")
    browser.submit(logout="yes")
    return tokens


def test_4_14_2_the_end_of_the_session_ends_its_grants(house: House) -> None:
    tokens = sign_out(house, offline=False)
    refused(refresh(house, tokens["refresh_token"]), "invalid_grant")
    assert introspect(house, tokens["access_token"]) == {"active": False}
    assert house.call("/userinfo", bearer=tokens["access_token"]).status_code == 401


def test_4_14_2_offline_access_outlives_the_session(house: House) -> None:
    tokens = sign_out(house, offline=True)
    assert refresh(house, tokens["refresh_token"]).status_code == 200


def test_4_14_2_a_code_does_not_outlive_its_session(house: House) -> None:
    browser = house.browser()
    request = Request()
    code = browser.sign_in(request, "ben")["code"]
    browser.get("/logout")
    browser.submit(logout="yes")
    refused(house.redeem(request, code, "web"), "invalid_grant")


def test_2_2_2_a_client_without_the_grant_type_gets_none(house: House) -> None:
    register(house, "once", redirect_uris=(CALLBACK,), scopes=("openid",))
    assert "refresh_token" not in house.tokens(client="once", scope="openid")
