"""`idp audit`: from a support code to the cause."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.db import opened
from idp.cli.output import clean, document, instant, json_option, note, say

if TYPE_CHECKING:
    from idp.model import AuditRow
    from idp.ports import AuditTrail

    Rows = Sequence[tuple[int, AuditRow]]


@click.group("audit")
def command() -> None:
    """Read the audit trail.

    \b
    Example:
      idp audit show --support-code ABCD-EFGH
    """


@command.command("show")
@click.option("--support-code", help="Only the sign-in that this code belongs to.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Most lines."
)
@json_option
@click.pass_obj
def show(config_file: Path | None, support_code: str | None, limit: int, as_json: bool) -> None:
    """Show the latest events, oldest first; or everything that a support code leads to.

    \b
    Example:
      idp audit show --support-code ABCD-EFGH
      idp audit show --limit 200 --json
    """
    with opened(config_file) as core:
        trail = core.stores.audit
        if support_code is not None:
            rows = trail.read(support_code=support_code.strip().upper(), limit=limit)
        else:
            rows = latest(trail, limit)
        names: dict[str, str] = {}
        for user_id in {row.user_id for _, row in rows if row.user_id}:
            user = core.stores.users.get(user_id)
            if user is not None:
                names[user_id] = user.username
    if as_json:
        document({"events": [_described(seq, row, names) for seq, row in rows]})
        return
    for _, row in rows:
        say(_line(row, names))
    if not rows:
        note("nothing found" + (": check the code" if support_code else ""))


def latest(trail: "AuditTrail", limit: int) -> "Rows":
    """The last rows, found by halving: the trail is read forwards and may be long."""
    low, high = 0, 1
    while trail.read(after=high, limit=1):
        low, high = high, high * 2
    last = _first(low, high, lambda seq: not trail.read(after=seq, limit=1))
    window = limit
    while True:
        start = max(last - window, 0)
        rows = list(trail.read(after=start, limit=window))
        if len(rows) >= limit or start == 0:
            return rows[-limit:]
        window *= 4  # numbers may have gaps


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _line(row: "AuditRow", names: dict[str, str]) -> str:
    who = names.get(row.user_id or "", row.user_id)
    parts = [
        instant(row.at),
        row.event,
        *(
            f"{name}={clean(','.join(map(str, value)) if isinstance(value, list) else value)}"
            for name, value in (
                ("user", who),
                ("client", row.client_id),
                ("code", row.support_code),
                *row.detail.items(),
            )
            if value is not None
        ),
    ]
    return "  ".join(parts)


def _described(seq: int, row: "AuditRow", names: dict[str, str]) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": row.at,
        "event": row.event,
        "user_id": row.user_id,
        "username": names.get(row.user_id or ""),
        "client_id": row.client_id,
        "interaction": row.interaction,
        "support_code": row.support_code,
        "detail": dict(row.detail),
    }
