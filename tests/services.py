"""The real servers under the tests: private PostgreSQL and Redis, and where Chromium and Node are.

Owns their life: one instance of each per test run, on a free port of 127.0.0.1, in a temporary
folder, started when first needed by the process that owns the run (under xdist the controller,
which hands the addresses to its workers), stopped with it, however it ends.

A pytest plugin: `pytest_plugins = ["tests.services"]`. Nothing here ever skips; what is missing
fails the tests that need it, with the cure. `TEST_SERVICES=off` starts nothing.

PYTEST_DONT_REWRITE: no assert is in here, and a conftest may then import it before it is a plugin.
"""

from __future__ import annotations

import inspect
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

START_SECONDS = 60
PORT_ATTEMPTS = 3
REDIS_DATABASES = 512  # one per xdist worker, and a worker that replaces a crashed one counts on
CURE = "run `make test`, or scripts/services.sh once: it installs what is missing or says how"


class ServiceError(Exception):
    """A server that the tests need is missing or does not start; the text holds the cure."""


def keep() -> None:
    """Run a server until our standard input closes or SIGTERM comes; then end it and its folder.

    Runs from its own source in a bare interpreter, between the tests and the server. The other end
    of standard input is held by the tests alone, so the kernel closes it even after SIGKILL.
    """
    import pwd
    import select
    import shutil
    import signal
    import subprocess
    import sys

    user, stop, folder, *command = sys.argv[1:]
    # Only noted: an exception inside `poll` would leave its lock taken, and `wait` without end.
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    service = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        user=user or None,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
    )
    try:
        while not told and not select.select([sys.stdin], [], [], 0.1)[0]:
            if service.poll() is not None:
                sys.exit(1)  # the folder stays: its log says why
        sys.exit()
    finally:
        if service.poll() is None:
            service.send_signal(signal.Signals[stop])
            try:
                service.wait(10)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Server:
    """How to run one kind of server: its command on a port, and how to know that it is ours."""

    name: str
    folder: Path
    user: str  # empty: our own
    stop: str  # the signal that ends it at once
    command: Callable[[int], list[str]]
    ready: Callable[[int], bool]


def _start(server: _Server) -> tuple[subprocess.Popen[bytes], int]:
    """The keeper's process and the port. Whoever is told a port is free may lose it: try again."""
    for _ in range(PORT_ATTEMPTS):
        port = _free_port()
        keeper = _spawn(server, server.command(port))
        if _came_up(server, keeper, port):
            return keeper, port
        _stop(keeper)
    raise ServiceError(f"{server.name} does not start:\n{_log(server.folder)}")


def _spawn(server: _Server, command: list[str]) -> subprocess.Popen[bytes]:
    source = f"{inspect.getsource(keep)}\nkeep()"
    arguments = [server.user, server.stop, str(server.folder), *command]
    with (server.folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest, which stops us in its own time
        )


