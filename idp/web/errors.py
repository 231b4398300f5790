"""What a person sees when something is refused or breaks. The only renderer of errors for pages.

The page says what to do next and carries a support code; the cause goes to the event bus.
"""

import json
from uuid import uuid4

from flask import Flask, Response, request
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from idp import events
from idp.errors import Busy, IdpError, OAuthError, PageError, cause
from idp.factors.base import N_
from idp.flow.interactions import support_code
from idp.ports import Clock
from idp.web.theme import Theme, page

RETRY = N_("Try again. If it happens again, ask for help and quote the support code.")
LONGEST_PATH = 256
TITLE = N_("This did not work")
HTTP_TEXTS = {
    400: (N_("Your browser sent something that cannot be read."), RETRY),
    404: (
        N_("There is no page at this address."),
        N_("Go back to the application and start from there."),
    ),
    405: (
        N_("This page cannot be called in that way."),
        N_("Go back to the application and start from there."),
    ),
    413: (N_("What was sent is too large."), RETRY),
    429: (
        N_("There were too many tries from your network."),
        N_("Wait a minute, then try again."),
    ),
}

# Raised below the layer that may mark them, shown here.
SHOWN_HERE = (
    N_("The server is busy. Try again in a moment."),  # idp/errors.py
    N_("A parameter is repeated."),  # idp/endpoint.py, at /logout
    N_("Go back to the application."),  # idp/flow/engine.py
)


def wants_json() -> bool:
    """Native apps and tests ask for JSON; browsers never prefer it."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
    return best == "application/json"


def install(app: Flask, theme: Theme, bus: events.Bus, clock: Clock) -> None:
    def record(error: IdpError) -> str:
        """The support code of this refusal, by which the audit trail has its cause."""
        code = support_code(uuid4().hex)
        bus.emit(
            events.PageRefused(
                at=clock(),
                support_code=code,
                method=request.method,
                path=_path(),
                error=error.code,
                reason=error.detail or error.public,
            )
        )
        return code

    @app.errorhandler(IdpError)
    def refused(error: IdpError) -> Response:
        return show(theme, error, record(error))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        message, action = HTTP_TEXTS.get(status, (N_("Something went wrong."), RETRY))
        refusal = PageError("http_error", message, action=action, status=status)
        answer = show(theme, refusal, record(refusal))
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def failed(problem: Exception) -> Response:
        code = support_code(uuid4().hex)
        bus.emit(
            events.RequestFailed(
                at=clock(),
                support_code=code,
                method=request.method,
                path=_path(),
                cause=cause(problem),
            )
        )
        error = PageError(
            "server_error", N_("Something went wrong here."), action=RETRY, status=500
        )
        return show(theme, error, code)


def _path() -> str:
    """Where it happened, for the audit trail: of a link, only that it was one."""
    rule = "" if request.url_rule is None else request.url_rule.rule
    return rule if "<token>" in rule else request.path[:LONGEST_PATH]


def show(theme: Theme, error: IdpError, code: str) -> Response:
    """An error as a page, or as JSON for those who asked for it."""
    headers = {}
    if isinstance(error, Busy):
        headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
    if wants_json():
        body = {
            "error": error.code,
            "error_description": error.public,
            "support_code": code,
        }
        if isinstance(error, PageError):
            body["action"] = error.action
        return _json(body, error.status, headers)
    action = error.action if isinstance(error, PageError) else RETRY
    parameter = error.parameter if isinstance(error, PageError | OAuthError) else ""
    answer = page(
        theme,
        "error.html",
        error.status,
        page_id="error",
        support_code=code,
        title=_(TITLE),
        message=_(error.public),
        action_text=_(action),
        parameter=parameter or None,
        error=error.code,
        link=None,
        retry_after=int(headers["Retry-After"]) if headers else None,
    )
    answer.headers.extend(headers)
    return answer


def _json(body: dict[str, str], status: int, headers: dict[str, str]) -> Response:
    return Response(json.dumps(body), status, headers, mimetype="application/json")
