"""Which cores the threads of a worker run on.

Python runs one thread at a time. A worker whose request threads hand the interpreter to each other
across cores pays twice for every request, so a lone worker keeps them on one core; hashing, which
runs outside the interpreter, goes back to all of them.
"""

import os
import sys

EVERYWHERE = os.sched_getaffinity(0) if sys.platform == "linux" else frozenset[int]()


def gather() -> None:
    """Keep this thread, and those that it starts, on one core: the one with the highest number,
    which the system itself uses least."""
    if len(EVERYWHERE) > 1 and sys.platform == "linux":
        os.sched_setaffinity(0, {max(EVERYWHERE)})


def spread() -> None:
    """Let this thread run anywhere again."""
    if len(EVERYWHERE) > 1 and sys.platform == "linux":
        os.sched_setaffinity(0, EVERYWHERE)
