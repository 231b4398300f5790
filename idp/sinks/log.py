"""The structured log: one JSON object per line on stderr, ours and third parties' alike.

Redaction lives here, for this sink and for the audit trail: bytes are never shown, nor is
anything whose name says that it is a secret. JSON encodes control characters, so one event is
one line whatever a client put into it.
"""

import json
import logging
import logging.config
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

from idp import events

REDACTED = "[redacted]"
SECRET_WORDS = ("secret", "token", "password", "code", "cookie", "private")
OPEN_NAMES = frozenset({"support_code"})
THIRD_PARTIES = ("_granian", "granian.access", "alembic", "werkzeug")

_SEVERITY: Mapping[type[events.Event], int] = {
    events.FactorFailed: logging.ERROR,
    events.RequestFailed: logging.ERROR,
    events.RefreshTokenReused: logging.WARNING,
    events.CodeReplayed: logging.WARNING,
    events.MessageFailed: logging.WARNING,
    events.SmsAlarm: logging.WARNING,
}
_BY_WEIGHT = {"now": logging.INFO, "batch": logging.DEBUG, "none": logging.DEBUG}

_logger = logging.getLogger("idp.events")
_shapes: dict[type[events.Event], tuple[str, tuple[str, ...]]] = {}


class LogSink:
    """One line per event; next to nothing when its severity is switched off."""

    def __call__(self, event: events.Event) -> None:
        level = _SEVERITY.get(type(event)) or _BY_WEIGHT[event.WEIGHT]
        if _logger.isEnabledFor(level):
            _logger.log(level, event_name(type(event)), extra={"idp_event": event})


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: an event by its fields, anything else by its message."""

    def format(self, record: logging.LogRecord) -> str:
        event: events.Event | None = getattr(record, "idp_event", None)
        line: dict[str, Any] = {
            "ts": _instant(datetime.fromtimestamp(record.created, UTC) if not event else event.at),
            "level": record.levelname.lower(),
        }
        if event is None:
            line |= {"event": "log", "logger": record.name, "message": record.getMessage()}
        else:
            line["event"] = event_name(type(event))
            line |= {n: plain(n, getattr(event, n)) for n in field_names(type(event))}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=True, allow_nan=False)


def configure(level: str) -> None:
    """Write what is at least as severe as `level` (debug | info | warning | error) to stderr."""
    logging.config.dictConfig(dict_config(level))


def dict_config(level: str) -> dict[str, Any]:
    """The same as data, for servers that configure logging themselves (granian)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            name: {"level": level.upper(), "handlers": [], "propagate": True}
            for name in THIRD_PARTIES
        },
    }


def event_name(kind: type[events.Event]) -> str:
    """`TokenIssued` -> `token_issued`."""
    return _shape(kind)[0]


def field_names(kind: type[events.Event]) -> tuple[str, ...]:
    """What an event says besides when."""
    return _shape(kind)[1]


def _shape(kind: type[events.Event]) -> tuple[str, tuple[str, ...]]:
    shape = _shapes.get(kind)
    if shape is None:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
        names = tuple(field.name for field in fields(kind) if field.name != "at")
        shape = _shapes[kind] = (name, names)
    return shape


def plain(name: str, value: object, text: Callable[[str], str] = str) -> Any:
    """A field as JSON types, without secrets: `text` has the last word on every string."""
    if value is None:
        return None
    if _secret(name) or isinstance(value, (bytes, bytearray, memoryview)):
        return REDACTED
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(name, item, text) for item in value]
    if isinstance(value, Mapping):
        return {text(str(key)): plain(str(key), item, text) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(name, item, text) for item in value), key=str)
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text(_words(value))


def _words(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, (float, date, UUID, PurePath)):
        return str(value)
    return f"<{type(value).__name__}>"  # its text is unknown, and could hold anything


@cache
def _secret(name: str) -> bool:
    folded = name.lower()
    return folded not in OPEN_NAMES and any(word in folded for word in SECRET_WORDS)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
