"""`make demo`: the provider with throw-away state and a relying party, until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pyotp
from werkzeug.serving import make_server

from examples.relying_party.app import create_app

READY_WITHIN = 60.0
STOP_WITHIN = 10.0
TOTP_PERIOD = 30
LOG_LINES_SHOWN = 15


class DemoError(Exception):
    """Something a person can put right; the text says how."""


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    stop = threading.Event()
    catch_signals(stop)
    try:
        require_free(options.port, "DEMO_PORT")
        require_free(options.rp_port, "DEMO_RP_PORT")
        print("Starting the provider ...", flush=True)
        with (
            tempfile.TemporaryFile("a+b") as log,
            running_provider(options.port, options.rp_port, log) as provider,
        ):
            ready = wait_until_ready(provider, log, stop)
            if ready is not None:
                with running_relying_party(ready, options.rp_port) as url:
                    print(welcome(ready, url), flush=True)
                    stay(ready, provider, log, stop)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("Stopped; nothing is left behind.")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo",
        description="Run the provider with throw-away state, and a relying party to sign in at.",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        default=os.environ.get("DEMO_PORT", "8000"),
        help="the provider's port (default 8000, or DEMO_PORT)",
    )
    parser.add_argument(
        "--rp-port",
        type=port_number,
        default=os.environ.get("DEMO_RP_PORT", "8001"),
        help="the relying party's port (default 8001, or DEMO_RP_PORT)",
    )
    options = parser.parse_args(arguments)
    if options.port == options.rp_port:
        parser.error(f"both ports are {options.port}; they must differ")
    return options


def port_number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")


def catch_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())


def require_free(port: int, variable: str) -> None:
    """Fail if anything listens on the port, on either address that `localhost` may mean."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise DemoError(
                    f"port {port} is in use (by another program); stop it or set {variable}"
                ) from error
            if error.errno == errno.EACCES:
                raise DemoError(
                    f"port {port} may not be opened by this user; set {variable} to one above 1023"
                ) from error
            if family == socket.AF_INET:
                raise DemoError(f"port {port} cannot be opened: {error.strerror}") from error


@contextmanager
def running_provider(port: int, rp_port: int, log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """Run `idp dev` in a process group of its own, and end the whole group afterwards."""
    command = [sys.executable, "-m", "idp.cli", "dev", "--json", "--port", str(port)]
    command += ["--relying-party", f"http://localhost:{rp_port}"]
    provider = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield provider
    finally:
        provider.terminate()
        with suppress(subprocess.TimeoutExpired):
            provider.wait(STOP_WITHIN)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(provider.pid, signal.SIGKILL)
        provider.wait()


def wait_until_ready(
    provider: subprocess.Popen[bytes], log: BinaryIO, stop: threading.Event
) -> dict[str, Any] | None:
    """Return what the provider prints when it is ready, or nothing if asked to stop first."""
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=read_lines, args=(provider.stdout, lines), daemon=True).start()
    deadline = time.monotonic() + READY_WITHIN
    while not stop.is_set():
        with suppress(queue.Empty):
            line = lines.get(timeout=0.1)
            if not line:
                provider.wait(STOP_WITHIN)
                raise DemoError(f"the provider ended before it was ready{last_lines(log)}")
            try:
                ready: dict[str, Any] = json.loads(line)
            except ValueError as error:
                raise DemoError(
                    f"the provider's first line is not JSON: {line!r}{last_lines(log)}"
                ) from error
            return ready
        if time.monotonic() > deadline:
            raise DemoError(f"the provider was not ready in {READY_WITHIN:.0f} s{last_lines(log)}")
    return None


def read_lines(stream: BinaryIO, lines: queue.Queue[bytes]) -> None:
    """Hand over the first line (empty at the end), then keep the pipe from filling up."""
    lines.put(stream.readline())
    for _ in stream:
        pass


def last_lines(log: BinaryIO) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return "; its last words were:\n  " + "\n  ".join(lines) if lines else "; it said nothing"


@contextmanager
def running_relying_party(ready: dict[str, Any], port: int) -> Iterator[str]:
    client, url = pick_client(ready["clients"], port)
    app = create_app(ready["issuer"], client["client_id"], client["client_secret"] or None, url)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pick_client(clients: list[dict[str, Any]], port: int) -> tuple[dict[str, Any], str]:
    """Take `web` if it may return to this port, else a public client, for which any port will do.

    RFC 8252 section 7.3: a native client's loopback redirect URI matches whatever its port.
    """
    url = f"http://localhost:{port}"
    for client in clients:
        if client["client_id"] == "web" and f"{url}/callback" in client["redirect_uris"]:
            return client, url
    for client in clients:
        if client["token_endpoint_auth_method"] == "none":
            for redirect_uri in client["redirect_uris"]:
                parts = urlsplit(redirect_uri)
                if parts.scheme == "http" and parts.path == "/callback":
                    return client, f"http://{parts.hostname}:{port}"
    raise DemoError(f"no client of the provider may return to {url}/callback; use --rp-port 8001")


def welcome(ready: dict[str, Any], url: str) -> str:
    people = [(user["username"], user["password"]) for user in ready["users"]]
    width = max(len(name) for name, _ in people)
    accounts = "\n".join(f"    {name:<{width}}  {password}" for name, password in people)
    return f"""
  Open {url} in a browser and press Sign in.

  User name and password:
{accounts}

  Try:
    ana  signs in with the password and a code
    amy  signs in with the password alone; press Transfer money to be asked for the code
    ben  has no second factor: the transfer leads him through adding one

  The provider:      {ready["issuer"]}
  SMS and mail sent: {ready["outbox_url"]}

  Press Ctrl-C to stop. Everything is thrown away then.
"""


def stay(
    ready: dict[str, Any],
    provider: subprocess.Popen[bytes],
    log: BinaryIO,
    stop: threading.Event,
) -> None:
    """Keep the codes on the screen current, until asked to stop; fail if the provider ends."""
    live = sys.stdout.isatty()
    if not live:
        print(f"  {codes(ready['users'], time.time())}", flush=True)
    while not stop.is_set():
        if provider.poll() is not None:
            print(flush=True)
            raise DemoError(
                f"the provider ended by itself (exit code {provider.returncode}){last_lines(log)}"
            )
        if live:
            print(f"\r\x1b[K  {codes(ready['users'], time.time())}", end="", flush=True)
        stop.wait(1)
    print(flush=True)


def codes(users: list[dict[str, Any]], now: float) -> str:
    shown = [
        f"{user['username']} {pyotp.TOTP(user['totp_secret']).at(int(now))}"
        for user in users
        if user["totp_secret"]
    ]
    left = TOTP_PERIOD - int(now) % TOTP_PERIOD
    return f"Codes: {', '.join(shown)} (each works once, for {left} more s)"


if __name__ == "__main__":
    sys.exit(main())
