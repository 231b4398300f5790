"""A browser and a place in plain words."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask_babel import Babel

from idp.web.account.places import device, icon, place

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
EDGE = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/131.0.0.0"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) {WEBKIT} Version/17.4 Safari/604"
MAC = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/17.4 Safari/605.1.15"
ANDROID = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537.36"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


@pytest.fixture(autouse=True)
def page() -> Iterator[None]:
    app = Flask("page")
    Babel(app)
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    ("user_agent", "words", "picture"),
    [
        (EDGE, "Microsoft Edge on Windows", "laptop"),
        (IPHONE, "Safari on iPhone", "phone"),
        (MAC, "Safari on Mac", "laptop"),
        (ANDROID, "Chrome on Android", "phone"),
        (LINUX, "Firefox on Linux", "laptop"),
        ("curl/8.5.0", "A browser or app that we do not know", "laptop"),
        ("", "A browser or app that we do not know", "laptop"),
        ("Firefox/1", "Firefox", "laptop"),
    ],
)
def test_a_browser_is_called_as_people_call_it(user_agent: str, words: str, picture: str) -> None:
    assert device(user_agent) == words
    assert icon(user_agent) == picture


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "This computer"),
        ("::1", "This computer"),
        ("203.0.113.7", "The network that you use now (203.0.113.7)"),
        ("8.8.8.8", "Network address 8.8.8.8"),
        ("10.1.2.3", "A local network (10.1.2.3)"),
        ("", "Unknown network"),
        ("<script>", "Unknown network"),
    ],
)
def test_a_place_says_what_an_address_says(address: str, words: str) -> None:
    assert place(address, "203.0.113.7") == words
