"""The log: one JSON line per record, no secrets, nothing done for what is switched off."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from granian.log import LogLevels, configure_logging

from idp import events
from idp.sinks.log import REDACTED, LogSink, configure, dict_config, event_name, plain
from tests.unit.sinks.samples import AT, Leaky, issued, leaves, sample


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before
    logging.getLogger("idp.events").setLevel(logging.NOTSET)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug")
    LogSink()(issued())
    assert lines(capsys) == [
        {
            "ts": "2026-01-01T12:00:00.123Z",
            "level": "debug",
            "event": "token_issued",
            "grant_type": "client_credentials",
            "client_id": "shop",
            "subject": "agent",
            "scopes": ["a", "b"],
            "jti": "0",
        }
    ]


def test_severities(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug")
    for kind in leaves():
        LogSink()(sample(kind))
    level = {line["event"]: line["level"] for line in lines(capsys)}
    assert level.pop("factor_failed") == level.pop("request_failed") == "error"
    for name in ("refresh_token_reused", "code_replayed", "message_failed", "sms_alarm"):
        assert level.pop(name) == "warning"
    assert {name for name, severity in level.items() if severity == "debug"} == {
        "interaction_started",
        "token_issued",
        "token_refused",
        "page_refused",
        "token_introspected",
        "user_info_served",
        "admin_refused",
    }
    assert set(level.values()) == {"debug", "info"}
    assert len(level) == len(leaves()) - 6


def test_what_is_switched_off_is_not_even_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("info")

    def never(*args: object, **more: object) -> None:
        raise AssertionError("made a record")

    monkeypatch.setattr(logging.getLogger("idp.events"), "log", never)
    LogSink()(issued())
    assert lines(capsys) == []


def test_no_secret_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    LogSink()(Leaky(at=AT, nested={"a": [{"refresh_token": "hush", "n": b"hush"}], "ok": 1}))
    (line,) = lines(capsys)
    assert "hush" not in json.dumps(line)
    assert "42" not in json.dumps(line)
    assert line["raw"] == line["client_secret"] == line["Password"] == line["code"] == REDACTED
    assert line["nested"] == {"a": [{"refresh_token": REDACTED, "n": REDACTED}], "ok": 1}
    assert line["support_code"] == "ABCD-EFGH"


def test_control_characters_stay_inside_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    nasty = 'a\r\n{"event":"forged"}\x00\x1b[2J\x7f\x85\u2028\ud800é'
    LogSink()(sample(events.CodeReplayed, client_id=nasty))
    raw = capsys.readouterr().err
    assert raw.count("\n") == 1
    assert raw.endswith("\n")
    assert all(" " <= c <= "~" for c in raw[:-1])
    assert json.loads(raw)["client_id"] == nasty


@pytest.mark.parametrize("name", ["_granian", "granian.access", "werkzeug", "alembic", "other"])
@pytest.mark.parametrize("by_granian", [False, True])
def test_third_parties_look_the_same(
    name: str, by_granian: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogLevels.info, dict_config("info") if by_granian else None)
    if not by_granian:
        configure("info")
    logging.getLogger(name).info("hello %s", "there\n")
    logging.getLogger(name).debug("unseen")
    (line,) = lines(capsys)
    assert datetime.fromisoformat(line.pop("ts")).tzinfo is not None
    assert line == {"level": "info", "event": "log", "logger": name, "message": "hello there\n"}


def test_tracebacks_are_one_field(capsys: pytest.CaptureFixture[str]) -> None:
    configure("error")
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("idp.web").exception("failed", stack_info=True)
    (line,) = lines(capsys)
    assert line["exception"].endswith("KeyError: 'gone'")
    assert line["stack"].startswith("Stack")


def test_plain() -> None:
    class Colour(Enum):
        RED = 1

    given = [None, True, 1, 1.5, float("nan"), Colour.RED, AT, date(2026, 1, 2)]
    shown = [None, True, 1, 1.5, "nan", "RED", "2026-01-01T12:00:00.123Z", "2026-01-02"]
    assert [plain("x", value) for value in given] == shown
    assert plain("x", {"b", "a"}) == ["a", "b"]
    assert plain("x", timedelta(minutes=1)) == "60 s"
    assert plain("x", UUID(int=1)).endswith("01")
    assert plain("x", object()) == "<object>"
    assert plain("x", {"k": "v"}, str.upper) == {"K": "V"}
    assert plain("secret", None) is None
    assert plain("at", datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_names() -> None:
    assert event_name(events.UserInfoServed) == "user_info_served"
    assert event_name(events.SessionEnded) == "session_ended"
