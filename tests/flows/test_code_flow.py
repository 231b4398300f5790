"""The main job over HTTP: sign in at a relying party, get tokens, step up."""

from tests.house import House, Request


def test_a_sign_in_with_password_and_totp_gives_tokens(house: House) -> None:
    browser = house.browser()
    request = Request(client_id="web")

    answer = browser.sign_in(request, "ana")

    assert browser.asked == [["username", "password"], ["code"]]
    assert answer["state"] == request.state
    assert answer["iss"] == house.issuer
    tokens = house.redeem(request, answer["code"], "web").json
    assert tokens["token_type"] == "Bearer"
    userinfo = house.call("/userinfo", bearer=tokens["access_token"]).json
    assert userinfo["sub"] == house.users["ana"]["sub"]
    assert userinfo["email"] == "ana@example.com"


def test_a_step_up_asks_for_the_missing_factor_alone(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "amy")

    browser.sign_in(Request(more={"acr_values": "aal2"}), "amy")

    assert browser.asked == [["username", "password"], ["code"]]


def test_a_second_request_of_a_signed_in_browser_asks_nothing(house: House) -> None:
    browser = house.browser()
    browser.sign_in(Request(), "ben")

    answer = browser.sign_in(Request(), "ben")

    assert "code" in answer
    assert browser.asked == [["username", "password"]]
