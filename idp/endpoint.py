"""A request and a response as values: what protocol endpoints take and return.

`web` makes the one from HTTP and writes the other, with Flask or without; tests make both by
hand. Nothing here knows a framework.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from idp.errors import OAuthError

MAX_PARAMETERS = 100
FORM = "application/x-www-form-urlencoded"
JSON = (("Content-Type", "application/json"),)
_encode = json.JSONEncoder(separators=(",", ":")).encode
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

Parameters = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are lower case. `remote` is the client's address, proxies settled."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    remote: str = ""
    peer: bytes | None = field(default=None, repr=False)

    def form(self) -> Parameters:
        """The body of a POST. Raises OAuthError `invalid_request` for anything but a form."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != FORM:
            raise OAuthError("invalid_request", f"Send the parameters as {FORM}.")
        try:
            return parse(self.body.decode("ascii"))
        except UnicodeDecodeError:
            raise OAuthError("invalid_request", "The body is not form-encoded.") from None


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


def parse(encoded: str) -> Parameters:
    """Parameters with all their values; an empty value counts as omitted (RFC 6749 section 3.1).

    Raises OAuthError `invalid_request` for bad UTF-8, bad escapes or too many parameters.
    """
    try:
        pairs = parse_qsl(
            encoded,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except (UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request", "The parameters cannot be decoded.") from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if value:
            found[name] = (*found.get(name, ()), value)
    return found


def single(parameters: Parameters, *, repeatable: frozenset[str] = frozenset()) -> dict[str, str]:
    """One value per name. Raises OAuthError for a repeated one (RFC 6749 section 3.1)."""
    values: dict[str, str] = {}
    for name, given in parameters.items():
        if len(given) > 1 and name not in repeatable:
            raise OAuthError(
                "invalid_request", "A parameter is repeated.", parameter=name[:64], detail=name[:64]
            )
        values[name] = given[0]
    return values


def json_response(
    status: int, body: Mapping[str, Any], *, headers: tuple[tuple[str, str], ...] = NO_STORE
) -> Response:
    return Response(status, (*JSON, *headers), _encode(body).encode())
