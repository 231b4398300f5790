"""RFC 7523 with keys behind a `jwks_uri`: a real https server on this machine, opened by the
operator's allow list, trusted by the operator's CA bundle; keys are rotated under way."""

import datetime
import ipaddress
import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.house import House, build
from tests.rfc.jose import Key, es256
from tests.rfc.test_rfc7523 import add, claims, present
from tests.rfc.tools import refused

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}


class KeyServer:
    """Serves `document` at /jwks and counts."""

    def __init__(self, folder: Path) -> None:
        self.document: Any = {"keys": []}
        self.status = 200
        self.served = 0
        self.ca = folder / "ca.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(self.ca, folder / "key.pem"), folder / "key.pem")
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = f"https://localhost:{self.port}/jwks"
        self._thread = Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keys = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.served += 1
                body = json.dumps(keys.document).encode()
                self.send_response(keys.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if keys.status == 302:
                    self.send_header("Location", keys.url)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


def _certificate(path: Path, key_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(*pem, serialization.NoEncryption()))
    return path


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyServer]:
    server = KeyServer(tmp_path)
    yield server
    server.close()


def provider(folder: Path, keys: KeyServer, *, allowed: bool = True) -> House:
    allow = (f"localhost:{keys.port}",) if allowed else ()
    built = build(folder / "state", factors=CHEAP, outbound={"ca_bundle": keys.ca, "allow": allow})
    add(built, "remote", jwks_uri=keys.url)
    return built


@pytest.fixture
def home(tmp_path: Path, keys: KeyServer) -> Iterator[House]:
    (tmp_path / "state").mkdir()
    built = provider(tmp_path, keys)
    yield built
    built.app.close()


def send(house: House, key: Key, jti: str) -> Any:
    return present(house, key.sign(claims(house, "remote", jti=jti)))


def test_3_keys_are_fetched_and_kept(home: House, keys: KeyServer) -> None:
    key = es256("one")
    keys.document = key.jwks()
    assert [send(home, key, f"j{n}").status_code for n in range(3)] == [200, 200, 200]
    assert keys.served == 1


def test_3_a_rotated_key_is_found_at_once(home: House, keys: KeyServer) -> None:
    old, new = es256("one"), es256("two")
    keys.document = old.jwks()
    assert send(home, old, "a").status_code == 200
    keys.document = new.jwks()
    home.clock.advance(timedelta(seconds=11))
    assert send(home, new, "b").status_code == 200
    refused(send(home, old, "c"), "invalid_client", 401)


def test_3_a_stranger_cannot_make_us_hammer_the_key_server(home: House, keys: KeyServer) -> None:
    keys.document = es256("one").jwks()
    stranger = es256("one")
    for n in range(10):
        refused(send(home, stranger, f"s{n}"), "invalid_client", 401)
    assert keys.served == 1


@pytest.mark.parametrize("document", [[], "x", {}, {"keys": "x"}, {"keys": [{"kty": "EC"}]}])
def test_3_an_odd_document(home: House, keys: KeyServer, document: Any) -> None:
    keys.document = document
    refused(send(home, es256("one"), "a"), "invalid_client", 401)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_3_an_unwilling_key_server_and_its_recovery(
    home: House, keys: KeyServer, status: int
) -> None:
    key = es256("one")
    keys.document, keys.status = key.jwks(), status
    refused(send(home, key, "a"), "invalid_client", 401)
    keys.status = 200
    assert send(home, key, "b").status_code == 200


def test_hd_02_no_connection_inwards_unless_allowed(tmp_path: Path, keys: KeyServer) -> None:
    (tmp_path / "state").mkdir()
    closed = provider(tmp_path, keys, allowed=False)
    key = es256("one")
    keys.document = key.jwks()
    refused(send(closed, key, "a"), "invalid_client", 401)
    assert keys.served == 0
    closed.app.close()
