"""Which cores a worker's threads may use."""

import os
import threading

from idp.flow import threads


def on_a_thread(*steps: object) -> set[int]:
    found: list[set[int]] = []

    def run() -> None:
        for step in steps:
            assert callable(step)
            step()
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_gathered_threads_share_one_core_and_spread_ones_have_all() -> None:
    assert on_a_thread(threads.gather) == {max(threads.EVERYWHERE)}
    assert on_a_thread(threads.gather, threads.spread) == set(threads.EVERYWHERE)
    assert os.sched_getaffinity(0) == set(threads.EVERYWHERE)
