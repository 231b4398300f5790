"""Runs an operation: who asks, what with, from which state, once; and what comes back.

A WSGI application of its own beside the pages: no cookie, no session, no page; JSON in and out.
"""

import base64
import json
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from idp import events
from idp.errors import Busy, IdpError, cause
from idp.flow.interactions import support_code
from idp.ports import Clock
from idp.web.admin.access import Access, Caller
from idp.web.admin.body import JSON, read
from idp.web.admin.operations import PREFIX, Call, Listed, Operation
from idp.web.admin.problems import Kept, Problem
from idp.web.admin.repeats import Repeats

MOST = 500  # of one page
USUAL = 100
CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    500: "server_error",
}

Observe = Callable[[str, int, float], None]


class Api:
    def __init__(
        self, access: Access, repeats: Repeats, issuer: str, address: Callable[[], str]
    ) -> None:
        self._access = access
        self._repeats = repeats
        self._base = issuer + PREFIX
        self._address = address

    def run(self, operation: Operation, path: dict[str, str]) -> Response:
        caller = self._access.caller(
            operation, request.headers.get("Authorization", ""), self._address()
        )
        call = self._call(operation, caller, path)
        key = request.headers.get("Idempotency-Key")
        if operation.once and key is not None:
            return self._once(operation, call, key)
        return self._answer(operation, call)

    def _call(self, operation: Operation, caller: Caller, path: dict[str, str]) -> Call:
        query = request.args.to_dict()
        known = {*operation.filters, *(("limit", "cursor") if operation.listed else ())}
        for name in request.args:
            if name not in known or len(request.args.getlist(name)) > 1:
                raise Problem(400, "bad_parameter", f"The parameter {name!r} is not known here.")
        limit, after = USUAL, ""
        if operation.listed:
            limit, after = _limit(query.pop("limit", None)), _after(query.pop("cursor", None))
        match = request.headers.get("If-Match")
        if operation.guarded and match is None:
            raise Problem(428, "if_match_needed", "Read it first, and send its ETag as If-Match.")
        body = None if operation.body is None else read(operation.body)
        return Call(caller.actor, caller.scopes, path, query, body, limit, after, match)

    def _once(self, operation: Operation, call: Call, key: str) -> Response:
        asked = f"{request.method} {request.path}\0".encode() + request.get_data()
        known = self._repeats.begin(call.actor, key, asked)
        if known is not None:
            return _again(known)
        try:
            answer = self._answer(operation, call)
        except BaseException:
            self._repeats.failed(call.actor, key)
            raise
        kept = Kept(answer.status_code, answer.get_data(as_text=True), _kept_headers(answer))
        self._repeats.done(call.actor, key, asked, kept)
        return answer

    def _answer(self, operation: Operation, call: Call) -> Response:
        found = operation.handler(call)
        if found is None:
            return Response(status=operation.status)
        if isinstance(found, Listed):
            return self._page(call, found)
        answer = _json(found.model_dump(mode="json"), operation.status)
        if operation.tagged:
            answer.headers["ETag"] = found.etag
            if operation.method == "GET" and _unchanged(found.etag):
                return Response(status=304, headers={"ETag": found.etag})
        if operation.status == 201:
            name = str(getattr(found, "id", None) or getattr(found, "client_id", ""))
            answer.headers["Location"] = f"{self._base}{operation.path}/{quote(name, safe='')}"
        return answer

    def _page(self, call: Call, found: Listed) -> Response:
        items = [item.model_dump(mode="json") for item in found.items]
        answer = _json({"items": items, "next": _cursor(found.last) or None}, 200)
        if found.last:
            target = f"{self._base}{request.path}?cursor={_cursor(found.last)}&limit={call.limit}"
            answer.headers["Link"] = f'<{target}>; rel="next"'
        return answer


def create_admin(
    operations: Sequence[Operation],
    api: Api,
    document: Callable[[], bytes],
    bus: events.Bus,
    clock: Clock,
    observe: Observe,
    max_body: int,
    hsts: str | None,
) -> Flask:
    app = Flask("idp.admin", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.config["MAX_CONTENT_LENGTH"] = max_body

    for operation in operations:
        rule = operation.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(
            rule,
            operation.id,
            _view(api, operation),
            methods=[operation.method],
            provide_automatic_options=False,
        )

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(document(), mimetype=JSON)

    @app.errorhandler(Problem)
    def refused(problem: Problem) -> Response:
        return problem.response()

    @app.errorhandler(IdpError)
    def service(error: IdpError) -> Response:
        headers = {}
        if isinstance(error, Busy):
            headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
        return Problem(error.status, error.code, error.public, headers=headers).response()

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        kept = {n: v for n, v in error.get_headers() if n in {"Allow", "Retry-After"}}
        status = HTTPStatus(error.code or 500)
        code = CODES.get(status, "http_error")
        return Problem(
            status, code, f"{status.description or status.phrase}.", headers=kept
        ).response()

    @app.errorhandler(Exception)
    def failed(problem: Exception) -> Response:
        code = support_code(uuid4().hex)
        bus.emit(
            events.RequestFailed(
                at=clock(),
                support_code=code,
                method=request.method,
                path=PREFIX + request.path,
                cause=cause(problem),
            )
        )
        return Problem(
            500, "server_error", "Something went wrong here.", support_code=code
        ).response()

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        elapsed = time.perf_counter() - g.began
        observe(request.endpoint or "unknown", response.status_code, elapsed)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        if hsts:
            response.headers["Strict-Transport-Security"] = hsts
        return response

    return app


def _view(api: Api, operation: Operation) -> Callable[..., Response]:
    def run(**path: str) -> Response:
        return api.run(operation, path)

    return run


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST):
        raise Problem(400, "bad_parameter", f"limit is a number from 1 to {MOST}.")
    return int(text)


def _cursor(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        after = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        after = ""
    if not after or "\0" in after or len(after) > 256:
        raise Problem(400, "bad_cursor", "Take the cursor from the page before.")
    return after


def _unchanged(etag: str) -> bool:
    """RFC 9110 section 13.1.2: compared weakly, since who compresses an answer weakens its tag."""
    given = request.headers.get("If-None-Match", "")
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags


def _json(document: Any, status: int) -> Response:
    return Response(json.dumps(document), status, mimetype=JSON)


def _kept_headers(answer: Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in ("Location", "ETag") if name in answer.headers}


def _again(kept: Kept) -> Response:
    answer = Response(kept.body, kept.status, mimetype=JSON)
    answer.headers.update(kept.headers)
    return answer
