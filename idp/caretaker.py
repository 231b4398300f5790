"""The caretaker: one process beside the workers that sweeps what expired and answers operators.

/metrics adds up all workers, /health opens the stores anew. It is a process and not a thread of
the master, because the master forks workers whenever one is replaced.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from idp import events
from idp.core import system_clock
from idp.errors import ConfigError
from idp.messaging.delivery import Delivery
from idp.messaging.smtp import Smtp
from idp.ports import Stores
from idp.settings import Settings
from idp.sinks.audit import AuditSink
from idp.sinks.log import LogSink
from idp.sinks.metrics import Metrics
from idp.storage.open import open_stores

DELIVER_EVERY = timedelta(seconds=2)
SWEEP_EVERY = timedelta(minutes=5)
KEPT = timedelta(days=1)  # past its end: a replayed code is still known as one
LOOK_FOR_PARENT = timedelta(seconds=1)
_log = logging.getLogger(__name__)


def start_caretaker(settings: Settings) -> BaseProcess:
    """Bind the management port here, so that a taken one is a ConfigError, and fork."""
    server = _management(settings)
    process = multiprocessing.get_context("fork").Process(
        target=_run, args=(settings, server, os.getpid()), daemon=True
    )
    process.start()
    if server is not None:
        server.server_close()
    return process


def _run(settings: Settings, server: WSGIServer | None, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's; it tells us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if server is not None:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if settings.mail.host:
        threading.Thread(target=deliver_for_ever, args=(settings,), daemon=True).start()
    waiting = threading.Event()
    seconds = 0.0
    while os.getppid() == parent:
        waiting.wait(LOOK_FOR_PARENT.total_seconds())
        seconds += LOOK_FOR_PARENT.total_seconds()
        if seconds >= SWEEP_EVERY.total_seconds():
            seconds = 0.0
            sweep(settings)


@contextmanager
def _briefly(settings: Settings) -> Iterator[Stores]:
    stores = open_stores(settings, system_clock)
    try:
        yield stores
    finally:
        stores.close()


def sweep(settings: Settings) -> None:
    """Forget what expired. A failure is logged and tried again at the next round."""
    try:
        with _briefly(settings) as stores:
            stores.purge(system_clock() - KEPT)
    except Exception:  # noqa: BLE001 - any store may fail in any way; the next round tries again
        _log.exception("sweeping expired rows failed")


def deliver_for_ever(settings: Settings) -> None:
    """Carry mails from the queue to the server. What fails is logged and tried again."""
    while True:
        try:
            with _briefly(settings) as stores:
                delivery = delivery_of(settings, stores)
                while True:
                    if not delivery.round():
                        time.sleep(DELIVER_EVERY.total_seconds())
        except Exception:  # noqa: BLE001 - a store or a setting may fail in any way
            _log.exception("delivering mail failed")
            time.sleep(SWEEP_EVERY.total_seconds() / 10)


def delivery_of(settings: Settings, stores: Stores) -> Delivery:
    """Raises ConfigError for settings of mail that cannot work."""
    bus = events.Bus((AuditSink(stores.audit), LogSink()))
    deliver = Smtp.of(settings).deliver
    return Delivery(stores.mails, deliver, settings.mail.keep_trying, bus, system_clock)


def healthy(settings: Settings) -> bool:
    try:
        with _briefly(settings) as stores:
            return stores.healthy()
    except Exception:  # noqa: BLE001 - any store may fail in any way; the next round tries again
        _log.exception("the health check failed")
        return False


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Scrapes are not news."""


def _management(settings: Settings) -> WSGIServer | None:
    if not settings.server.management_port:
        return None
    metrics = Metrics()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            body, content_type = metrics.render()
            start_response("200 OK", [("Content-Type", content_type)])
            return [body]
        if path == "/health":
            well = healthy(settings)
            status = "200 OK" if well else "503 Service Unavailable"
            start_response(status, [("Content-Type", "application/json")])
            return [b'{"healthy":true}' if well else b'{"healthy":false}']
        start_response("404 Not Found", [])
        return [b""]

    host, port = settings.server.management_host, settings.server.management_port
    try:
        return make_server(host, port, answer, handler_class=_Quiet)
    except OSError as problem:
        raise ConfigError(f"server.management_port: {port}: {problem.strerror}") from None
