"""Interactions at rest: sealed values in Ephemeral, changed only by compare-and-swap.

An interaction that was used up cannot come back: `save` writes over exactly what was read. They
are sealed because they hold what nobody else may read: the code that was sent, the seed that is
being enrolled.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter

from idp.model import Interaction
from idp.ports import Ephemeral, Sealing

_codec = TypeAdapter(Interaction)


@dataclass(frozen=True, slots=True)
class Stored:
    """An interaction and the bytes it was read from."""

    interaction: Interaction
    raw: bytes = field(repr=False)


class Interactions:
    def __init__(self, ephemeral: Ephemeral, sealing: Sealing, ttl: timedelta) -> None:
        self._ephemeral = ephemeral
        self._sealing = sealing
        self._ttl = ttl

    def add(self, interaction: Interaction) -> Stored:
        key = _key(interaction.id)
        raw = self._sealing.seal(_codec.dump_json(interaction), key)
        self._ephemeral.put(key, raw, self._ttl)
        return Stored(interaction, raw)

    def get(self, interaction_id: str) -> Stored | None:
        key = _key(interaction_id)
        raw = self._ephemeral.get(key)
        return None if raw is None else Stored(self._open(raw, key), raw)

    def save(self, before: Stored, after: Interaction) -> Stored | None:
        """The new value, or None when another request changed or used it up meanwhile."""
        if after == before.interaction:
            return before
        key = _key(after.id)
        raw = self._sealing.seal(_codec.dump_json(after), key)
        if self._ephemeral.put(key, raw, self._ttl, expect=before.raw):
            return Stored(after, raw)
        return None

    def take(self, interaction_id: str) -> Interaction | None:
        """Use it up: one caller gets it. What stays behind says that it was finished."""
        key = _key(interaction_id)
        raw = self._ephemeral.take(key)
        if raw is None:
            return None
        self._ephemeral.put(_finished_key(interaction_id), raw, self._ttl)
        return self._open(raw, key)

    def finished(self, interaction_id: str) -> Interaction | None:
        """The used-up interaction, for a page that says so; never a way to go on."""
        raw = self._ephemeral.get(_finished_key(interaction_id))
        return None if raw is None else self._open(raw, _key(interaction_id))

    def _open(self, raw: bytes, key: str) -> Interaction:
        return _codec.validate_json(self._sealing.open(raw, key))


def support_code(interaction_id: str) -> str:
    """What a person quotes to the help desk: leads to the interaction, reveals nothing."""
    digest = base64.b32encode(hashlib.sha256(interaction_id.encode()).digest()).decode()
    return f"{digest[:4]}-{digest[4:8]}"


def _key(interaction_id: str) -> str:
    return f"interaction:{interaction_id}"


def _finished_key(interaction_id: str) -> str:
    return f"finished:{interaction_id}"
