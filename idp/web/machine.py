"""Endpoints that no browser page needs, straight on WSGI: token, introspection, revocation,
userinfo, JWKS, discovery. Own headers, body limit, failure limit and errors; no cookie, no page.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from idp import events
from idp.endpoint import NO_STORE, Request, Response, json_response
from idp.errors import Busy, IdpError, cause
from idp.flow.interactions import support_code
from idp.ports import Clock
from idp.web.remote import Network, remote

Endpoint = Callable[[Request], Response]
Observe = Callable[[str, int, float], None]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

HSTS = "max-age=63072000; includeSubDomains"
_SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Referrer-Policy", "no-referrer"),
)
_HEADERS = (
    ("HTTP_AUTHORIZATION", "authorization"),
    ("CONTENT_TYPE", "content-type"),
    ("HTTP_IF_NONE_MATCH", "if-none-match"),
    ("HTTP_ORIGIN", "origin"),
    ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "access-control-request-method"),
)
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_SLOW_DOWN = json_response(
    429,
    {"error": "temporarily_unavailable", "error_description": "Too many failures. Slow down."},
    headers=(*NO_STORE, ("Retry-After", "60")),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `cors`: "none", "listed" origins only, or "any" for public documents."""

    name: str
    endpoint: Endpoint
    methods: tuple[str, ...]
    cors: str = "none"


class Machine:
    """Runs one route for one WSGI request."""

    def __init__(
        self,
        *,
        trusted_proxies: Sequence[Network],
        max_body: int,
        cors_origins: Iterable[str],
        failure_rate: str,
        secure: bool,
        observe: Observe,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        self._trusted = tuple(trusted_proxies)
        self._max_body = max_body
        self._origins = frozenset(cors_origins)
        self._failures = FailureLimit(failure_rate)
        self._observe = observe
        self._bus = bus
        self._clock = clock
        hsts = (("Strict-Transport-Security", HSTS),)
        self._security = (*_SECURITY, *(hsts if secure else ()))

    def __call__(
        self, route: Route, environ: Mapping[str, Any], start_response: StartResponse
    ) -> list[bytes]:
        began = time.perf_counter()
        response = self._respond(route, environ)
        headers = [*response.headers, *self._security]
        headers += self._cors(route, environ)
        headers.append(("Content-Length", str(len(response.body))))
        start_response(_STATUS[response.status], headers)
        self._observe(route.name, response.status, time.perf_counter() - began)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]

    def _respond(self, route: Route, environ: Mapping[str, Any]) -> Response:
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS" and route.cors != "none":
            return Response(204, (("Allow", ", ".join(route.methods)),))
        if ("GET" if method == "HEAD" else method) not in route.methods:
            return Response(405, (("Allow", ", ".join(route.methods)), *NO_STORE))
        try:
            request = self._request(method, environ)
            if self._failures.blocked(request.remote):
                return _SLOW_DOWN
            response = route.endpoint(request)
            if response.status == HTTPStatus.UNAUTHORIZED:
                self._failures.count(request.remote)
        except Busy as busy:
            return _busy(busy)
        except IdpError as error:
            return json_response(
                error.status, {"error": error.code, "error_description": error.public}
            )
        except Exception as problem:  # noqa: BLE001 - whatever it is, the answer says nothing of it
            return self._failed(environ, problem)
        return response

    def _request(self, method: str, environ: Mapping[str, Any]) -> Request:
        body = b""
        if method == "POST":
            body = read_body(environ, self._max_body)
        headers = {name: environ[key] for key, name in _HEADERS if environ.get(key)}
        return Request(
            method,
            environ["PATH_INFO"],
            environ.get("QUERY_STRING", ""),
            headers,
            body,
            remote(environ, self._trusted),
        )

    def _cors(self, route: Route, environ: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Fetch standard: public documents for everyone, the rest for listed origins."""
        origin = environ.get("HTTP_ORIGIN")
        if route.cors == "none" or not origin:
            return []
        if route.cors != "any" and origin not in self._origins:
            return [("Vary", "Origin")]
        allowed = "*" if route.cors == "any" else origin
        found = [("Access-Control-Allow-Origin", allowed), ("Vary", "Origin")]
        if environ["REQUEST_METHOD"] == "OPTIONS":
            found += [
                ("Access-Control-Allow-Methods", ", ".join(route.methods)),
                ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
                ("Access-Control-Max-Age", "600"),
            ]
        return found

    def _failed(self, environ: Mapping[str, Any], problem: Exception) -> Response:
        code = support_code(uuid4().hex)
        self._bus.emit(
            events.RequestFailed(
                at=self._clock(),
                support_code=code,
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                cause=cause(problem),
            )
        )
        text = f"Something went wrong here. Support code {code}."
        return json_response(500, {"error": "server_error", "error_description": text})


class FailureLimit:
    """Per-address budget of failed authentications; addresses without one cost a look-up."""

    def __init__(self, rate: str) -> None:
        self._limits = parse_many(rate)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._seen: set[str] = set()

    def count(self, remote_address: str) -> None:
        if len(self._seen) > 100_000:
            self._seen.clear()
        self._seen.add(remote_address)
        for limit in self._limits:
            self._limiter.hit(limit, remote_address)

    def blocked(self, remote_address: str) -> bool:
        if remote_address not in self._seen:
            return False
        return not all(self._limiter.test(limit, remote_address) for limit in self._limits)


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body. Raises IdpError 413 for more than `limit` bytes, 400 for a lying length."""
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared and not (declared.isascii() and declared.isdigit()):
        raise IdpError("invalid_request", 400, "Content-Length cannot be read.")
    if len(declared) > 18 or (declared and int(declared) > limit):  # int() refuses 4,301 digits
        raise IdpError("invalid_request", 413, "The body is too large.")
    body: bytes = environ["wsgi.input"].read(int(declared) if declared else limit + 1)
    if len(body) > limit:
        raise IdpError("invalid_request", 413, "The body is too large.")
    return body


def _busy(busy: Busy) -> Response:
    seconds = str(int(busy.retry_after.total_seconds()))
    return json_response(
        503,
        {"error": busy.code, "error_description": busy.public},
        headers=(*NO_STORE, ("Retry-After", seconds)),
    )
