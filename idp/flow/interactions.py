"""Interactions at rest: values in Ephemeral, changed only by compare-and-swap.

An interaction that was used up cannot come back: `save` writes over exactly what was read.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter

from idp.model import Interaction
from idp.ports import Ephemeral

_codec = TypeAdapter(Interaction)


@dataclass(frozen=True, slots=True)
class Stored:
    """An interaction and the bytes it was read from."""

    interaction: Interaction
    raw: bytes


class Interactions:
    def __init__(self, ephemeral: Ephemeral, ttl: timedelta) -> None:
        self._ephemeral = ephemeral
        self._ttl = ttl

    def add(self, interaction: Interaction) -> Stored:
        raw = _codec.dump_json(interaction)
        self._ephemeral.put(_key(interaction.id), raw, self._ttl)
        return Stored(interaction, raw)

    def get(self, interaction_id: str) -> Stored | None:
        raw = self._ephemeral.get(_key(interaction_id))
        return None if raw is None else Stored(_codec.validate_json(raw), raw)

    def save(self, before: Stored, after: Interaction) -> Stored | None:
        """The new value, or None when another request changed or used it up meanwhile."""
        raw = _codec.dump_json(after)
        if raw == before.raw:
            return before
        if self._ephemeral.put(_key(after.id), raw, self._ttl, expect=before.raw):
            return Stored(after, raw)
        return None

    def take(self, interaction_id: str) -> Interaction | None:
        """Use it up: one caller gets it. What stays behind says that it was finished."""
        raw = self._ephemeral.take(_key(interaction_id))
        if raw is None:
            return None
        self._ephemeral.put(_finished_key(interaction_id), raw, self._ttl)
        return _codec.validate_json(raw)

    def finished(self, interaction_id: str) -> Interaction | None:
        """The used-up interaction, for a page that says so; never a way to go on."""
        raw = self._ephemeral.get(_finished_key(interaction_id))
        return None if raw is None else _codec.validate_json(raw)


def support_code(interaction_id: str) -> str:
    """What a person quotes to the help desk: leads to the interaction, reveals nothing."""
    digest = base64.b32encode(hashlib.sha256(interaction_id.encode()).digest()).decode()
    return f"{digest[:4]}-{digest[4:8]}"


def _key(interaction_id: str) -> str:
    return f"interaction:{interaction_id}"


def _finished_key(interaction_id: str) -> str:
    return f"finished:{interaction_id}"
