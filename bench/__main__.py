"""`python -m bench`: measure, and print one table."""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import crowd, latency, report, steps, table
from bench.ours import ours, start_figures
from bench.rival import rival
from bench.rounds import Rounds
from bench.server import python, started

FEW = 10
MANY = 100_000


@dataclass(frozen=True, slots=True)
class Effort:
    """`share` of the requests that each subject names."""

    rounds: int
    share: float
    starts: int
    latencies: int


FULL = Effort(rounds=5, share=1.0, starts=5, latencies=1000)
QUICK = Effort(rounds=2, share=0.2, starts=1, latencies=300)


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    effort = QUICK if chosen.quick else FULL
    rounds = chosen.rounds or effort.rounds
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        found = measure(Path(folder), effort, rounds, chosen.users)
    print(json.dumps(found, indent=2) if chosen.json else table.render(found), end="")


def measure(folder: Path, effort: Effort, count: int, many: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    start = start_figures(folder / "start.log", effort.starts)
    with ExitStack() as stack:
        small = stack.enter_context(ours(folder / "small", FEW))
        large = stack.enter_context(ours(folder / "large", many)) if many else None
        other = stack.enter_context(rival(folder / "rival.log", small))
        bare = {
            name: stack.enter_context(
                started(python("-m", "bench.bare", name.lower()), folder / "bare.log")
            )
            for name in ("hello", "Flask")
        }
        rounds = Rounds(small, large, other, bare, folder, effort.share)
        rounds.go(count)
        beside = latency.figures(small, effort.latencies)
        single = steps.figures(small, folder / "small", count)
        rush = crowd.figures(small, folder / "small", count)
    samples = rounds.samples
    return {
        "machine": {**report.machine(), "load": [load, os.getloadavg()[0]]},
        "rounds": count,
        "users": [FEW, many],
        "rival": other.name if other else None,
        "subjects": list(report.subjects(samples, small, other)),
        "raw": report.raw(samples),
        "growth": list(report.growth(samples, small, large)),
        "latency": beside,
        "steps": single,
        "crowd": rush,
        "start": report.start(start),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of few requests")
    parser.add_argument("--rounds", type=int, help="how many (default 5, or 2 with --quick)")
    parser.add_argument(
        "--users", type=int, default=MANY, help="of the large installation; 0 leaves it out"
    )
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    return parser


if __name__ == "__main__":
    main()
