"""The outbound fetcher, against real servers on loopback and a real resolver where it matters.

The name `away.test` stands for a host of a stranger; the injected resolver says where it is.
"""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from idp.outbound import FetchedJson, Outbound, OutboundError, Resolve

Serve = Callable[[socket.socket], None]
LIMIT = 65536


class Server:
    """Accepts on a loopback port, notes each request's head, answers by a function.

    A `raw` server hands over the connection as it is, before any TLS or request.
    """

    stopper: object = None

    def __init__(
        self,
        serve: Serve,
        tls: ssl.SSLContext | None = None,
        *,
        at: str = "127.0.0.1",
        raw: bool = False,
    ) -> None:
        self.listener = socket.create_server((at, 0))
        self.port: int = self.listener.getsockname()[1]
        self.serve, self.tls, self.raw = serve, tls, raw
        self.accepted = 0
        self.heads: list[str] = []
        self.names: list[str | None] = []
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while True:
            connection, peer = self.listener.accept()
            with closing(connection):
                if peer == self.stopper:
                    return
                connection.settimeout(5)
                self.accepted += 1
                # A client that hangs up in the middle is what half of these tests provoke.
                with suppress(OSError):
                    self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        if self.raw:
            self.serve(connection)
        elif self.tls:
            with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                self.talk(wrapped)
        else:
            self.talk(connection)

    def talk(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            received = connection.recv(4096)
            if not received:
                return
            head += received
        self.heads.append(head.decode())
        self.serve(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until the client is done: no reset may overtake the answer

    def __enter__(self) -> "Server":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """All that connected before is counted: what `accepted` says afterwards is final."""
        with socket.socket() as stopper:
            stopper.bind(("127.0.0.1", 0))
            self.stopper = stopper.getsockname()
            stopper.connect(self.listener.getsockname())
            self.thread.join(5)
        self.listener.close()
        assert not self.thread.is_alive()


def answer(
    body: bytes = b"{}", *headers: str, status: str = "200 OK", kind: str = "application/json"
) -> Serve:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    head = "\r\n".join([*lines, *headers, "", ""]).encode()
    return lambda connection: connection.sendall(head + body)


def outbound(
    *allow: str,
    resolve: Resolve = lambda _host, _port: ["127.0.0.1"],
    ca: Path | None = None,
    timeout: float = 5,
    clock: Callable[[], float] = time.monotonic,
) -> Outbound:
    return Outbound(
        ca_bundle=ca,
        allow=allow,
        timeout=timedelta(seconds=timeout),
        resolve=resolve,
        clock=clock,
    )


def fetch(serve: Serve) -> FetchedJson:
    with Server(serve) as server:
        return outbound("away.test").get_json(f"http://away.test:{server.port}/")


def refusal(fetcher: Outbound, url: str) -> str:
    with pytest.raises(OutboundError) as caught:
        fetcher.get_json(url)
    assert caught.value.reason == str(caught.value)
    assert caught.value.reason.isprintable()
    return caught.value.reason


def refused(serve: Serve) -> str:
    with Server(serve) as server:
        return refusal(outbound("away.test"), f"http://away.test:{server.port}/")


# --- what is accepted


def test_a_json_document_is_fetched() -> None:
    fetched = fetch(answer(b'{"keys": []}', "Cache-Control: public, max-age=300"))
    assert fetched == FetchedJson(
        200, b'{"keys": []}', "application/json", timedelta(minutes=5), {"keys": []}
    )


def test_the_request_is_made_of_the_parts_of_the_url() -> None:
    with Server(answer()) as server:
        outbound("away.test").get_json(f"HTTP://AWAY.test:{server.port}?a=/@b")
        request, *headers, _, _ = server.heads[0].split("\r\n")
    assert request == "GET /?a=/@b HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Accept: application/json, application/*+json",
        "Connection: close",
        f"Host: away.test:{server.port}",
        "User-Agent: idp",
    ]


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("away.test", "away.test", 80),
        ("away.test:80", "away.test", 80),
        ("away.test:443", "away.test:443", 443),
        ("[0:0::1]", "[::1]", 80),
        ("[::1]:81", "[::1]:81", 81),
    ],
)
def test_ports_and_the_host_header(authority: str, host: str, port: int) -> None:
    """Well-known ports cannot be listened on: the connection is bent to the server's."""
    asked: list[int] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        asked.append(address[1])
        real(self, ("127.0.0.1", server.port))

    with Server(answer()) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", connect)
            outbound("away.test", "[::1]").get_json(f"http://{authority}/")
        assert asked == [port]
        assert f"\r\nHost: {host}\r\n" in server.heads[0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Application/JSON; charset=utf-8", "application/json"),
        ("application/jwk-set+json", "application/jwk-set+json"),
    ],
)
def test_json_types_are_accepted(kind: str, name: str) -> None:
    assert fetch(answer(kind=kind)).content_type == name


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=60", 60),
        ("public,MAX-AGE=60, immutable", 60),
        ('max-age="60"', 60),
        ("max-age=0", 0),
        ("max-age=" + "0" * 20 + "60", 60),
        ("max-age=" + "9" * 5000, 2**31),
        ("max-age=-1", None),
        ("max-age=1.5", None),
        ("max-age=\u0663", None),
        ("s-maxage=60", None),
        ("x-max-age=60", None),
        ("public", None),
        ("max-age=60, no-store", 0),
    ],
)
def test_max_age(header: str, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert fetch(answer(b"{}", f"Cache-Control: {header}")).max_age == expected


def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    body = b'"' + b"x" * (LIMIT - 2) + b'"'
    assert fetch(answer(body)).body == body


def test_a_chunked_body_is_accepted() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    fetched = fetch(lambda to: to.sendall(head + b"1\r\n[\r\n3\r\n1 ]\r\n0\r\n\r\n"))
    assert fetched.json == [1]


# --- what the URL may be


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://away.test/", "not https"),
        ("file:///etc/passwd", "malformed"),
        ("//away.test/", "not https"),
        ("https:///jwks", "malformed"),
        ("https://user@away.test/", "user information"),
        ("https://@away.test/", "user information"),
        ("https://away.test/#", "fragment"),
        ("https://away.test/a b", "spaces"),
        ("https://away.test/\r\nX: y", "spaces"),
        ("https://aw\tay.test/", "spaces"),
        ("https://away.test\\@evil.test/", "backslashes"),
        ("https://away.test/" + "a" * 2048, "too long"),
        ("https://away.test/é", "malformed"),
        ("https://away.test:65536/", "malformed"),
        ("https://away.test:x/", "malformed"),
        ("https://a..test/", "malformed"),
        ("https://a%00b.test/", "malformed"),
        ("https://a'b.test/", "malformed"),
        ("https://[::1/", "malformed"),
        ("https://[fe80::1%25lo]/", "malformed"),
    ],
)
def test_odd_urls_are_refused_before_the_resolver(url: str, reason: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        pytest.fail(f"asked for {host}:{port}")

    assert reason in refusal(outbound("away.test", resolve=resolve), url)


@pytest.mark.parametrize(
    ("allow", "open_"),
    [
        ((), False),
        (("away.test",), True),
        (("AWAY.test.",), True),
        (("away.test:{port}",), True),
        (("away.test:1",), False),
        (("test",), False),
        (("far.away.test",), False),
        (("127.0.0.0/8",), False),
    ],
)
def test_plain_http_only_for_allowed_names(allow: tuple[str, ...], open_: bool) -> None:
    with Server(answer()) as server:
        fetcher = outbound(*(entry.format(port=server.port) for entry in allow))
        url = f"http://away.test:{server.port}/"
        if open_:
            assert fetcher.get_json(url).status == 200
        else:
            assert refusal(fetcher, url) == "plain http is not allowed for this host"
    assert server.accepted == open_


@pytest.mark.parametrize("entry", ["https://a.test", "a.test/x", "a b", "10.0.0.1/8", "::1", "a:b"])
def test_odd_allow_entries_are_refused_at_start(entry: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|host bits|is no host"):
        outbound(entry)


# --- where a connection may go


@contextmanager
def no_connection() -> Iterator[list[tuple[str, int]]]:
    """Sockets that may not connect; yields where they were asked to."""
    asked: list[tuple[str, int]] = []

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        asked.append(address[:2])
        raise ConnectionRefusedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield asked


FORBIDDEN = """
0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1::
2002:a00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%lo fec0::1 ff02::1
"""

PUBLIC = """
1.1.1.1 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 191.255.255.255
192.0.1.1 198.17.255.255 198.20.0.1 223.255.255.255 2001:200::1 2606:4700:4700::1111 2a00:1450::1
"""


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_forbidden_addresses(address: str) -> None:
    with no_connection() as asked:
        fetcher = outbound(resolve=lambda _host, _port: [address])
        assert "forbidden address" in refusal(fetcher, "https://away.test/")
        assert asked == []


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_connected_to_as_checked(address: str) -> None:
    with no_connection() as asked:
        fetcher = outbound(resolve=lambda _host, _port: [address])
        assert refusal(fetcher, "https://away.test/") == "no connection"
        assert asked == [(address, 443)]


@pytest.mark.parametrize("order", [1, -1])
def test_one_forbidden_address_among_public_ones_is_enough(order: int) -> None:
    with no_connection() as asked:
        fetcher = outbound(resolve=lambda _host, _port: ["1.1.1.1", "10.0.0.1"][::order])
        assert "10.0.0.1" in refusal(fetcher, "https://away.test/")
        assert asked == []


SPELLINGS = """
127.0.0.1 127.1 127.0.1 0x7f000001 0x7f.0.0.1 0X7F.1 2130706433 017700000001 0177.0.0.1 127.0.0.1.
0 0.0.0.0 localhost LOCALHOST localhost. [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1]
[0:0:0:0:0:0:0:1] ①②⑦.0.0.1 127。0。0。1 127.0.0.1。 ⓛocalhost
"""


@pytest.mark.parametrize("host", SPELLINGS.split())
def test_no_spelling_of_loopback_reaches_a_sinkhole(host: str) -> None:
    """With the resolver of this system, on both address families and the same port."""
    with Server(answer()) as sinkhole:
        sixth = None
        with suppress(OSError):  # a machine without IPv6 still proves the rest
            sixth = socket.create_server(("::1", sinkhole.port), family=socket.AF_INET6)
        try:
            reason = refusal(Outbound(), f"https://{host}:{sinkhole.port}/")
            assert "forbidden address" in reason
            if sixth:
                sixth.setblocking(False)
                with pytest.raises(BlockingIOError):
                    sixth.accept()
        finally:
            if sixth:
                sixth.close()
    assert sinkhole.accepted == 0


def test_a_host_has_one_spelling_for_the_allow_list_and_for_the_wire() -> None:
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with Server(answer()) as server:
        fetcher = outbound("bücher.test", resolve=resolve)
        for host in ("BÜCHER.test", "xn--bcher-kva.test.", "bücher。test"):
            fetcher.get_json(f"http://{host}:{server.port}/")
        assert asked == ["xn--bcher-kva.test"] * 3
        assert all(f"Host: xn--bcher-kva.test:{server.port}\r\n" in head for head in server.heads)


def test_a_name_is_resolved_once_and_a_second_answer_has_no_effect() -> None:
    """DNS rebinding: first a public address, then loopback, where a sinkhole waits."""
    answers = [["1.1.1.1"], ["127.0.0.1"]]
    with no_connection() as asked:
        fetcher = outbound(resolve=lambda _host, _port: answers.pop(0))
        assert refusal(fetcher, "https://away.test/") == "no connection"
        assert asked == [("1.1.1.1", 443)]
    assert answers == [["127.0.0.1"]]


def test_a_host_that_does_not_resolve() -> None:
    def fail(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "secret name")

    for fetcher in (outbound(resolve=fail), outbound(resolve=lambda _host, _port: [])):
        assert refusal(fetcher, "https://away.test/") == "the host does not resolve"
    junk = outbound("away.test", resolve=lambda _host, _port: ["junk"])
    assert "no address" in refusal(junk, "https://away.test/")


def test_an_allowed_name_opens_only_itself() -> None:
    with no_connection() as asked:
        fetcher = outbound("home.test", "port.test:8443")
        for url in ("https://away.test/", "https://x.home.test/", "https://port.test/"):
            assert "forbidden" in refusal(fetcher, url)
        assert asked == []
        for url in ("https://home.test:1/", "https://port.test:8443/"):
            assert refusal(fetcher, url) == "no connection"
        assert asked == [("127.0.0.1", 1), ("127.0.0.1", 8443)]


def test_an_allowed_literal_address() -> None:
    with no_connection() as asked:
        fetcher = outbound("[::1]:8443", resolve=lambda host, _port: [host])
        assert refusal(fetcher, "https://[0::1]:8443/") == "no connection"
        assert "forbidden" in refusal(fetcher, "https://[::1]/")
        assert asked == [("::1", 8443)]


@pytest.mark.parametrize(
    ("addresses", "forbidden"),
    [
        (["10.1.2.3"], None),
        (["::ffff:10.1.2.3"], None),
        (["fd00::1"], None),
        (["10.1.2.3", "1.1.1.1"], None),
        (["10.2.0.1"], "10.2.0.1"),
        (["10.1.2.3", "127.0.0.1"], "127.0.0.1"),
        (["fd01::1"], "fd01::1"),
    ],
)
def test_an_allowed_network_opens_the_addresses_in_it(
    addresses: list[str], forbidden: str | None
) -> None:
    with no_connection() as asked:
        fetcher = outbound("10.1.0.0/16", "fd00::/16", resolve=lambda _host, _port: addresses)
        reason = refusal(fetcher, "https://away.test/")
        if forbidden:
            assert reason == f"the host resolves to a forbidden address, {forbidden}"
            assert asked == []
        else:
            assert reason == "no connection"
            unmapped = [address.removeprefix("::ffff:") for address in addresses]
            assert [host for host, _ in asked] == unmapped


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with Server(answer(), at="127.0.0.2") as server:
        fetcher = outbound("away.test", resolve=lambda _host, _port: ["127.0.0.1", "127.0.0.2"])
        assert fetcher.get_json(f"http://away.test:{server.port}/").status == 200


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answer(b"[1]")) as proxy, Server(answer(b"[2]")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fetched = outbound("away.test").get_json(f"http://away.test:{server.port}/")
    assert fetched.json == [2]
    assert proxy.accepted == 0


# --- TLS


def certificate(folder: Path, *names: x509.GeneralName) -> tuple[Path, ssl.SSLContext]:
    """A CA, its bundle, and a server context with a certificate for the names."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(ca_name, subject, public, x509.random_serial_number())
        return (
            builder.not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(authority, critical=False)
        )

    usage = [name in ("key_cert_sign", "crl_sign") for name in USAGES]
    ca = (
        build(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**dict(zip(USAGES, usage, strict=True))), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .sign(ca_key, hashes.SHA256())
    )
    # The common name is right in each case: only the alternative names may count.
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "away.test")])
    leaf = (
        build(common, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    bundle, pair = folder / "ca.pem", folder / "server.pem"
    bundle.write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair.write_bytes(private + leaf.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    return bundle, context


USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def test_https_with_the_name_in_sni_host_and_certificate(tmp_path: Path) -> None:
    bundle, context = certificate(tmp_path, x509.DNSName("away.test"))
    with Server(answer(b"[7]"), context) as server:
        fetcher = outbound("127.0.0.0/8", ca=bundle)
        assert fetcher.get_json(f"https://away.test.:{server.port}/jwks").json == [7]
        assert server.names == ["away.test"]
        assert server.heads[0].startswith("GET /jwks HTTP/1.1\r\n")
        assert f"\r\nHost: away.test:{server.port}\r\n" in server.heads[0]


def test_https_to_a_literal_address(tmp_path: Path) -> None:
    bundle, context = certificate(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))
    with Server(answer(), context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        assert outbound("127.0.0.1", ca=bundle).get_json(url).status == 200


@pytest.mark.parametrize(
    "name", [x509.DNSName("other.test"), x509.IPAddress(ip_address("127.0.0.1"))]
)
def test_a_certificate_for_another_name_is_refused(tmp_path: Path, name: x509.GeneralName) -> None:
    """Not even the address that is connected to will do in place of the name."""
    bundle, context = certificate(tmp_path, name)
    with Server(answer(), context) as server:
        fetcher = outbound("away.test", ca=bundle)
        reason = refusal(fetcher, f"https://away.test:{server.port}/")
        assert reason.startswith("certificate refused: Hostname mismatch")
    assert server.heads == []


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    _, context = certificate(tmp_path, x509.DNSName("away.test"))
    with Server(answer(), context) as server:
        reason = refusal(outbound("away.test"), f"https://away.test:{server.port}/")
        assert reason.startswith("certificate refused: ")
    assert server.heads == []


def test_tls_to_a_server_that_speaks_none() -> None:
    with Server(lambda to: to.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), raw=True) as server:
        reason = refusal(outbound("away.test"), f"https://away.test:{server.port}/")
        assert reason == "connection failed: SSLError"


# --- what an answer may be


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"])
def test_redirects_are_not_followed(status: str) -> None:
    with Server(answer()) as inside:
        location = f"Location: http://away.test:{inside.port}/"
        reason = refused(answer(b"{}", location, status=status))
    assert reason == f"redirects are not followed (status {status[:3]})"
    assert inside.accepted == 0


@pytest.mark.parametrize(
    "status", ["201 Created", "204 No Content", "206 Partial", "404 No", "500 X"]
)
def test_other_statuses_are_refused(status: str) -> None:
    assert refused(answer(status=status)) == f"status {status[:3]}"


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "text/json", "application/jsonp", "application/x", "application/+json", ""),
        *("application/json, text/html", "xapplication/json", "application/a/b+json"),
    ],
)
def test_other_types_are_refused(kind: str) -> None:
    assert refused(answer(kind=kind)) == "the answer is not of a JSON type"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{} x", b'"\xff"', b"NaN", b"[-Infinity]", b"[" * 60000, b"9" * 5000],
    ids=lambda body: str(body[:8]),
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    assert refused(answer(body)) == "the answer is not JSON"


def test_a_body_over_the_limit_is_refused_with_and_without_a_length() -> None:
    body = b'"' + b"x" * (LIMIT - 1) + b'"'
    too_large = f"the answer is larger than {LIMIT} bytes"
    assert refused(answer(body)) == too_large
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
    assert refused(lambda to: to.sendall(head + body)) == too_large


def test_no_more_than_the_limit_is_read_of_an_endless_body() -> None:
    sent = 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(10_000):
            sent += connection.send(b"x" * 10_000)

    assert refused(serve) == f"the answer is larger than {LIMIT} bytes"
    assert sent < 50_000_000


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60000 + b"\r\n"),
        (CHUNKED, b"1" + b";x" * 30000 + b"\r\n \r\n"),
        (CHUNKED + b"2\r\n[]\r\n0\r\n", b"X: " + b"y" * 60000 + b"\r\n"),
    ],
    ids=["interim answers", "headers", "chunk extensions", "trailers"],
)
def test_heads_and_framing_without_end_are_refused(prefix: bytes, line: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(prefix)
        for _ in range(10_000_000 // len(line)):
            connection.sendall(line)

    assert refused(serve) == "the answer's head and framing are too large"


def test_a_compressed_body_is_refused_unread() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    assert len(bomb) < LIMIT
    assert refused(answer(bomb, "Content-Encoding: gzip")) == "the answer has a content encoding"
    assert fetch(answer(b"{}", "Content-Encoding: Identity")).json == {}


def test_an_answer_cut_short_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    assert refused(lambda to: to.sendall(head + b"{}")).startswith("connection failed: ")


@pytest.mark.parametrize("noise", [b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_not_http_is_refused(noise: bytes) -> None:
    assert refused(lambda to: to.sendall(noise)).startswith("connection failed: ")


# --- time


class Hand:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"],
    ids=["head", "body"],
)
def test_a_slow_drip_ends_at_the_deadline(head: bytes) -> None:
    """Each byte comes in good time; all of them together do not."""
    hand, sent = Hand(), 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(head)
        for byte in b"HTTP/1.1 2":
            hand.now += 1
            connection.sendall(bytes([byte]))
            sent += 1
        connection.recv(1)  # never ends the answer: only the client can end this

    with Server(serve) as server:
        fetcher = outbound("away.test", clock=hand)
        began = time.monotonic()
        reason = refusal(fetcher, f"http://away.test:{server.port}/")
        assert reason == "took longer than 5 s"
        assert time.monotonic() - began < 3, "by the injected clock, not by a socket's own"
    assert sent > 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server_gets_what_is_left_of_the_time(scheme: str) -> None:
    """The resolver took most of it; connecting, handshake and waiting do not begin anew."""
    hand = Hand()

    def resolve(_host: str, _port: int) -> list[str]:
        hand.now += 4.9
        return ["127.0.0.1"]

    def say_nothing(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with Server(say_nothing, raw=True) as server:
        fetcher = outbound("away.test", resolve=resolve, clock=hand)
        began = time.monotonic()
        reason = refusal(fetcher, f"{scheme}://away.test:{server.port}/")
        assert reason == "took longer than 5 s"
        assert time.monotonic() - began < 1


def test_a_server_that_falls_silent_gets_what_is_left_of_the_time() -> None:
    hand = Hand()

    def serve(connection: socket.socket) -> None:
        hand.now += 4.9
        connection.sendall(CHUNKED)
        connection.recv(1)

    with Server(serve) as server:
        began = time.monotonic()
        fetcher = outbound("away.test", clock=hand)
        assert refusal(fetcher, f"http://away.test:{server.port}/") == "took longer than 5 s"
        assert time.monotonic() - began < 1


def test_a_slow_resolver_ends_at_the_deadline() -> None:
    release = threading.Event()
    daemons: list[bool] = []

    def resolve(_host: str, _port: int) -> list[str]:
        daemons.append(threading.current_thread().daemon)
        release.wait(5)
        return ["127.0.0.1"]

    began = time.monotonic()
    fetcher = outbound("away.test", resolve=resolve, timeout=0.05)
    assert refusal(fetcher, "https://away.test/") == "took longer than 0.05 s"
    assert time.monotonic() - began < 1
    assert daemons == [True], "a resolver that hangs must not keep the process from ending"
    release.set()


def test_no_time_is_left_after_a_resolver_that_used_it_all() -> None:
    hand = Hand()

    def resolve(_host: str, _port: int) -> list[str]:
        hand.now += 5
        return ["127.0.0.1"]

    with no_connection() as asked:
        fetcher = outbound("away.test", resolve=resolve, clock=hand)
        assert refusal(fetcher, "https://away.test/") == "took longer than 5 s"
        assert asked == []


def test_each_address_gets_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float | None] = []

    def connect(self: socket.socket, _: object) -> None:
        shares.append(self.gettimeout())
        raise TimeoutError

    monkeypatch.setattr(socket.socket, "connect", connect)
    resolve: Resolve = lambda _host, _port: ["1.1.1.1", "1.0.0.1"]  # noqa: E731
    fetcher = outbound(resolve=resolve, clock=Hand())
    assert refusal(fetcher, "https://away.test/") == "no connection"
    assert shares == [2.5, 5.0]
