"""OpenID Connect RP-Initiated Logout 1.0."""

from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.house import Browser, House, Request, answer_of
from tests.rfc.tools import introspect, is_page

RP = "http://localhost:8001/"


class SignedIn:
    """A browser with a session of Ben, and the tokens of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.browser: Browser = house.browser()
        request = Request()
        code = self.browser.sign_in(request, "ben")["code"]
        self.tokens = house.redeem(request, code, "web").json
        self.hint: str = self.tokens["id_token"]

    def logout(self, **parameters: str) -> TestResponse:
        return self.browser.get(f"/logout?{urlencode(parameters)}")

    @property
    def alive(self) -> bool:
        answer = answer_of(self.browser.authorize(Request(more={"prompt": "none"})))
        active: bool = introspect(self.house, self.tokens["access_token"])["active"]
        assert active == ("code" in answer), "session and tokens end together"
        return active


@pytest.fixture
def ben(house: House) -> SignedIn:
    return SignedIn(house)


def test_2_with_a_hint_it_happens_at_once(ben: SignedIn) -> None:
    answer = ben.logout(id_token_hint=ben.hint, post_logout_redirect_uri=RP, state="s t&ä")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(RP + "?")
    assert answer_of(answer) == {"state": "s t&ä"}
    assert "storage" in answer.headers["Clear-Site-Data"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert not ben.alive


def test_3_no_state_is_invented(ben: SignedIn) -> None:
    answer = ben.logout(id_token_hint=ben.hint, post_logout_redirect_uri=RP)
    assert answer.headers["Location"] == RP


def test_2_an_expired_hint_is_fine(ben: SignedIn) -> None:
    ben.house.clock.advance(ben.house.app.settings.tokens.id_token_ttl * 2)
    assert ben.logout(id_token_hint=ben.hint, post_logout_redirect_uri=RP).status_code == 303
    assert not ben.alive


def test_2_by_post_as_well(ben: SignedIn) -> None:
    sent = ben.browser.http.post(
        "/logout", data={"id_token_hint": ben.hint}, base_url=ben.house.issuer
    )
    assert sent.status_code == 303, "a GET with the cookie, which a cross-site POST lacks"
    ben.browser._follow(sent)
    assert not ben.alive


@pytest.mark.parametrize("decision", ["yes", "no"])
def test_2_without_a_hint_the_person_is_asked(ben: SignedIn, decision: str) -> None:
    page = ben.logout(client_id="web", post_logout_redirect_uri=RP, state="x")
    assert page.status_code == 200
    assert ben.alive
    ben.logout(client_id="web", post_logout_redirect_uri=RP, state="x")
    answer = ben.browser.submit(logout=decision)
    assert ben.alive == (decision == "no")
    if decision == "yes":
        assert answer.headers["Location"] == RP + "?state=x"


def test_2_without_anything(ben: SignedIn) -> None:
    assert ben.logout().status_code == 200
    assert ben.browser.submit(logout="yes").status_code == 200
    assert not ben.alive


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        RP + "x",
        RP + "?x=1",
        RP.replace("localhost", "LOCALHOST"),
        "http://localhost:8001.evil.example/",
        "javascript:alert(1)",
        "//evil.example",
    ],
)
@pytest.mark.parametrize("with_hint", [True, False])
def test_3_only_registered_addresses(ben: SignedIn, uri: str, with_hint: bool) -> None:
    proof = {"id_token_hint": ben.hint} if with_hint else {"client_id": "web"}
    is_page(ben.logout(**proof, post_logout_redirect_uri=uri), "post_logout_redirect_uri")
    assert ben.alive, "nothing has ended"


def test_3_no_redirect_without_a_client(ben: SignedIn) -> None:
    is_page(ben.logout(post_logout_redirect_uri=RP), "post_logout_redirect_uri")


def test_2_client_id_and_hint_must_agree(ben: SignedIn) -> None:
    is_page(ben.logout(id_token_hint=ben.hint, client_id="native"), "client_id")
    assert ben.alive


def test_2_an_unknown_client(ben: SignedIn) -> None:
    is_page(ben.logout(client_id="nobody"), "client_id")


@pytest.mark.parametrize("hint", ["x", "a.b.c", "e30.e30."])
def test_2_a_hint_that_is_not_ours(ben: SignedIn, hint: str) -> None:
    is_page(ben.logout(id_token_hint=hint), "id_token_hint")
    assert ben.alive


def test_2_an_access_token_is_no_hint(ben: SignedIn) -> None:
    is_page(ben.logout(id_token_hint=ben.tokens["access_token"]), "id_token_hint")
    assert ben.alive


@pytest.mark.parametrize("username", ["ben", "cyd"])
def test_2_a_hint_of_another_session_or_user_is_asked_about(ben: SignedIn, username: str) -> None:
    foreign = ben.house.tokens(username)["id_token"]
    page = ben.logout(id_token_hint=foreign, post_logout_redirect_uri=RP)
    assert page.status_code == 200
    assert ben.alive


def test_2_somebody_without_a_session_is_sent_on(house: House) -> None:
    hint = SignedIn(house).hint
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": RP})
    answer = house.browser().get(f"/logout?{query}")
    assert answer.headers["Location"] == RP


def test_2_a_repeated_parameter_is_refused(ben: SignedIn) -> None:
    is_page(ben.browser.get("/logout?state=a&state=b"), "state")
    assert ben.alive


def test_2_many_unknown_parameters_do_no_harm(ben: SignedIn) -> None:
    ben.logout(**{f"p{n}": "x" for n in range(30)})
    assert ben.browser.submit(logout="yes").status_code == 200
    assert not ben.alive
