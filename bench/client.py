"""A load client that costs little itself: raw sockets, kept alive, requests as bytes made ahead."""

import base64
import socket
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

HOST = "127.0.0.1"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """Every value of one header."""
        wanted = name.lower()
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [
            value.strip().decode("latin-1")
            for key, _, value in lines
            if key.decode("latin-1").lower() == wanted
        ]


class Connection:
    """One HTTP/1.1 connection. What is sent next waits for the answer to what was sent before."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self._socket.sendall
        self.close = self._socket.close

    def receive(self) -> Answer:
        data = self._more()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head, body = data[:end], data[end + 4 :]
        length = _length(head)
        while len(body) < length:
            body += self._more()
        return Answer(int(head[9:12]), head, body)

    def exchange(self, request: bytes) -> Answer:
        self.send(request)
        return self.receive()

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def _length(head: bytes) -> int:
    start = head.lower().find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    end = head.find(b"\r\n", start + 2)
    return int(head[start + 17 : end if end > 0 else len(head)])


@contextmanager
def connected(port: int, count: int) -> Iterator[Sequence[Connection]]:
    with ExitStack() as stack:
        connections = [Connection(port) for _ in range(count)]
        for connection in connections:
            stack.callback(connection.close)
        yield connections


def pump(connections: Sequence[Connection], requests: Iterable[bytes]) -> list[bytes]:
    """Send all of them, one at a time on each connection; the bodies, in order.

    Each connection has its next request as soon as its answer is read, so a server that is slower
    than this client never waits. Raises RuntimeError for an answer other than 200: what fails
    fast must not look fast.
    """
    waiting = iter(requests)
    turns: deque[Connection] = deque()
    for connection, request in zip(connections, waiting, strict=False):
        connection.send(request)
        turns.append(connection)
    bodies: list[bytes] = []
    while turns:
        connection = turns.popleft()
        answer = connection.receive()
        request = next(waiting, b"")
        if request:
            connection.send(request)
            turns.append(connection)
        if answer.status != 200:
            raise RuntimeError(f"unexpected answer: {answer.head!r} {answer.body[:300]!r}")
        bodies.append(answer.body)
    return bodies


def get(host: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    return _request("GET", host, path, headers or {}, b"")


def post(
    host: str, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> bytes:
    body = urlencode(form).encode()
    typed = {"Content-Type": FORM, "Content-Length": str(len(body)), **(headers or {})}
    return _request("POST", host, path, typed, body)


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _request(verb: str, host: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{verb} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
