"""The rounds: every subject at every site in turn, so that what drifts on the machine hits all."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import raw
from bench.client import connected, get, pump
from bench.server import Started, cpu_seconds
from bench.site import Site
from bench.subjects import CONNECTIONS, SUBJECTS, Subject, arrive, run

BARE_COUNT = 2000
WARMING = 2
Samples = dict[str, list[float]]


class Rounds:
    """Collects CPU milliseconds per request, by site and subject, and of the raw operations."""

    def __init__(
        self,
        small: Site,
        large: Site | None,
        rival: Site | None,
        bare: Mapping[str, Started],
        folder: Path,
        effort: float,
    ) -> None:
        self._sites = [site for site in (small, large, rival) if site is not None]
        self._skip: dict[str, Callable[[Subject], bool]] = defaultdict(lambda: lambda _: False)
        if large is not None:
            self._skip[large.name] = lambda subject: not subject.grows
        if rival is not None:
            self._skip[rival.name] = lambda subject: not subject.rival
        self._bare = bare
        self._operations = raw.operations(folder)
        self._effort = effort
        self.samples: dict[str, Samples] = {}

    def go(self, count: int) -> None:
        """`count` rounds, after whole ones to warm up: Node compiles what is called often."""
        effort, self._effort = self._effort, 1.0
        for number in range(WARMING):
            _say(f"warming up, {number + 1} of {WARMING}")
            self._once()
        self.samples, self._effort = {}, effort
        for number in range(count):
            _say(f"round {number + 1} of {count}")
            self._once()
        _say("")

    def _once(self) -> None:
        for name, operation in self._operations.items():
            self._add("raw", name, raw.milliseconds(operation, self._count(raw.COUNTS[name])))
        for name, server in self._bare.items():
            self._add("raw", name, bare_milliseconds(server, self._count(BARE_COUNT)))
        visits = [arrive(site) for site in self._sites]
        for subject in SUBJECTS:
            for now in visits:
                if not self._skip[now.site.name](subject):
                    spent = run(subject, self._count(subject.count), now)
                    self._add(now.site.name, subject.name, spent)

    def _count(self, full: int) -> int:
        """At least one wave over the connections, where there are waves."""
        wanted = max(1, round(full * self._effort))
        return wanted if full < 20 else -(-wanted // CONNECTIONS) * CONNECTIONS

    def _add(self, site: str, name: str, value: float) -> None:
        self.samples.setdefault(site, {}).setdefault(name, []).append(value)


def bare_milliseconds(server: Started, count: int) -> float:
    requests: Sequence[bytes] = [get("localhost", "/")] * count
    with connected(server.described["port"], CONNECTIONS) as connections:
        pump(connections, requests[: count // 10])
        time.sleep(0.05)
        before = cpu_seconds(server.pid)
        pump(connections, requests)
        time.sleep(0.05)
        return (cpu_seconds(server.pid) - before) / count * 1000


def _say(text: str) -> None:
    """Progress, for whoever watches; none of it is in the table."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
