"""One event of every type, filled by the types of its fields."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from idp import events

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
VALUES: dict[Any, Any] = {datetime: AT, int: 3, bool: True, tuple[str, ...]: ("a", "b")}


def leaves() -> list[type[events.Event]]:
    """Every type that happens: what no other type of the module derives from."""
    kinds = [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event)
    ]
    return [kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)]


def sample(kind: type[events.Event], **values: Any) -> Any:
    given = {field.name: VALUES.get(field.type, f"<{field.name}>") for field in fields(kind)}
    return kind(**{**given, **values})


def issued(n: int = 0) -> events.TokenIssued:
    return events.TokenIssued(
        at=AT,
        grant_type="client_credentials",
        client_id="shop",
        subject="agent",
        scopes=("a", "b"),
        jti=str(n),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaky(events.Event):
    """What no event should be: a field of every kind that must not come out."""

    raw: bytes = b"hush"
    client_secret: str = "hush"
    access_token: str = "hush"
    Password: int = 42
    code: tuple[str, ...] = ("hush",)
    support_code: str = "ABCD-EFGH"
    nested: Any = None
