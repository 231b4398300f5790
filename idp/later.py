"""Work that no answer waits for: one thread, in order. What fails is logged; what is under way when
the process ends is finished first."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_logger = logging.getLogger(__name__)


class Later:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "later")

    def __call__(self, work: Callable[[], None]) -> None:
        self._pool.submit(_guarded, work)

    def settle(self) -> None:
        """Wait for all that was handed in so far."""
        self._pool.submit(int).result()

    def close(self) -> None:
        self._pool.shutdown(wait=True)


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:  # nobody waits for it
        _logger.exception("work in the background failed")
