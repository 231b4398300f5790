"""How a frozen record becomes a row and comes back: a field is the column of the same name."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy import Column, Table

R = TypeVar("R")

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one field differs from what its column holds."""

    load: Callable[[Any], Any]
    dump: Callable[[Any], Any]


TUPLE = Shape(tuple, list)
SET = Shape(frozenset, sorted)
MAPPING = Shape(dict, dict)


class Mapped(Generic[R]):
    """A record and its table."""

    def __init__(self, record: type[R], table: Table, **shapes: Shape) -> None:
        names = [field.name for field in fields(cast("Any", record))]
        self._record: Callable[..., R] = record
        self._names = names
        self._shapes = shapes
        self._loads = [(names.index(name), shape.load) for name, shape in shapes.items()]
        self.columns: tuple[Column[Any], ...] = tuple(table.c[name] for name in names)

    def load(self, row: Sequence[Any]) -> R:
        """The record of a row that was selected as `columns`."""
        if not self._loads:
            return self._record(*row)
        values = list(row)
        for position, load in self._loads:
            values[position] = load(values[position])
        return self._record(*values)

    def dump(self, record: R) -> dict[str, Any]:
        values = {name: getattr(record, name) for name in self._names}
        for name, shape in self._shapes.items():
            values[name] = shape.dump(values[name])
        return values


def storable(text: str) -> bool:
    """Whether a database can hold it. What it cannot hold, it does not contain either.

    PostgreSQL refuses NUL with an error, and no UTF-8 has a lone surrogate: a stranger's text
    must not become a failure of the server.
    """
    return _UNSTORABLE.search(text) is None


def fitting(text: str | None, column: Column[Any]) -> str | None:
    """As much of it as the column can hold."""
    if text is None:
        return None
    length: int | None = getattr(column.type, "length", None)
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)[:length]
