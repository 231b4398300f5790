"""What an operation is: the value from which its route, its checks and its description are made."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from idp.web.admin.problems import Problem

PREFIX = "/admin/v1"


class Body(BaseModel):
    """What is sent: unknown members are refused, so that no typo passes for a change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What is answered. Nothing that is secret is a member of any, but for what is shown once."""

    model_config = ConfigDict(frozen=True)

    @property
    def state(self) -> str:
        """What an ETag stands for."""
        return self.model_dump_json()

    @property
    def etag(self) -> str:
        """RFC 9110 section 8.8.3, strong."""
        return f'"{hashlib.sha256(self.state.encode()).hexdigest()[:32]}"'


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
    if_match: str | None = None

    def must_match(self, view: View) -> None:
        """RFC 9110 section 13.1.1, in the handler of what is guarded: shown the record that
        is about to be changed, while nobody else can change it. Raises Problem."""
        tags = {tag.strip() for tag in (self.if_match or "").split(",")}
        if "*" not in tags and view.etag not in tags:
            raise Problem(
                412, "changed_meanwhile", "It was changed since it was read. Read it again."
            )


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list; `last` is where the next one goes on, empty at the end."""

    items: tuple[View, ...]
    last: str = ""


Handler = Callable[[Call], View | Listed | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """`guarded`: If-Match is demanded, and its handler calls `must_match`. `tagged`: the answer is
    the state of one thing, and has an ETag. `once`: a repeated Idempotency-Key gets the first
    answer again."""

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
    tagged: bool = False

    @property
    def once(self) -> bool:
        return self.method == "POST"

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))
