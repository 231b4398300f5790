"""`python -m bench.bare hello|flask`: the least that granian can serve, as `idp serve` runs it."""

import json
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from idp.serve import Listener, run_workers
from idp.settings import Server

HOST = "127.0.0.1"
BODY = b'{"hello":"world"}'


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI and nothing else."""
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
    )
    return [BODY]


def flask() -> Flask:
    """One view that returns text."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    return app


class _Loaded:
    """What `run_workers` expects of an application."""

    def __init__(self, wsgi: Any) -> None:
        self.wsgi = wsgi


def main(kind: str) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    load: Any = lambda: _Loaded(hello if kind == "hello" else flask())  # noqa: E731 - a loader
    run_workers(
        load,
        Listener(HOST, port, 1, Server().threads, "warning"),
        on_ready=lambda: print(json.dumps({"port": port}), flush=True),
    )


if __name__ == "__main__":
    main(sys.argv[1])
