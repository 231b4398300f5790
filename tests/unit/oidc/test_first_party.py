"""The account pages as a client: sessions and step-ups, never a code."""

import pytest

from idp.errors import Conflict
from idp.model import Client
from idp.oidc.first_party import ACCOUNT, RETURN, WithAccount
from tests.house import START, House, Request, answer_of


def request_of(house: House, **more: str) -> Request:
    return Request(
        client_id=ACCOUNT,
        redirect_uri=house.issuer + RETURN,
        scope=None,
        more={
            "response_type": "none",
            "code_challenge": None,
            "code_challenge_method": None,
            "nonce": None,
            **more,
        },
    )


def follow_to_the_end(house: House, request: Request, username: str) -> dict[str, str]:
    """Answer every page; the first redirect to the account pages is the answer."""
    browser = house.browser()
    target = f"/authorize?{request.query()}"
    response = browser.http.get(target, base_url=house.issuer)
    for _ in range(9):
        location = response.headers.get("Location", "")
        if location.startswith(house.issuer + RETURN):
            return answer_of(response)
        if location:
            response = browser.http.get(location.removeprefix(house.issuer), base_url=house.issuer)
            continue
        browser.page = response
        found = browser.fields()
        names = [n for n in found if n in {"username", "password", "code"}]
        action = f"/interaction/{response.request.path.rpartition('/')[2]}"
        response = browser.http.post(
            action, data={**found, **browser.answers(names, username)}, base_url=house.issuer
        )
    raise AssertionError("no end")


def test_it_gets_a_session_and_no_code(house: House) -> None:
    request = request_of(house)
    answer = follow_to_the_end(house, request, "ben")
    assert answer == {"state": request.state, "iss": house.issuer}
    assert len(house.app.stores.sessions.of(house.users["ben"]["sub"])) == 1


def test_it_can_step_up(house: House) -> None:
    request = request_of(house, acr_values="aal2", max_age="300")
    assert "error" not in follow_to_the_end(house, request, "amy")


@pytest.mark.parametrize("client_id", ["web", "native"])
def test_no_other_client_may_ask_for_nothing(house: House, client_id: str) -> None:
    request = Request(client_id=client_id, more={"response_type": "none"})
    if client_id == "native":
        request.redirect_uri = "http://127.0.0.1/callback"
    answer = answer_of(house.browser().authorize(request))
    assert answer["error"] == "unsupported_response_type"


@pytest.mark.parametrize("uri", ["http://localhost:8000/account", "http://evil.example/return"])
def test_it_goes_back_to_one_place_alone(house: House, uri: str) -> None:
    request = request_of(house)
    request.redirect_uri = uri
    assert house.browser().authorize(request).status_code == 400


def test_it_cannot_ask_for_a_code_or_a_token(house: House) -> None:
    request = request_of(house, response_type="code")
    assert answer_of(
        house.browser().http.get(f"/authorize?{request.query()}", base_url=house.issuer)
    )["error"]
    response = house.call("/token", {"grant_type": "client_credentials", "client_id": ACCOUNT})
    assert response.status_code in {400, 401}


def test_nobody_registers_its_name(house: House) -> None:
    clients = WithAccount(house.app.stores.clients, house.issuer)
    with pytest.raises(Conflict):
        clients.add(Client(client_id=ACCOUNT, name="Evil", created_at=START))
