"""Errors of the admin API: application/problem+json (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Response

TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Violation:
    """`pointer` is a JSON pointer (RFC 6901) into what was sent."""

    pointer: str
    detail: str


class Problem(Exception):
    """`code` is stable, for programs; `detail` is for the one who reads the log of a program."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
        support_code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.violations = tuple(violations)
        self.headers = dict(headers or {})
        self.support_code = support_code

    def response(self) -> Response:
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.violations:
            document["errors"] = [
                {"pointer": v.pointer, "detail": v.detail} for v in self.violations
            ]
        if self.support_code:
            document["support_code"] = self.support_code
        answer = Response(json.dumps(document), self.status, mimetype=TYPE)
        answer.headers.update(self.headers)
        return answer


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept for who asks again."""

    status: int
    body: str = field(repr=False)
    headers: Mapping[str, str]
