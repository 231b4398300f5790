"""Whether slow sign-ins hold up token requests on the same worker: latencies, alone and beside."""

import multiprocessing
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.client import Connection, connected
from bench.site import RESOURCE, Site
from bench.subjects import sign_in

PEOPLE = ("ben", "cyd", "dan", "eva")
FORM = {"grant_type": "client_credentials", "resource": RESOURCE}


def figures(site: Site, count: int) -> Mapping[str, Any]:
    """Milliseconds of a token request, alone and while four people sign in again and again."""
    alone = _latencies(site, count)
    context = multiprocessing.get_context("spawn")
    stop, done = context.Event(), context.Value("i", 0)
    people = context.Process(target=_people, args=(site, stop, done), daemon=True)
    people.start()
    try:
        while not done.value:
            if not people.is_alive():
                raise RuntimeError("the sign-ins ended before the measurement began")
            time.sleep(0.01)
        began, before = time.perf_counter(), done.value
        beside = _latencies(site, count)
        rate = (done.value - before) / (time.perf_counter() - began)
    finally:
        stop.set()
        people.join(timeout=30)
    return {"alone": _percentiles(alone), "beside": _percentiles(beside), "logins_per_second": rate}


def _latencies(site: Site, count: int) -> Sequence[float]:
    request = site.token_request("service", FORM)
    found = []
    with connected(site.port, 1) as (connection,):
        for _ in range(count):
            began = time.perf_counter()
            answer = connection.exchange(request)
            found.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"unexpected answer: {answer.head!r}")
    return found


def _percentiles(found: Sequence[float]) -> Mapping[str, float]:
    ordered = sorted(found)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[len(ordered) * 99 // 100],
        "longest": ordered[-1],
    }


def _people(site: Site, stop: Any, done: Any) -> None:
    """A process of its own, so that their work is not the measuring client's."""

    def again(connection: Connection, person: str) -> None:
        while not stop.is_set():
            sign_in(site, connection, person)
            with done.get_lock():
                done.value += 1

    with connected(site.port, len(PEOPLE)) as connections:
        pairs = zip(connections, PEOPLE, strict=True)
        threads = [threading.Thread(target=again, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
