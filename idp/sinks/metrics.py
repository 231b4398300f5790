"""Metrics for Prometheus: which event counts where, and how long requests take.

The table in `_table` is the only place that names counters and labels. A label holds one of
few values: never a user or client, and what a client may spell freely is folded to "other".
With several workers the server's master sets PROMETHEUS_MULTIPROC_DIR before this module is
imported; each worker then counts in a file of its own and `render` adds them up.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from idp import events
from idp.sinks.log import event_name

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
OTHER = "other"
MAX_SERIES = 200  # per counter; whatever comes after is counted as "other"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
GRANT_TYPES = frozenset(
    {
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    }
)

Read = Callable[[events.Event], object]


@dataclass(frozen=True, slots=True)
class _Series:
    """Where one type of event counts: `read` gives the label values, `incs` the known ones."""

    counter: Counter
    read: Read | None
    fixed: Mapping[str, str]
    incs: dict[object, Callable[[], None]]


class Metrics:
    """A sink that counts, and the page that shows it."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the series
        self._registry = CollectorRegistry() if registry is None else registry
        self._rest = self._counter("events", "Other events.", "event")
        self._series = self._table()
        self._requests = self._counter(
            "http_requests", "Requests answered.", "endpoint", "status", prefix=""
        )
        self._seconds = Histogram(
            "http_request_seconds",
            "Seconds from request to answer.",
            ("endpoint",),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._answered: dict[tuple[str, int], Callable[[], None]] = {}
        self._timed: dict[str, Callable[[float], None]] = {}

    def __call__(self, event: events.Event) -> None:
        series = self._series.get(type(event))
        if series is None:
            series = self._series[type(event)] = self._named(self._rest, event_name(type(event)))
        key = None if series.read is None else series.read(event)
        inc = series.incs.get(key)
        (self._resolve(series, key) if inc is None else inc)()

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """One answered request. `endpoint` is a route's name, never a path."""
        inc = self._answered.get((endpoint, status))
        if inc is None:
            if len(self._answered) >= MAX_SERIES:
                endpoint = OTHER
            inc = self._requests.labels(endpoint, str(status)).inc
            self._timed[endpoint] = self._seconds.labels(endpoint).observe
            self._answered[endpoint, status] = inc  # last: another thread that finds it goes on
        inc()
        self._timed[endpoint](seconds)

    def render(self) -> tuple[bytes, str]:
        """The exposition of all workers, and its content type."""
        folder = os.environ.get(MULTIPROCESS)
        registry = self._registry
        if folder:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _table(self) -> dict[type[events.Event], _Series]:
        answers = self._counter("factor_answers", "Answers to challenges.", "event", "factor")
        sign_ins = self._counter("sign_ins", "Sign-ins by their outcome.", "event", "error")
        issued = self._counter("tokens_issued", "Access tokens issued.", "grant_type")
        refused = self._counter(
            "tokens_refused", "Errors of the token endpoint.", "grant_type", "error"
        )
        return {
            events.FactorVerified: self._read(answers, "factor", event="verified"),
            events.FactorRejected: self._read(answers, "factor", event="rejected"),
            events.FactorFailed: self._read(answers, "factor", event="failed"),
            events.AttemptRefused: self._read(answers, "factor", event="refused"),
            events.InteractionStarted: self._named(sign_ins, "started", ""),
            events.SignInCompleted: self._named(sign_ins, "completed", ""),
            events.AuthorizationRefused: self._read(sign_ins, "error", event="refused"),
            events.TokenIssued: self._read(issued, "grant_type"),
            events.TokenRefused: self._read(refused, "grant_type", "error"),
        }

    def _counter(self, name: str, text: str, *labels: str, prefix: str = "idp_") -> Counter:
        return Counter(f"{prefix}{name}", text, labels, registry=self._registry)

    def _read(self, counter: Counter, *names: str, **fixed: str) -> _Series:
        return _Series(counter, attrgetter(*names), fixed, {})

    def _named(self, counter: Counter, *values: str) -> _Series:
        return _Series(counter, None, {}, {None: counter.labels(*values).inc})

    def _resolve(self, series: _Series, key: object) -> Callable[[], None]:
        """The counter of label values met for the first time.

        Spellings that nobody foresaw are not remembered: clients choose them.
        """
        values = tuple(str(value) for value in (key if isinstance(key, tuple) else (key,)))
        names = [name for name in _labels(series.counter) if name not in series.fixed]
        known = tuple(
            OTHER if name == "grant_type" and value not in GRANT_TYPES else value
            for name, value in zip(names, values, strict=True)
        )
        if len(series.incs) >= MAX_SERIES:
            known = (OTHER,) * len(names)
        inc: Callable[[], None] = series.counter.labels(
            **series.fixed, **dict(zip(names, known, strict=True))
        ).inc
        if known == values:
            series.incs[key] = inc
        return inc


def _labels(counter: Counter) -> tuple[str, ...]:
    return tuple(counter._labelnames)
