"""How commands print: plain lines for people, or one JSON document for programs.

What a stranger chose (a name, a client's text) reaches a terminal without control characters.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import click

PROBLEMS = 4  # exit code of a check that found some
UNREADABLE = 3  # exit code for a configuration that cannot be used
PAGE = 100

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class _Page(Protocol[T_co]):
    def __call__(self, *, after: str = "", limit: int = PAGE) -> Sequence[T_co]: ...


def say(text: str = "") -> None:
    click.echo(text)


def note(text: str) -> None:
    """Progress, hints and warnings: on stderr, so that stdout stays what was asked for."""
    click.echo(text, err=True)


def document(value: Mapping[str, Any]) -> None:
    click.echo(json.dumps(value, default=_encode, indent=2))


def clean(value: object) -> str:
    """One line without control characters."""
    if isinstance(value, datetime):
        return instant(value)
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their longest cell."""
    cells = [tuple(heads), *(tuple(clean(cell) or "-" for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(line.rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Name and value, one pair a line; what is absent is left out."""
    kept = [(name, clean(value)) for name, value in pairs if value not in (None, "", ())]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        say(f"{name.ljust(width)}  {value}")


def pages(page: _Page[T], key: Callable[[T], str], *, everything: bool) -> tuple[list[T], bool]:
    """The first page, or all of them; and whether there is more."""
    found: list[T] = []
    while True:
        more = page(after=key(found[-1]) if found else "", limit=PAGE)
        found.extend(more)
        if len(more) < PAGE:
            return found, False
        if not everything:
            return found, bool(page(after=key(found[-1]), limit=1))


def interactive() -> bool:
    return sys.stdin.isatty()


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    return str(value)
