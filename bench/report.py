"""From samples to the report: medians, limits, ratios, and what became of the targets."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.raw import TEXTS
from bench.rounds import Samples
from bench.site import Site
from bench.subjects import SUBJECTS, Subject

START_TARGET = 3.0  # seconds
WEIGHT_TARGET = 120  # MB


def machine() -> Mapping[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "granian": version("granian"),
    }


def subjects(samples: Mapping[str, Samples], ours: Site, rival: Site | None) -> Iterator[Any]:
    """One per subject: ours, its limit, the rival's, the target."""
    raw = medians(samples["raw"])
    rivals = samples[rival.name] if rival else {}
    for subject in SUBJECTS:
        found = samples[ours.name][subject.name]
        limits = [
            sum(parts) for parts in zip(*(samples["raw"][p] for p in subject.limit), strict=True)
        ]
        theirs = rivals.get(subject.name)
        target = _target(subject, raw)
        yield {
            "name": subject.name,
            "ms": median(found),
            "least": min(found),
            "samples": found,
            "limit": median(limits),
            "limit_of": subject.limit,
            "over_limit": _ratio(found, limits),
            "rival": median(theirs) if theirs else None,
            "over_rival": _ratio(found, theirs) if theirs else None,
            "target": target,
            "met": None if target is None else median(found) <= target,
        }


def growth(samples: Mapping[str, Samples], few: Site, many: Site | None) -> Iterator[Any]:
    if many is None:
        return
    for name, after in samples[many.name].items():
        before = samples[few.name][name]
        yield {
            "name": name,
            "few": median(before),
            "many": median(after),
            "ratio": _ratio(after, before),
        }


def start(found: Mapping[str, Any]) -> Mapping[str, Any]:
    ready, used = found["ready"]["pss"], found["used"]["pss"]
    seconds = found["seconds"]
    return {
        "lines": [
            _line("ready after", seconds, "s", START_TARGET, 2),
            _line("PSS, all processes, ready", ready, "MB", WEIGHT_TARGET),
            _line("PSS, after a sign-in", used, "MB", WEIGHT_TARGET),
        ],
        "rss": found["used"]["rss"],
    }


def medians(samples: Samples) -> Mapping[str, float]:
    return {name: median(values) for name, values in samples.items()}


def raw(samples: Mapping[str, Samples]) -> Mapping[str, float]:
    found = medians(samples["raw"])
    return {name: found[name] for name in TEXTS}


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' own ratios: what hit a round hit both."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def _line(name: str, value: float, unit: str, target: float, digits: int = 0) -> Mapping[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": target,
        "digits": digits,
        "met": value < target,
    }


def _target(subject: Subject, raw: Mapping[str, float]) -> float | None:
    if subject.target is None:
        return None
    return subject.target + (raw[subject.plus] if subject.plus else 0.0)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
