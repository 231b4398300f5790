"""A hundred people at once, with password and TOTP: does everybody get in, and how fast, beside
what the machine's cores can hash in the same minute?

The clients run on the server's cores, so they cost little (raw sockets, requests as bytes) and
what they cost is told. `share` compares rates by the wall clock, clients included. `share_of_cpu`
is the part of the server's CPU that is hashing: the same where nothing else runs, and steadier
where something does.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import seed
from bench.client import Connection, connected
from bench.raw import argon2id
from bench.server import cpu_seconds
from bench.site import Site, Visitor

TARGET = 0.85
CONCURRENT = 100
PEOPLE = 300  # more than are there at once, so that somebody always comes after who leaves
CODE_EXPIRES = 90  # seconds until the same person has a code that was not used
HASHES = 40  # of each core


@dataclass(frozen=True, slots=True)
class Rush:
    """One time that everybody signed in."""

    seconds: float
    server: float
    client: float
    refused: Mapping[str, int]


def figures(site: Site, folder: Path, rounds: int) -> Mapping[str, Any]:
    """Rates are sign-ins and hashes per second, on all cores."""
    people = seed.people(folder, site.issuer, PEOPLE)
    site.people |= {person.username: person for person in people}
    names = [person.username for person in people]
    hashing, rushes = [], []
    rush(site, names[:CONCURRENT])
    for _ in range(rounds):
        before = hashes()
        advance(site)
        rushes.append(rush(site, names))
        hashing.append(between(before, hashes()))
    rates = [PEOPLE / r.seconds for r in rushes]
    server = [r.server / PEOPLE * 1000 for r in rushes]
    share = median(r / h.rate for r, h in zip(rates, hashing, strict=True))
    refused: Counter[str] = Counter()
    for one in rushes:
        refused.update(one.refused)
    return {
        "people": CONCURRENT,
        "refused": dict(refused),
        "hashing": median(h.rate for h in hashing),
        "hash_ms": median(h.ms for h in hashing),
        "rate": median(rates),
        "server_ms": median(server),
        "client_ms": median(r.client / PEOPLE * 1000 for r in rushes),
        "share": share,
        "share_of_cpu": median(h.ms / s for s, h in zip(server, hashing, strict=True)),
        "target": TARGET,
        "met": share >= TARGET and not refused,
    }


def advance(site: Site) -> None:
    with connected(site.port, 1) as (connection,):
        site.advance(connection, CODE_EXPIRES)


def rush(site: Site, names: Sequence[str]) -> Rush:
    """Each connection is somebody's until that person is in; then the next one's."""
    waiting, refused, lock = list(names), Counter[str](), threading.Lock()

    def serve(connection: Connection) -> None:
        while True:
            with lock:
                if not waiting:
                    return
                name = waiting.pop()
            try:
                Visitor(site, name).code(connection)
            except RuntimeError as problem:
                with lock:
                    refused[str(problem).split("\\r\\n")[0]] += 1

    with connected(site.port, min(CONCURRENT, len(names))) as connections:
        server, client, began = cpu_seconds(site.pid), time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(len(connections)) as pool:
            list(pool.map(serve, connections))
        return Rush(
            time.perf_counter() - began,
            cpu_seconds(site.pid) - server,
            time.process_time() - client,
            refused,
        )


@dataclass(frozen=True, slots=True)
class Hashes:
    """`rate` per second on all cores by the wall clock, `ms` of CPU for one."""

    rate: float
    ms: float


def hashes() -> Hashes:
    """Argon2id on every core at the same time, with nothing else."""
    verify: Callable[[], object] = argon2id()
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda _: verify(), range(cores)))
        count, cpu, began = HASHES * cores, time.process_time(), time.perf_counter()
        list(pool.map(lambda _: verify(), range(count)))
        seconds = time.perf_counter() - began
        return Hashes(count / seconds, (time.process_time() - cpu) / count * 1000)


def between(before: Hashes, after: Hashes) -> Hashes:
    return Hashes((before.rate + after.rate) / 2, (before.ms + after.ms) / 2)
