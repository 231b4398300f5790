"""The relying party against a running provider: `pytest examples/relying_party`.

The browser at the provider is `idp`'s; the one at the application is Flask's test client.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from examples.relying_party.app import create_app
from idp.testing.browser import Browser
from idp.testing.provider import Provider

BASE = "http://localhost:8001"


@pytest.fixture
def application(idp: Provider) -> Iterator[FlaskClient]:
    secret = idp.clients["web"]["client_secret"]
    app = create_app(idp.issuer, "web", secret, BASE)
    with app.test_client() as client:
        yield client


def arrive(application: FlaskClient, browser: Browser, started: str) -> str:
    """From where the application sends the browser, back to it; the page that it shows then."""
    callback = urlsplit(browser.visit(started))
    answer = application.get(f"{callback.path}?{callback.query}", base_url=BASE)
    if answer.status_code == 303:
        answer = application.get(answer.location, base_url=BASE)
    return answer.text


def sign_in(application: FlaskClient, browser: Browser) -> str:
    started = application.get("/login", base_url=BASE)
    return arrive(application, browser, started.location)


def csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]


def test_signing_in_shows_who_it_is(idp: Provider, application: FlaskClient) -> None:
    page = sign_in(application, idp.browser("ben"))
    assert "Ben Example" in page
    assert "ben@example.com" in page


def test_a_transfer_asks_for_a_second_factor(idp: Provider, application: FlaskClient) -> None:
    browser = idp.browser("amy")
    page = sign_in(application, browser)
    assert browser.asked == ["password"]

    started = application.post("/transfer", data={"csrf": csrf(page)}, base_url=BASE)
    page = arrive(application, browser, started.location)

    assert browser.asked[1:] == ["totp"]
    assert "Transfer done, authorised with aal2." in page


def test_a_refresh_renews_the_tokens(idp: Provider, application: FlaskClient) -> None:
    page = sign_in(application, idp.browser("ben"))
    answer = application.post("/refresh", data={"csrf": csrf(page)}, base_url=BASE)
    assert "Refreshed at" in application.get(answer.location, base_url=BASE).text


def test_an_answer_is_taken_once(idp: Provider, application: FlaskClient) -> None:
    started = application.get("/login", base_url=BASE)
    callback = urlsplit(idp.browser("ben").visit(started.location))
    path = f"{callback.path}?{callback.query}"
    assert application.get(path, base_url=BASE).status_code == 303
    with application.session_transaction(base_url=BASE) as cookie:
        cookie.clear()
    assert application.get(path, base_url=BASE).status_code == 400
