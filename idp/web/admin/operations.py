"""What an operation is: the value from which its route, its checks and its description are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

ETag = str
PREFIX = "/admin/v1"


class Body(BaseModel):
    """What is sent: unknown members are refused, so that no typo passes for a change."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096)


class View(BaseModel):
    """What is answered. Nothing that is secret is a member of any, but for what is shown once."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: `body` is the operation's model. `actor` is the client that asks;
    `scopes` are those that its token carries."""

    actor: str
    scopes: frozenset[str]
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list; `last` is where the next one goes on, empty at the end."""

    items: tuple[View, ...]
    last: str = ""


Handler = Callable[[Call], View | Listed | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """`guarded`: what may have changed since it was read needs If-Match; `read` gives the state.
    `once`: a repeated Idempotency-Key gets the first answer again."""

    id: str
    method: str
    path: str
    scope: str
    summary: str
    handler: Handler
    body: type[Body] | None = None
    answer: type[View] | None = None
    status: int = 200
    listed: bool = False
    filters: tuple[str, ...] = ()
    guarded: bool = False
    read: Handler | None = None

    @property
    def once(self) -> bool:
        return self.method == "POST"

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))
