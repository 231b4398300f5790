"""The table as people read it: one, in at most 100 columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.raw import TEXTS

WIDTH = 100
HEAD = (
    "CPU ms per request",
    "median",
    "least",
    "req/s/core",
    "limit",
    "ratio",
    "o-prov.",
    "ratio",
    "target",
)
SIZES = (27, 8, 8, 11, 8, 7, 9, 7, 7, 8)


def render(report: Mapping[str, Any]) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _about(report)
    yield _row(HEAD)
    yield "-" * WIDTH
    for subject in report["subjects"]:
        yield _row(_subject(subject))
    yield from _section("limits on this machine, in this run")
    for name, value in report["raw"].items():
        yield _row((TEXTS[name], _ms(value), "", _rate(value)))
    if report["growth"]:
        few, many = report["users"]
        yield from _section(f"with {few:,} users and with {many:,}: CPU ms, CPU ms, ratio")
        for found in report["growth"]:
            yield _row((found["name"], _ms(found["few"]), _ms(found["many"]), _x(found["ratio"])))
    yield from _latency(report["latency"])
    yield from _steps(report["steps"])
    yield from _crowd(report["crowd"])
    yield from _start(report["start"])
    yield "-" * WIDTH
    yield from _notes(report)


def _about(report: Mapping[str, Any]) -> Iterator[str]:
    machine = report["machine"]
    yield (
        f"{machine['cpu']}, {machine['cores']} cores; Python {machine['python']}, "
        f"granian {machine['granian']}, {report['rival'] or 'no oidc-provider'}"
    )
    before, after = machine["load"]
    yield (
        f"medians of {report['rounds']} rounds; load {before:.1f} before, {after:.1f} after; "
        f"CPU of the worker, all threads"
    )
    yield ""


def _subject(found: Mapping[str, Any]) -> Sequence[str]:
    return (
        found["name"],
        _ms(found["ms"]),
        _ms(found["least"]),
        _rate(found["ms"]),
        _ms(found["limit"]),
        _x(found["over_limit"]),
        _ms(found["rival"]),
        _x(found["over_rival"]),
        _ms(found["target"]),
        _verdict(found["met"]),
    )


def _latency(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("latency of a token request on the same worker: ms p50, p99, longest")
    for name, text in (("alone", "alone"), ("beside", "beside 4 parallel sign-ins")):
        values = found[name]
        yield _row((text, _ms(values["p50"]), _ms(values["p99"]), _ms(values["longest"])))
    yield _row(("sign-ins per second then", f"{found['logins_per_second']:.1f}"))


def _steps(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from _section("one step of a sign-in beside its hashing: CPU ms")
    for step in found:
        cells = (step["name"], _ms(step["ms"]), *[""] * 6, _ms(step["target"]))
        yield _row((*cells, _verdict(step["met"])))


def _crowd(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _section(f"{found['people']} people at once, password and TOTP, on all cores")
    yield _row(("Argon2id alone", f"{found['hashing']:.1f}/s", _ms(found["hash_ms"])))
    yield _row(("sign-ins", f"{found['rate']:.1f}/s", _ms(found["server_ms"])))
    cells = ("share of that rate", f"{found['share']:.0%}", *[""] * 6, f"{found['target']:.0%}")
    yield _row((*cells, _verdict(found["met"])))
    yield _row(("hashing in the server's CPU", f"{found['share_of_cpu']:.0%}"))
    yield _row(("CPU ms of the clients", _ms(found["client_ms"])))
    yield _row(("refused", str(sum(found["refused"].values()))))
    for answer, count in found["refused"].items():
        yield f"  {count} times: {answer}"[:WIDTH]


def _start(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("`idp dev`: start and weight")
    for line in found["lines"]:
        value = f"{line['value']:.{line['digits']}f} {line['unit']}"
        target = f"{line['target']} {line['unit']}" if line["target"] else ""
        verdict = _verdict(line["met"]) if line["target"] else ""
        yield _row((line["name"], value, *[""] * 6, target, verdict))
    rss = " + ".join(f"{value:.0f}" for value in found["rss"])
    yield _row(("RSS of each process", f"{rss} MB"))


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    yield "ratio: the median of each round's own; least: the best round, nearest to a quiet machine"
    yield "limit: the least that the work costs here, the sum of"
    limits: dict[tuple[str, ...], list[str]] = {}
    for found in report["subjects"]:
        limits.setdefault(tuple(found["limit_of"]), []).append(found["name"])
    for parts, names in limits.items():
        counted = [
            f"{parts.count(p)} {p}" if parts.count(p) > 1 else p for p in dict.fromkeys(parts)
        ]
        yield f"  {', '.join(names)}: {' + '.join(counted)}"
    yield "o-prov.: npm's oidc-provider in the same run: in memory, opaque user tokens, no audit"


def _section(title: str) -> Iterator[str]:
    yield f"-- {title} ".ljust(WIDTH, "-")


def _row(cells: Sequence[str]) -> str:
    """Figures to the right of their columns."""
    sized = zip(cells[1:], SIZES[1:], strict=False)
    line = cells[0].ljust(SIZES[0]) + "".join(f" {cell:>{size - 1}}" for cell, size in sized)
    return line.rstrip()


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _rate(milliseconds: float) -> str:
    return f"{1000 / milliseconds:,.0f}"


def _x(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "NOT MET"
