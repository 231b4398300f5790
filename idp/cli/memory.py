"""Memory of the long-running commands.

Every password hash takes 19 MiB for some milliseconds. By default glibc keeps such a block in the
heap of the thread that needed it; given back each time, it costs 4,800 page faults to get again.
In huge pages it costs few, and nothing is kept. glibc reads its settings when a program starts,
so the command starts itself again with them.
"""

import os
import sys

VARIABLE = "GLIBC_TUNABLES"
TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576:glibc.malloc.arena_max=2"
COMMANDS = frozenset({"dev", "serve"})


def tune(arguments: list[str]) -> None:
    """Replace this process by itself, tuned; does nothing where it is tuned or does not serve."""
    if sys.platform != "linux" or VARIABLE in os.environ or not COMMANDS & set(arguments):
        return
    os.environ[VARIABLE] = TUNABLES
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - it is ourselves
