"""Gateways of text messages against real servers that speak their protocols."""

import base64
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from twilio.http.http_client import TwilioHttpClient

from idp import settings as configuration
from idp.errors import ConfigError, OutsideError, cause
from idp.messaging.gateways import gateways
from idp.messaging.twilio import Twilio
from idp.messaging.webhook import Webhook
from idp.model import Message
from idp.outbound import Outbound, OutboundError

MESSAGE = Message("sms", "+4915123456789", "123456 is your code")


@dataclass
class Gateway:
    """Takes what is posted; answers as the test says, or not at all."""

    port: int = 0
    status: int = 201
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    after: bytes = b""  # what follows on the connection
    hang: threading.Event | None = None
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/send"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.seen.append((self.path, dict(self.headers), body))
            if found.hang is not None:
                found.hang.wait(10)
                return
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body + found.after)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def webhook(gateway: Gateway, timeout: timedelta = timedelta(seconds=5)) -> Webhook:
    post = Outbound(allow=[f"localhost:{gateway.port}"], timeout=timeout).post_json
    return Webhook(post, gateway.url, "a-token", "Example")


def test_a_webhook_gets_one_json_document(gateway: Gateway) -> None:
    webhook(gateway).send(MESSAGE)
    (path, headers, body), document = gateway.seen[0], json.loads(gateway.seen[0][2])
    assert path == "/send"
    assert headers["Authorization"] == "Bearer a-token"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == document["id"]
    assert {k: v for k, v in document.items() if k != "id"} == {
        "to": "+4915123456789",
        "text": "123456 is your code",
        "sender": "Example",
    }
    assert len(body) < 500


def test_every_message_has_an_id_of_its_own(gateway: Gateway) -> None:
    sender = webhook(gateway)
    sender.send(MESSAGE)
    sender.send(MESSAGE)
    first, second = (json.loads(body)["id"] for _, _, body in gateway.seen)
    assert first != second


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 503])
def test_anything_but_success_is_a_failure_and_is_not_tried_again(
    gateway: Gateway, status: int
) -> None:
    gateway.status = status
    gateway.headers = {"Location": gateway.url}
    with pytest.raises(OutboundError):
        webhook(gateway).send(MESSAGE)
    assert len(gateway.seen) == 1


def test_a_gateway_that_hangs_is_given_up(gateway: Gateway) -> None:
    gateway.hang = threading.Event()
    with pytest.raises(OutboundError, match="took longer"):
        webhook(gateway, timedelta(milliseconds=300)).send(MESSAGE)
    gateway.hang.set()


def test_a_gateway_that_answers_twice_sent_once(gateway: Gateway) -> None:
    gateway.after = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    sender = webhook(gateway)
    sender.send(MESSAGE)
    sender.send(MESSAGE)
    assert len(gateway.seen) == 2


def test_an_answer_without_end_does_no_harm(gateway: Gateway) -> None:
    gateway.body = b"x" * 10**6
    webhook(gateway).send(MESSAGE)


def test_an_address_inside_is_only_posted_to_when_it_is_allowed(gateway: Gateway) -> None:
    closed = Webhook(Outbound().post_json, gateway.url, "t")
    with pytest.raises(OutboundError):
        closed.send(MESSAGE)
    assert gateway.seen == []


def test_no_repr_shows_the_token(gateway: Gateway) -> None:
    assert "a-token" not in repr(webhook(gateway))


class Here(TwilioHttpClient):
    """Twilio's own client, with its host exchanged for the one of the test."""

    def __init__(self, gateway: Gateway, timeout: float = 5) -> None:
        super().__init__(timeout=timeout)
        self._here = f"http://localhost:{gateway.port}"

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super().request(
            method, url.replace("https://api.twilio.com", self._here), *args, **more
        )


def test_twilio_gets_its_form(gateway: Gateway) -> None:
    gateway.body = json.dumps({"sid": "SM1", "status": "queued"}).encode()
    Twilio("AC1", "secret", "+15005550006", timedelta(seconds=5), Here(gateway)).send(MESSAGE)
    path, headers, body = gateway.seen[0]
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert headers["Authorization"].startswith("Basic ")
    assert parse_qs(body.decode()) == {
        "To": ["+4915123456789"],
        "From": ["+15005550006"],
        "Body": ["123456 is your code"],
    }


def test_twilio_refuses(gateway: Gateway) -> None:
    gateway.status = 400
    gateway.body = json.dumps({"code": 21211, "message": "no such number"}).encode()
    sender = Twilio("AC1", "secret", "+15005550006", timedelta(seconds=5), Here(gateway))
    with pytest.raises(OutsideError) as refusal:
        sender.send(MESSAGE)
    assert refusal.value.reason == "status 400, Twilio's code 21211"
    assert cause(refusal.value) == "OutsideError: status 400, Twilio's code 21211"


def test_twilio_without_an_answer_is_given_up(gateway: Gateway) -> None:
    gateway.hang = threading.Event()
    short = Twilio("AC1", "secret", "+15005550006", timedelta(seconds=5), Here(gateway, 0.3))
    with pytest.raises(OSError):  # what requests raises
        short.send(MESSAGE)
    gateway.hang.set()


def test_twilio_logs_neither_code_nor_token(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.body = json.dumps({"sid": "SM1", "status": "queued"}).encode()
    with caplog.at_level(logging.DEBUG):
        Twilio("AC1", "s3cret", "+15005550006", timedelta(seconds=5), Here(gateway)).send(MESSAGE)
    assert caplog.records
    basic = base64.b64encode(b"AC1:s3cret").decode()
    for secret in ("123456", "s3cret", basic, MESSAGE.to, quote(MESSAGE.to)):
        assert secret not in caplog.text


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twilio.rest", None)
    with pytest.raises(ConfigError, match=r"pip install 'idp\[twilio\]'"):
        Twilio("AC1", "secret", "+15005550006", timedelta(seconds=5))


class Queue:
    def send(self, message: Message) -> None:
        """Nothing is sent here."""


QUEUE = Queue()


def settings(**sms: Any) -> configuration.Settings:
    return configuration.read(issuer="http://localhost:1", dev=True, sms=sms, sms_token="t0ken")


def post(_url: str, _document: object, _headers: Any) -> int:
    return 201


def test_which_gateway_is_a_setting() -> None:
    assert gateways(settings(), post, QUEUE) == {}
    chosen = gateways(settings(gateway="webhook", webhook_url="https://sms.example"), post, QUEUE)
    assert isinstance(chosen["sms"], Webhook)
    twilio = {"gateway": "twilio", "twilio_account": "AC1", "sender": "+15005550006"}
    assert isinstance(gateways(settings(**twilio), post, QUEUE)["sms"], Twilio)


@pytest.mark.parametrize("sms", [{"gateway": "webhook"}, {"gateway": "twilio"}])
def test_a_gateway_without_what_it_needs_says_what(sms: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="set sms"):
        gateways(settings(**sms), post, QUEUE)
