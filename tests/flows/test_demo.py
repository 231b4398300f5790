"""`make demo` and `idp dev` as their users start and stop them: processes, ports, folders."""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
import requests

from tests.live import provider

WITHIN = 60.0  # seconds; generous, for a busy machine
PEOPLE = ("ana", "amy", "ben", "cyd", "cho", "dia", "eli")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A program in the foreground of a terminal: its process group, and what it says."""

    process: subprocess.Popen[str]
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)
    said: str = ""

    def until(self, words: str) -> str:
        """Everything said up to these words. Fails when it ends or takes too long."""
        deadline = monotonic() + WITHIN
        while words not in self.said:
            try:
                line = self.lines.get(timeout=max(0.1, deadline - monotonic()))
            except queue.Empty:
                pytest.fail(f"no {words!r} in {WITHIN:.0f} s; it said:\n{self.said}")
            assert line, f"it ended before {words!r}; it said:\n{self.said}"
            self.said += line
        return self.said

    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def end(self, number: signal.Signals) -> int:
        """Send the signal, wait for the end; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=WITHIN)
        while line := self.lines.get(timeout=WITHIN):
            self.said += line
        return code


@contextmanager
def running(tmp: Path, *arguments: str) -> Iterator[Running]:
    """Start `python -m ...`; stdout and stderr in one stream; temporary files below `tmp`."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp)},
        start_new_session=True,
    )
    found = Running(process)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found.lines.put(line)
        found.lines.put("")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(WITHIN)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """The folder that the program takes for /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not alive


# The demo


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_the_demo_runs_until_it_is_stopped_and_leaves_nothing(
    tmp: Path, number: signal.Signals
) -> None:
    port, rp_port = free_port(), free_port()
    arguments = ["examples.demo", "--port", str(port), "--rp-port", str(rp_port)]
    with running(tmp, *arguments) as demo:
        said = demo.until("Codes: ")
        for words in (
            f"Open http://localhost:{rp_port} in a browser and press Sign in.",
            f"http://localhost:{port}",
            f"http://localhost:{port}/dev/outbox",
            "Press Ctrl-C to stop.",
        ):
            assert words in said
        for name in PEOPLE:
            assert re.search(rf"^ +{name} +{name}-\S+$", said, re.MULTILINE)
        assert re.search(r"ana \d{6}, amy \d{6} \(each works once, for \d+ more s\)", said)
        home = requests.get(f"http://localhost:{rp_port}/", timeout=10)
        assert "Sign in" in home.text
        login = requests.get(f"http://localhost:{rp_port}/login", timeout=10)
        assert login.url.startswith(f"http://localhost:{port}/interaction/")
        assert "Demo relying party" in login.text  # the client `web`, whatever the port
        family = demo.family()
        assert len(family) >= 3  # the demo, the provider, its worker

        assert demo.end(number) == 0

        assert demo.said.rstrip().endswith("Stopped; nothing is left behind.")
        assert gone(family)
        assert list(tmp.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "variable"), [("--port", "DEMO_PORT"), ("--rp-port", "DEMO_RP_PORT")]
)
def test_the_demo_names_a_port_that_is_taken(tmp: Path, option: str, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = {"--port": free_port(), "--rp-port": free_port(), option: taken}
        arguments = [str(word) for pair in ports.items() for word in pair]

        result = subprocess.run(
            [sys.executable, "-m", "examples.demo", *arguments],
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
            env={**os.environ, "TMPDIR": str(tmp)},
        )

    assert result.returncode == 1
    assert f"port {taken} is in use" in result.stderr
    assert variable in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp.iterdir()) == []


# idp dev


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_idp_dev_removes_its_temporary_state(tmp: Path, number: signal.Signals) -> None:
    with running(tmp, "idp.cli", "dev", "--port", "0") as dev:
        said = dev.until("Press Ctrl-C to stop.")
        issuer = re.search(r"The provider runs at (http://localhost:\d+)", said)
        assert issuer
        discovery = requests.get(f"{issuer[1]}/.well-known/openid-configuration", timeout=10)
        assert discovery.json()["issuer"] == issuer[1]
        (state,) = tmp.glob("idp-dev-*")
        assert state.stat().st_mode & 0o777 == 0o700
        family = dev.family()

        code = dev.end(number)

        assert code == 0, dev.said
        assert "Traceback" not in dev.said
        assert gone(family)
        assert list(tmp.iterdir()) == []


def test_idp_dev_keeps_the_state_it_was_given(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with provider(tmp_path, "--state", str(state)) as first:
        keys = requests.get(f"{first.issuer}/jwks", timeout=10).json()
    assert (state / "idp.db").exists()

    with provider(tmp_path, "--state", str(state)) as second:
        assert second.described["users"] == first.described["users"]
        assert second.described["clients"] == first.described["clients"]
        assert requests.get(f"{second.issuer}/jwks", timeout=10).json() == keys
        service = second.client("service")
        answer = requests.post(
            f"{second.issuer}/token",
            data={"grant_type": "client_credentials"},
            auth=("service", service["client_secret"]),
            timeout=10,
        )
        assert answer.status_code == 200, answer.text


def test_idp_dev_survives_kill_nine(tmp_path: Path) -> None:
    """What was promised before the kill still holds after the restart."""
    state = tmp_path / "state"
    with provider(tmp_path, "--state", str(state)) as first:
        keys = requests.get(f"{first.issuer}/jwks", timeout=10).json()
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait(timeout=WITHIN)

    with provider(tmp_path, "--state", str(state)) as second:
        assert requests.get(f"{second.issuer}/jwks", timeout=10).json() == keys


def test_idp_dev_names_a_port_that_is_taken(tmp: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "idp.cli", "dev", "--json", "--port", str(taken)],
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
            env={**os.environ, "TMPDIR": str(tmp)},
        )

    assert result.returncode == 3
    assert f"port {taken} is in use" in result.stderr
    assert result.stdout == ""
    assert list(tmp.iterdir()) == []


def test_idp_dev_says_one_line_of_json_and_logs_to_stderr(tmp_path: Path) -> None:
    with provider(tmp_path) as started:
        told = started.described
        assert {"issuer", "outbox_url", "clock_url", "users", "clients"} <= set(told)
        assert tuple(u["username"] for u in told["users"]) == PEOPLE
        assert {"web", "web-post", "native", "service", "service-jwt"} <= {
            c["client_id"] for c in told["clients"]
        }
        assert requests.get(told["outbox_url"], timeout=10).ok
        before = started.now()
        started.advance(3600)
        assert started.now() >= before + 3600
        sleep(0.2)
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(timeout=WITHIN)
        assert started.process.stdout is not None
        assert started.process.stdout.read() == ""
    assert all(json.loads(line) for line in started.stderr.read_text().splitlines())
