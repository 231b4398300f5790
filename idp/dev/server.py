"""Run the provider in one process tree with throw-away state, and say how to use it."""

import json
import multiprocessing
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idp import settings as configuration
from idp.app import App, create_app
from idp.dev import seeds
from idp.dev.tools import Tools
from idp.errors import ConfigError, IdpError
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.serve import Listener, run_workers
from idp.settings import Settings
from idp.sinks import log
from idp.storage.open import upgrade

HOST = "127.0.0.1"
SEEDED = "dev.json"


def run(
    config_file: Path | None,
    *,
    port: int,
    as_json: bool,
    state: Path | None,
    relying_party: str,
) -> None:
    """Serve until interrupted. A temporary state folder is removed at the end."""
    port = _free_port(port)
    folder = state or Path(tempfile.mkdtemp(prefix="idp-dev-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        settings = configuration.read(
            config_file, issuer=f"http://localhost:{port}", dev=True, state_dir=folder
        )
        log.configure(settings.log.level)
        described = _seeded(settings, folder, relying_party)
        tools = Tools()

        def load() -> App:
            return create_app(
                settings,
                clock=tools.clock,
                messenger=tools.outbox,
                dev=tools,
                admin_token=str(described["admin_token"]),
            )

        run_workers(
            load,
            Listener(
                HOST, port, 1, settings.server.threads, settings.log.level, settings.server.one_core
            ),
            on_ready=lambda: _announce(described, as_json),
        )
    finally:
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)


def _seeded(settings: Settings, folder: Path, relying_party: str) -> Mapping[str, Any]:
    """Seed in a process of its own: what hashing and migrating leave in memory goes with it."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        try:
            theirs.send(_seed(settings, folder, relying_party))
        except IdpError as error:
            theirs.send(error.public)

    process = context.Process(target=work)
    process.start()
    theirs.close()
    try:
        found: Mapping[str, Any] | str = ours.recv()
    except EOFError:
        raise ConfigError("the development state could not be made; the log says why") from None
    finally:
        process.join()
    if isinstance(found, str):
        raise ConfigError(found)
    return found


def _seed(settings: Settings, folder: Path, relying_party: str) -> Mapping[str, Any]:
    """Fill an empty state; a kept one is used as it is, with what was said of it then."""
    kept = folder / SEEDED
    base = {
        "issuer": settings.issuer,
        "ca_file": None,
        "outbox_url": f"{settings.issuer}/dev/outbox",
        "clock_url": f"{settings.issuer}/dev/clock",
    }
    if kept.exists():
        return {**json.loads(kept.read_text()), **base}
    upgrade(settings)
    app = create_app(settings)
    acrs = tuple(app.policy.acrs)
    users = UserAdmin(
        app.stores, app.factors, app.sessions, app.bus, Tools().clock, settings.issuer, acrs
    )
    clients = ClientAdmin(app.stores.clients, app.bus, Tools().clock, acrs)
    described = {
        **base,
        "admin_token": secrets.token_urlsafe(32),
        "users": seeds.people(users, app.authenticators),
        "clients": seeds.clients(clients, relying_party, settings.issuer),
    }
    app.close()
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(described))
    return described


def _announce(described: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(described), flush=True)  # noqa: T201 - the contract of --json
        return
    lines = [
        f"The provider runs at {described['issuer']}",
        "",
        *(f"  {u['username']:6} {u['password']}" for u in described["users"]),
        "",
        f"Discovery  {described['issuer']}/.well-known/openid-configuration",
        f"Outbox     {described['outbox_url']}",
        "Clients and TOTP secrets: idp dev --json",
        "Press Ctrl-C to stop.",
    ]
    print("\n".join(lines), flush=True)  # noqa: T201 - what a person started this for


def _free_port(port: int) -> int:
    """The port itself when it is free, or any free one for 0. Raises ConfigError, naming it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ConfigError(
                f"port {port} is in use; stop what uses it, or choose another with --port"
            ) from None
        found: int = probe.getsockname()[1]
    return found
