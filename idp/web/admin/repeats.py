"""Requests that come twice: Idempotency-Key (draft-ietf-httpapi-idempotency-key-header).

What was answered is kept sealed for a day, since it may hold a secret that is shown once.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

from idp.ports import Ephemeral, Sealing
from idp.web.admin.problems import Kept, Problem

KEPT = timedelta(days=1)
UNDER_WAY = timedelta(minutes=2)
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Repeats:
    ephemeral: Ephemeral
    sealing: Sealing

    def begin(self, actor: str, key: str, request: bytes) -> Kept | None:
        """The answer of the first request with this key; None when this one is it. Raises Problem
        when the key was used for something else, or the first is still under way."""
        if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise Problem(400, "bad_idempotency_key", "An Idempotency-Key has 1 to 255 characters.")
        name, asked = _name(actor, key), hashlib.sha256(request).hexdigest()
        known = self.ephemeral.get(name)
        if known is not None:
            return self._known(name, known, asked)
        if self.ephemeral.once(f"{name}:begun", UNDER_WAY):
            return None
        known = self.ephemeral.get(name)
        if known is not None:
            return self._known(name, known, asked)
        raise Problem(409, "under_way", "The first request with this Idempotency-Key is under way.")

    def done(self, actor: str, key: str, request: bytes, kept: Kept) -> None:
        name = _name(actor, key)
        document = {
            "asked": hashlib.sha256(request).hexdigest(),
            "status": kept.status,
            "body": kept.body,
            "headers": dict(kept.headers),
        }
        sealed = self.sealing.seal(json.dumps(document).encode(), name)
        self.ephemeral.put(name, sealed, KEPT)

    def failed(self, actor: str, key: str) -> None:
        """Nothing was done: the key may be used again."""
        self.ephemeral.take(f"{_name(actor, key)}:begun")

    def _known(self, name: str, raw: bytes, asked: str) -> Kept:
        document = json.loads(self.sealing.open(raw, name))
        if document["asked"] != asked:
            raise Problem(
                422, "idempotency_key_reused", "This Idempotency-Key was used for something else."
            )
        return Kept(document["status"], document["body"], document["headers"])


def _name(actor: str, key: str) -> str:
    return "admin:once:" + hashlib.sha256(f"{actor}\0{key}".encode()).hexdigest()
