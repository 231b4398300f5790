"""What one step costs: the request that verifies or binds a factor, by itself, beside its hashing.

Everybody goes up to the page first; then all of their answers are sent and measured together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from argon2 import PasswordHasher, Type

from bench import raw, seed
from bench.client import connected
from bench.crowd import advance
from bench.site import Site, Visitor

TARGET = 3.0  # ms of CPU
PEOPLE = 20
HASHES = 20


@dataclass(frozen=True, slots=True)
class Step:
    """`second`: what people have. `hashing`: whether the factor hashes, and is to be left out."""

    name: str
    factor: str
    second: str
    hashing: bool = False


STEPS = (
    Step("verify a TOTP code", "totp", "totp"),
    Step("bind an authenticator app", "totp", ""),
    Step("verify a recovery code", "recovery_code", "recovery_code", hashing=True),
)


def figures(site: Site, folder: Path, rounds: int) -> Sequence[Mapping[str, Any]]:
    found = []
    for step in STEPS:
        samples = []
        for _ in range(rounds):
            people = seed.people(folder, site.issuer, PEOPLE, step.second)
            site.people |= {person.username: person for person in people}
            hashing = raw.milliseconds(_low_cost(), HASHES) if step.hashing else 0.0
            names = [person.username for person in people]
            samples.append(_cost(site, step, names) - hashing)
        ms = median(samples)
        found.append({"name": step.name, "ms": ms, "target": TARGET, "met": ms < TARGET})
    return found


def _cost(site: Site, step: Step, names: Sequence[str]) -> float:
    spent: list[float] = []
    advance(site)
    with connected(site.port, 1) as (connection,):
        answers = [Visitor(site, n, "aal2").up_to(connection, step.factor) for n in names]
    with connected(site.port, 1) as (connection,), site.meter(spent.append):
        statuses = {connection.exchange(answer).status for answer in answers}
    if statuses != {303}:
        raise RuntimeError(f"{step.name}: {statuses}")
    return spent[0] / len(names) * 1000


def _low_cost() -> Any:
    """As recovery codes are hashed (idp/factors/recovery_code.py)."""
    hasher = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1, type=Type.ID)
    hashed = hasher.hash("a recovery code")
    return lambda: hasher.verify(hashed, "a recovery code")
