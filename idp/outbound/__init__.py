"""The one way out: every HTTP request that the provider itself makes.

URLs come from strangers (client metadata, registration), so this file decides where a connection
may go. A name is resolved once, every address it has is checked, and the connection is made to a
checked address, while SNI, the certificate check and Host keep the name: a second answer of the
DNS has no effect. Numeric and international spellings of a host get no reading of their own here;
they go through the resolver and then the check. Redirects and proxies are never followed.

The operator's allow list opens what is otherwise forbidden. An entry is
- `host` or `host:port`: this name may be used whatever it resolves to, and over plain http;
- a network such as `10.0.0.0/8`: addresses in it may be used, over https.
"""

import http.client
import ipaddress
import json
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from urllib3 import exceptions
from urllib3.connection import HTTPConnection
from urllib3.response import BaseHTTPResponse

from idp.outbound.wire import Budget, Clock, Connection, OutboundError, TlsConnection

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

# Listed here, since what `ipaddress` calls private differs between patch releases of Python.
FORBIDDEN_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's platform endpoint: public by number, internal by nature
    )
)
# Of IPv6 only global unicast is open: NAT64, mapped, local and multicast forms are all outside it.
GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
FORBIDDEN_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    # Teredo and other protocol assignments, documentation (twice), 6to4. The tunnels embed an
    # IPv4 address; no public service is left behind them, so none is taken apart and judged.
    for network in ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16")
)
HOST: Final = re.compile(r"[a-z0-9._:-]{1,253}")
ALLOWED: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][:/@\s]+)(?::(\d{1,5}))?", re.ASCII)
JSON_TYPE: Final = re.compile(r"application/(json|[a-z0-9!#$&^_.+-]+\+json)")
MAX_AGE: Final = re.compile(r"""(?:^|[\s,])max-age="?(\d+)"?(?=[\s,]|$)""", re.ASCII | re.I)
NO_STORE: Final = re.compile(r"(?:^|[\s,])no-store(?=[\s,]|$)", re.I)
JSON: Final = "application/json"
BASE_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "idp",
}
AGE_CEILING: Final = 2**31  # RFC 9111, 1.2.2: what to read a larger number as


@dataclass(frozen=True)
class Fetched:
    """An answer that was accepted: status 200, within all limits, of the type asked for."""

    status: int
    body: bytes
    content_type: str
    """The media type alone, in lower case."""
    max_age: timedelta | None
    """How long it may be kept (`no-store`: zero), or None when the answer does not say."""


@dataclass(frozen=True)
class FetchedJson(Fetched):
    json: object
    """The parsed body; its shape is the caller's to check."""


def system_resolver(host: str, port: int) -> list[str]:
    """All addresses that the operating system has for a name, in its order of preference."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@lru_cache(maxsize=8)
def _trusting(ca_bundle: Path | None) -> ssl.SSLContext:
    """Reading the system's authorities takes 20 ms, so it is done once in a process."""
    tls = ssl.create_default_context(cafile=ca_bundle)
    tls.hostname_checks_common_name = False  # RFC 9525, 2: only subjectAltName counts
    return tls


