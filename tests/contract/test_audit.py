"""The audit trail: in order, whole, and nothing that a stranger sends keeps a row out."""

import sqlite3
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from idp.storage.audit import SqlAuditTrail
from idp.storage.database import Database
from tests.contract.race import race
from tests.contract.samples import AUDIT, NOW

INTEGRITY_ERRORS = (sqlite3.IntegrityError, psycopg.IntegrityError)


@pytest.fixture
def trail(database: Database) -> SqlAuditTrail:
    return SqlAuditTrail(database)


def test_every_field_comes_back(trail: SqlAuditTrail) -> None:
    bare = replace(AUDIT, interaction=None, support_code=None, user_id=None, client_id=None)
    trail.append([AUDIT, bare])
    assert [row for _, row in trail.read()] == [AUDIT, bare]


def test_rows_are_numbered_in_the_order_they_came(trail: SqlAuditTrail) -> None:
    rows = [replace(AUDIT, event=f"event-{n}") for n in range(6)]
    trail.append(rows[:4])
    trail.append(rows[4:])
    numbered = trail.read()
    assert [row for _, row in numbered] == rows
    assert [number for number, _ in numbered] == sorted({number for number, _ in numbered})
    assert trail.read(limit=2) == numbered[:2]
    assert trail.read(after=numbered[1][0], limit=3) == numbered[2:5]


def test_nothing_to_append(trail: SqlAuditTrail) -> None:
    trail.append([])
    assert trail.read() == []


def test_by_support_code(trail: SqlAuditTrail) -> None:
    other = replace(AUDIT, support_code="OTHR-CODE")
    trail.append([AUDIT, other, AUDIT])
    numbered = trail.read()
    assert trail.read(support_code="OTHR-CODE") == numbered[1:2]
    assert trail.read(support_code="ABCD-EFGH") == [numbered[0], numbered[2]]
    assert trail.read(support_code="ABCD-EFGH", after=numbered[0][0]) == numbered[2:]
    assert trail.read(support_code="ABCD-EFGH", limit=1) == numbered[:1]


def test_what_happened_to_somebody_newest_first(trail: SqlAuditTrail) -> None:
    of_user = [replace(AUDIT, event=event) for event in ("a", "b", "c", "a")]
    trail.append([*of_user, replace(AUDIT, event="a", user_id="user-2")])
    assert trail.about("user-1", ["a", "c"]) == [of_user[3], of_user[2], of_user[0]]
    assert trail.about("user-1", ["a", "c"], limit=2) == [of_user[3], of_user[2]]
    assert trail.about("user-1", []) == []
    assert trail.about("user-1", ["d"]) == []


@pytest.mark.parametrize("odd", ["nobody", "", "a\0b", "\ud800", "x" * 5000])
def test_nothing_happened_to_who_is_not_there(trail: SqlAuditTrail, odd: str) -> None:
    trail.append([AUDIT, replace(AUDIT, user_id=None)])
    assert trail.about(odd, [AUDIT.event]) == []


def test_appended_whole_or_not_at_all(trail: SqlAuditTrail) -> None:
    nameless = replace(AUDIT, event=None)  # type: ignore[arg-type]
    with pytest.raises(INTEGRITY_ERRORS):
        trail.append([AUDIT, nameless])
    assert trail.read() == []


@pytest.mark.parametrize("field", ["interaction", "user_id", "client_id"])
def test_a_strangers_text_does_not_keep_a_row_out(trail: SqlAuditTrail, field: str) -> None:
    strangers: dict[str, Any] = {field: "a\0b\ud800" + "x" * 5000}
    trail.append([replace(AUDIT, **strangers)])
    ((_, row),) = trail.read()
    kept = getattr(row, field)
    assert kept.startswith("a\ufffdb\ufffdx")
    assert len(kept) < 200


def test_fifty_at_once_are_all_there(trail: SqlAuditTrail) -> None:
    race(lambda n: trail.append([replace(AUDIT, event=f"a{n}"), replace(AUDIT, event=f"b{n}")]))
    assert len({row.event for _, row in trail.read(limit=1000)}) == 100
    assert all(row.at == NOW for _, row in trail.read(limit=1000))
