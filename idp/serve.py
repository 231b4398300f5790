"""Granian under the provider: one master that forks worker processes.

The master loads what workers share; each worker opens its own connections.
"""

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from idp.app import App, create_app
from idp.caretaker import start_caretaker
from idp.errors import ConfigError
from idp.flow.threads import gather
from idp.settings import Settings
from idp.sinks import log
from idp.storage.open import schema_current, upgrade
from idp.web.wsgi import Door

READY_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Listener:
    host: str
    port: int
    workers: int
    threads: int
    log_level: str = "info"
    one_core: bool = True


def serve(settings: Settings, *, upgrade_first: bool) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigError before anything listens."""
    log.configure(settings.log.level)
    if upgrade_first or (not settings.storage.database_url and not schema_current(settings)):
        upgrade(settings)
    if settings.server.workers > 1 and not settings.storage.database_url and not settings.dev:
        raise ConfigError("server.workers: more than one worker needs storage.database_url")
    listener = Listener(
        settings.server.host,
        settings.server.port,
        settings.server.workers,
        settings.server.threads,
        settings.log.level,
        settings.server.one_core,
    )
    create_app(settings).close()
    require_free(listener)
    caretaker = start_caretaker(settings)
    try:
        run_workers(lambda: create_app(settings), listener)
    finally:
        caretaker.terminate()
        caretaker.join(timeout=5)


def require_free(listener: Listener) -> None:
    """Raises ConfigError for an address that cannot be had. Granian shares a taken port (its
    workers listen with SO_REUSEPORT), and two providers would answer by turns."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        socket.create_server((listener.host, listener.port), family=family).close()
    except OSError as problem:
        raise ConfigError(
            f"server.port: {listener.host}:{listener.port}: {problem.strerror}"
        ) from None


def run_workers(
    load: Callable[[], App], listener: Listener, on_ready: Callable[[], None] | None = None
) -> None:
    """Block until stopped. `load` and then `on_ready` run in each worker.

    No thread runs here when a worker is forked: a lock that it held would stay locked there.
    """
    gc.collect()
    gc.freeze()  # what workers share stays shared: the collector does not touch it
    server = Server(
        "idp",
        address=listener.host,
        port=listener.port,
        interface=Interfaces.WSGI,
        workers=listener.workers,
        blocking_threads=listener.threads,
        log_enabled=True,
        log_dictconfig=log.dict_config(listener.log_level),
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    )

    def loaded(*_: object) -> Door:
        if listener.workers == 1 and listener.one_core:
            gather()
        app = load()
        if on_ready is not None:
            threading.Thread(
                target=_announce, args=(listener.host, listener.port, on_ready), daemon=True
            ).start()
        return app.wsgi

    server.serve(target_loader=loaded, wrap_loader=False)


def _announce(host: str, port: int, on_ready: Callable[[], None]) -> None:
    """In the worker: the listener accepts only after the application is loaded."""
    request = b"GET /jwks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    deadline = time.monotonic() + READY_WITHIN.total_seconds()
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host, port), timeout=1) as connection,
        ):
            connection.sendall(request)
            if connection.recv(16).startswith(b"HTTP/1.1 "):
                on_ready()
                return
        time.sleep(0.01)