def _came_up(server: _Server, keeper: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while keeper.poll() is None:
        if server.ready(port):
            return True
        if time.monotonic() > deadline:
            text = _log(server.folder)
            _stop(keeper)
            raise ServiceError(f"{server.name} is not ready after {START_SECONDS} s:\n{text}")
        time.sleep(0.03)
    return False


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    # SIGTERM too, not the pipe alone: a test that forks without exec holds a copy of the pipe.
    keeper.terminate()
    with keeper:  # closes the pipe, then waits
        pass


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")[-3000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _folder(parent: Path, prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(tmp: Path) -> Iterator[str]:
    """A private PostgreSQL; yields the SQLAlchemy URL of its maintenance database.

    Its files are below `tmp`, or in /tmp where `tmp` is closed to the user it must run as.
    """
    binaries, user = _postgres_binaries(), _postgres_user()
    parent = tmp if not user or _open_to_others(tmp) else Path("/tmp")  # noqa: S108 - mkdtemp in it
    with _folder(parent, "idp-postgres-") as folder:
        data = folder / "data"
        _initdb(binaries, data, user)

        def command(port: int) -> list[str]:
            place = [f"--port={port}", "--listen-addresses=127.0.0.1"]
            place.append(f"--unix-socket-directories={folder}")
            size = ["--max-connections=300", "--shared-buffers=32MB"]
            nothing_kept = ["--fsync=off", "--synchronous-commit=off", "--full-page-writes=off"]
            return [str(binaries / "postgres"), "-D", str(data), *place, *size, *nothing_kept]

        def ready(port: int) -> bool:
            try:
                with psycopg.connect(_dsn(_postgres_url(port)), connect_timeout=2) as connection:
                    row = connection.execute("SHOW data_directory").fetchone()
            except psycopg.OperationalError:
                return False
            return row == (str(data),)  # another run may have won the port

        keeper, port = _start(_Server("PostgreSQL", folder, user, "SIGQUIT", command, ready))
        try:
            yield _postgres_url(port)
        finally:
            _stop(keeper)


def fresh_database(server_url: str) -> str:
    """A new empty database on that server, named like no other; returns its URL."""
    return _create_database(server_url, f"idp_test_{secrets.token_hex(8)}")


def _create_database(server_url: str, name: str) -> str:
    with psycopg.connect(_dsn(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{server_url.rpartition('/')[0]}/{name}"


def _postgres_url(port: int) -> str:
    return f"postgresql+psycopg://idp@127.0.0.1:{port}/postgres"


def _dsn(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _postgres_binaries() -> Path:
    """The newest packaged server; PATH second, where a distribution's wrapper may stand."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    for folder in [*packaged, *([Path(on_path).parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServiceError(f"PostgreSQL (initdb, postgres) is not installed: {CURE}")


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", folder.parent.name))


def _postgres_user() -> str:
    """Whom to run it as: ourselves (empty), unless we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return ""
    known = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _open_to_others(folder: Path) -> bool:
    path = folder.resolve()
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def _initdb(binaries: Path, data: Path, user: str) -> None:
    account = pwd.getpwnam(user) if user else None
    if account:
        os.chown(data.parent, account.pw_uid, account.pw_gid)
    access = ["--username=idp", "--auth-host=trust", "--auth-local=reject"]
    shape = ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    result = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), *access, *shape],
        cwd=data.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=user or None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode:
        raise ServiceError(f"initdb failed:\n{result.stdout}{result.stderr}")


@contextmanager
def redis(tmp: Path) -> Iterator[str]:
    """A private Redis that keeps nothing on disk; yields the URL of its database 0."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServiceError(f"Redis (redis-server) is not installed: {CURE}")
    once = Retry(NoBackoff(), 0)
    with _folder(tmp, "idp-redis-") as folder:

        def command(port: int) -> list[str]:
            place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
            nothing_kept = ["--save", "", "--appendonly", "no"]
            return [binary, *place, *nothing_kept, "--databases", str(REDIS_DATABASES)]

        def ready(port: int) -> bool:
            try:
                with Redis(
                    port=port, socket_timeout=2, retry=once, decode_responses=True
                ) as client:
                    return bool(client.config_get("dir") == {"dir": str(folder)})
            except RedisError:
                return False

        keeper, port = _start(_Server("Redis", folder, "", "SIGTERM", command, ready))
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            _stop(keeper)


@dataclass(frozen=True)
class Shared:
    """What runs, by name: its URL, or why there is none."""

    urls: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """The URL of that server; fails the test when it does not run."""
        if name not in self.urls:
            pytest.fail(self.problems[name], pytrace=False)
        return self.urls[name]


@contextmanager
def shared_services() -> Iterator[Shared]:
    """PostgreSQL and Redis, started side by side; one that fails does not take the other along."""
    shared, tmp = Shared(), Path(tempfile.gettempdir())
    with ExitStack() as stack:

        def start(name: str, service: Callable[[Path], AbstractContextManager[str]]) -> None:
            try:
                shared.urls[name] = stack.enter_context(service(tmp))
            except (ServiceError, OSError) as problem:
                shared.problems[name] = str(problem)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(start, ("postgres", "redis"), (postgres, redis)))
        yield shared


_SHARED = pytest.StashKey[Shared]()


def _shared(config: pytest.Config) -> Shared:
    """This run's servers, started by the first who asks in the process that owns the run."""
    if _SHARED not in config.stash:
        config.stash[_SHARED] = _obtain(config)
    return config.stash[_SHARED]


def _obtain(config: pytest.Config) -> Shared:
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        return Shared(**worker_input["idp_services"])
    if os.environ.get("TEST_SERVICES") == "off":
        problem = "this test needs a server, and TEST_SERVICES=off: unset it, or run `make test`"
        return Shared(problems={"postgres": problem, "redis": problem})
    stack = ExitStack()
    config.add_cleanup(stack.close)
    return stack.enter_context(shared_services())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """xdist, in the controller, before each worker starts: tell it where the servers are."""
    node.workerinput["idp_services"] = asdict(_shared(node.config))


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """A database of this worker's own, empty when the run starts."""
    server = _shared(pytestconfig).url("postgres")
    return _create_database(server, f"idp_test_{_worker(pytestconfig)}")


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> str:
    """A Redis database of this worker's own. FLUSHDB is private to it; FLUSHALL is not."""
    server = _shared(pytestconfig).url("redis")
    return f"{server.rpartition('/')[0]}/{_worker(pytestconfig).removeprefix('gw')}"


def _worker(config: pytest.Config) -> str:
    return str(getattr(config, "workerinput", {}).get("workerid", "gw0"))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser's executable."""
    return _executable("Chromium", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def node_path() -> str:
    """Node's executable."""
    return _executable("Node", "node")


def _executable(what: str, *names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.fail(f"{what} ({', '.join(names)}) is not installed: {CURE}", pytrace=False)
