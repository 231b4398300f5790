"""Processes under measurement: started, waited for, read from outside, stopped by their id."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers. `pid` is the process that does the work."""

    described: Mapping[str, Any]
    master: int
    pid: int
    seconds: float
    """From the start of the process until it said that it is ready."""


@contextmanager
def started(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
    worker: bool = True,
) -> Iterator[Started]:
    """Run `command` until its first line on stdout, which is JSON; stop it at the end.

    `worker`: the work is done by a child, as granian's is. No IDP_ setting of the caller's
    environment gets through.
    """
    inherited = {name: value for name, value in os.environ.items() if name[:4] != "IDP_"}
    began = time.perf_counter()
    with log.open("a") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env={**inherited, **(environment or {})},
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        if not line:
            raise RuntimeError("it did not start")
        pid = _worker(process.pid) if worker else process.pid
        yield Started(json.loads(line), process.pid, pid, seconds)
    except Exception as problem:
        problem.add_note(f"log of {' '.join(command)}:\n{log.read_text()[-2000:]}")
        raise
    finally:
        _stop(process)
        process.stdout.close()


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, those that ended too, in nanosecond steps.

    /proc/<pid>/stat tells the same in steps of 10 ms. The clock's number is the kernel's
    CPUCLOCK_SCHED of the process (clock_getcpuclockid(3)).
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory(master: int) -> dict[str, Any]:
    """Of a process and its descendants, in MB: the sum of PSS, and the RSS of each."""
    root = psutil.Process(master)
    family = [root, *root.children(recursive=True)]
    return {
        "pss": sum(_pss(process.pid) for process in family) / 1e6,
        "rss": [process.memory_info().rss / 1e6 for process in family],
    }


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _worker(master: int) -> int:
    children = psutil.Process(master).children(recursive=True)
    if len(children) != 1:
        raise RuntimeError(f"one worker expected, {len(children)} found")
    return children[0].pid


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=STOP_SECONDS)