class Outbound:
    """Fetches documents that strangers point to. One instance serves all threads."""

    def __init__(
        self,
        *,
        ca_bundle: Path | None = None,
        allow: Sequence[str] = (),
        timeout: timedelta = timedelta(seconds=5),
        limit: int = 65536,
        resolve: Resolve = system_resolver,
        clock: Clock = time.monotonic,
    ) -> None:
        """`ca_bundle` replaces the system's; raises ValueError for an odd `allow` entry."""
        self._tls = _trusting(ca_bundle)
        self._networks = [ipaddress.ip_network(entry) for entry in allow if "/" in entry]
        self._names = {_parse_allowed(entry) for entry in allow if "/" not in entry}
        self._timeout = timeout
        self._limit = limit
        self._resolve = resolve
        self._clock = clock

    def get_json(self, url: str) -> FetchedJson:
        """GET a JSON document, or raise OutboundError."""
        headers = {"Accept": "application/json, application/*+json"}
        with self._opened(url) as (connection, target):
            fetched = self._exchange(connection, target, headers)
        return FetchedJson(**vars(fetched), json=_parse_json(fetched.body))

    def post_json(self, url: str, document: object, headers: Mapping[str, str]) -> int:
        """POST a JSON document; the status, 2xx. Raises OutboundError for any other, and for an
        answer that does not come in time. What the answer says is not read."""
        body = json.dumps(document).encode()
        with self._opened(url) as (connection, target):
            sent = {**BASE_HEADERS, **headers, "Host": target.authority, "Content-Type": JSON}
            connection.request("POST", target.path, body, headers=sent, preload_content=False)
            with closing(connection.getresponse()) as response:
                status: int = response.status
        if not 200 <= status < 300:
            raise OutboundError(f"status {status}")
        return status

    @contextmanager
    def _opened(self, url: str) -> Iterator[tuple[HTTPConnection, "_Target"]]:
        """A connection to a checked address, under one budget; what goes wrong with it is an
        OutboundError."""
        budget = Budget(self._clock, self._timeout, self._limit)
        target = _Target.parse(url)
        named = not self._names.isdisjoint({(target.host, None), (target.host, target.port)})
        if not (target.tls or named):
            raise OutboundError("plain http is not allowed for this host")
        addresses = self._look_up(target, budget)
        if not named:
            self._check(addresses)
        try:
            with closing(self._connect(target, addresses, budget)) as connection:
                yield connection, target
        except (TimeoutError, exceptions.TimeoutError):
            budget.overrun()
        except ssl.SSLCertVerificationError as error:
            raise OutboundError(f"certificate refused: {error.verify_message}") from error
        except (OSError, http.client.HTTPException, exceptions.HTTPError) as error:
            raise OutboundError(f"connection failed: {type(error).__name__}") from error

    def _look_up(self, target: "_Target", budget: Budget) -> list[Address]:
        """Ask the resolver, once. In a thread, since the system's own has no time limit."""
        answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(target.host, target.port))
            except (OSError, ValueError):
                answers.put([])

        threading.Thread(target=ask, daemon=True).start()
        try:
            addresses = [_parse_address(text) for text in answers.get(timeout=budget.left())]
        except queue.Empty:
            budget.overrun()
        if not addresses:
            raise OutboundError("the host does not resolve")
        return addresses

    def _check(self, addresses: list[Address]) -> None:
        for address in addresses:
            if not _is_public(address) and not any(address in net for net in self._networks):
                raise OutboundError(f"the host resolves to a forbidden address, {address}")

    def _connect(
        self, target: "_Target", addresses: list[Address], budget: Budget
    ) -> HTTPConnection:
        """Connect to the first address that answers; each gets its share of the time left."""
        for index, address in enumerate(addresses):
            connection = self._connection(target, str(address))
            connection.budget = budget
            connection.timeout = budget.left() / (len(addresses) - index)
            try:
                connection.connect()
            except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError):
                connection.close()
            else:
                return connection
        raise OutboundError("no connection")

    def _connection(self, target: "_Target", address: str) -> Connection:
        if not target.tls:
            return Connection(address, target.port)
        # No assert_hostname: urllib3 would switch off OpenSSL's own check of server_hostname.
        return TlsConnection(
            address, target.port, server_hostname=target.host, ssl_context=self._tls
        )

    def _exchange(
        self, connection: HTTPConnection, target: "_Target", accept: Mapping[str, str]
    ) -> Fetched:
        headers = {**BASE_HEADERS, **accept, "Host": target.authority}
        connection.request("GET", target.path, headers=headers, preload_content=False)
        with closing(connection.getresponse()) as response:
            content_type = _accept(response)
            body = b""
            while chunk := response.read(self._limit + 1 - len(body), decode_content=False):
                body += chunk
                if len(body) > self._limit:
                    raise OutboundError(f"the answer is larger than {self._limit} bytes")
            max_age = _parse_max_age(response.headers.get("Cache-Control", ""))
            return Fetched(response.status, body, content_type, max_age)


@dataclass(frozen=True)
class _Target:
    """The parts of a URL that a request is made of; nothing else of the URL is used."""

    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "_Target":
        # urlsplit drops tabs and newlines in silence and reads a backslash as a letter.
        if re.search(r"[\x00-\x20\x7f\\]", url) or len(url) > 2048:
            raise OutboundError("the URL is too long or holds spaces, controls or backslashes")
        if "#" in url:
            raise OutboundError("the URL has a fragment")
        try:
            parts = urlsplit(url)
            if "@" in parts.netloc:
                raise OutboundError("the URL has user information")
            host, port = _parse_host(parts.hostname or ""), parts.port
        except ValueError:
            raise OutboundError("the URL is malformed") from None
        if parts.scheme not in {"https", "http"}:
            raise OutboundError("the URL is not https")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii():
            raise OutboundError("the URL is malformed")
        tls = parts.scheme == "https"
        return cls(tls, host, port if port is not None else _default_port(tls), path)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.tls) else f"{host}:{self.port}"


def _default_port(tls: bool) -> int:
    return 443 if tls else 80


def _parse_host(text: str) -> str:
    """One spelling per host: A-labels, lower case, no final dot; ValueError for anything else."""
    try:
        host = str(ipaddress.ip_address(text))
    except ValueError:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    if not HOST.fullmatch(host):
        raise ValueError("not a host")
    return host


def _parse_allowed(entry: str) -> tuple[str, int | None]:
    found = ALLOWED.fullmatch(entry)
    if not found:
        raise ValueError(f"allow entry {entry!r} is no host, host:port, [IPv6] or network")
    return _parse_host(found[1].strip("[]")), int(found[2]) if found[2] else None


def _parse_address(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise OutboundError("the host resolves to something that is no address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in FORBIDDEN_V4)
    return address in GLOBAL_V6 and not any(address in network for network in FORBIDDEN_V6)


def _accept(response: BaseHTTPResponse) -> str:
    """Refuse an answer by its head, before its body is read; return its media type."""
    if 300 <= response.status < 400:
        raise OutboundError(f"redirects are not followed (status {response.status})")
    if response.status != http.client.OK:
        raise OutboundError(f"status {response.status}")
    # Asked for identity: anything else is not decoded, so no small body becomes a large one.
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise OutboundError("the answer has a content encoding")
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not JSON_TYPE.fullmatch(content_type):
        raise OutboundError("the answer is not of a JSON type")
    return content_type


def _parse_max_age(cache_control: str) -> timedelta | None:
    if NO_STORE.search(cache_control):
        return timedelta(0)
    found = MAX_AGE.search(cache_control)
    if not found:
        return None
    digits = found[1].lstrip("0")
    return timedelta(seconds=min(int(digits[:11] or "0"), AGE_CEILING))


def _parse_json(body: bytes) -> object:
    def refuse(_: str) -> NoReturn:
        raise ValueError("not a JSON number")

    try:
        parsed: object = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise OutboundError("the answer is not JSON") from None
    return parsed
