"""Fifty callers at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

THREADS = 50
R = TypeVar("R")


def race(call: Callable[[int], R], threads: int = THREADS) -> list[R]:
    """The results of `call(0)`, `call(1)`, ..., each from its own thread, released together."""
    barrier = Barrier(threads)

    def run(number: int) -> R:
        barrier.wait(30)
        return call(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
