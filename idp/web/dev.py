"""/dev: the outbox and the movable clock. Registered in development mode only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from flask import Blueprint, Flask, jsonify, request
from werkzeug.wrappers import Response

from idp.errors import PageError
from idp.factors.base import N_
from idp.model import Message
from idp.web.errors import wants_json
from idp.web.theme import Theme, page

MAX_STEP = timedelta(days=3650)


class DevTools(Protocol):
    """What `idp dev` lends to its pages."""

    def messages(self) -> Sequence[tuple[datetime, Message]]: ...
    def now(self) -> datetime: ...
    def advance(self, step: timedelta) -> datetime: ...


def install(app: Flask, theme: Theme, tools: DevTools) -> None:
    pages = Blueprint("dev", __name__, url_prefix="/dev")

    @pages.get("/outbox")
    def outbox() -> Response:
        found = [
            {"kind": m.kind, "to": m.to, "text": m.text, "at": at.isoformat()}
            for at, m in tools.messages()
        ]
        if wants_json():
            return jsonify(found)
        return page(
            theme,
            "dev/outbox.html",
            page_id="outbox",
            messages=found,
            now=tools.now().isoformat(timespec="seconds"),
        )

    @pages.post("/clock")
    def clock() -> Response:
        body = request.get_json(silent=True)
        seconds = body.get("advance") if isinstance(body, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise PageError(
                "invalid_request",
                N_('Send JSON such as {"advance": 30}.'),
                action=N_("POST the number of seconds to move the clock by."),
            )
        if abs(seconds) > MAX_STEP.total_seconds():
            raise PageError(
                "invalid_request",
                N_("Ten years at most."),
                action=N_("Move the clock by less."),
            )
        return jsonify({"now": tools.advance(timedelta(seconds=seconds)).isoformat()})

    app.register_blueprint(pages)
