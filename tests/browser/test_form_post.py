"""response_mode=form_post: the answer arrives as a form, by itself or by one press of a button."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.conftest import Open, Person, Running

pytestmark = pytest.mark.xdist_group("browser")


@dataclass
class Receiver:
    """A tiny relying party that keeps what is posted to it."""

    port: int = 0
    posted: list[dict[str, list[str]]] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.posted.append(parse_qs(body.decode(), strict_parsing=True))
            self._answer(b"<!doctype html><link rel=icon href=data:,><h1>Received</h1>")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield received
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("javascript", [True, False], ids=["js", "nojs"])
def test_the_answer_is_posted(
    profile: Open, running: Running, ben: Person, receiver: Receiver, javascript: bool
) -> None:
    page = profile(javascript=javascript).new_page()
    page.goto(
        running.authorize_url(
            "native", redirect_uri=receiver.redirect_uri, response_mode="form_post"
        )
    )
    steps.give_password(page, ben)
    if page.get_by_role("button", name="Allow").is_visible():
        page.get_by_role("button", name="Allow").click()
    if not javascript:
        steps.at(page, "Taking you back")
        expect(page.get_by_text("press the button")).to_be_visible()
        page.get_by_role("button", name="Continue").click()

    steps.at(page, "Received")
    (posted,) = receiver.posted
    assert posted["state"] == ["st"]
    assert posted["iss"] == [running.provider.issuer]
    assert posted["code"]
    assert set(posted) == {"state", "iss", "code"}


@pytest.mark.parametrize("javascript", [True, False], ids=["js", "nojs"])
def test_a_refusal_is_posted_too(
    profile: Open, running: Running, receiver: Receiver, javascript: bool
) -> None:
    page = profile(javascript=javascript).new_page()
    page.goto(
        running.authorize_url(
            "native", redirect_uri=receiver.redirect_uri, response_mode="form_post"
        )
    )
    page.get_by_role("button", name="Cancel and go back to Native application").click()
    if not javascript:
        page.get_by_role("button", name="Continue").click()

    steps.at(page, "Received")
    assert receiver.posted[0]["error"] == ["access_denied"]
