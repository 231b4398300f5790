"""What the last form led to, shown once by the page after it (POST, redirect, GET)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import TypeAdapter

from idp.ports import Ephemeral

TTL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Notice:
    """`text` is marked with N_ and has %(name)s for `values`. Of a refusal, `about` names the field
    at fault and `typed` is what was typed, to be corrected; never a secret."""

    kind: Literal["good", "bad"]
    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    wait: int | None = None  # seconds until the next try


_codec = TypeAdapter(Notice)


class Notices:
    """One per session, for the next page that it opens."""

    def __init__(self, ephemeral: Ephemeral) -> None:
        self._ephemeral = ephemeral

    def put(self, session_id: str, notice: Notice) -> None:
        self._ephemeral.put(_key(session_id), _codec.dump_json(notice), TTL)

    def take(self, session_id: str) -> Notice | None:
        raw = self._ephemeral.take(_key(session_id))
        return None if raw is None else _codec.validate_json(raw)


def _key(session_id: str) -> str:
    return f"notice:{session_id}"
