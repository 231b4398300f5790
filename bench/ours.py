"""This provider under measurement: `idp dev` with one worker, in a state of its own."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import seed
from bench.server import ROOT, Started, memory, python, started
from bench.site import Person, Site
from bench.subjects import arrive

PEOPLE = ("dan", "eva")
ENVIRONMENT = {"IDP_WEB__SIGN_IN_RATE": "1000000/minute"}
COMMAND = python("-m", "idp.cli", "dev", "--json", "--port", "0")


@contextmanager
def ours(folder: Path, users: int) -> Iterator[Site]:
    """With that many users more than development mode has."""
    folder.mkdir()
    command = [*COMMAND, "--state", str(folder)]
    with started(command, folder / "log", environment=ENVIRONMENT) as server:
        site = _site(server, f"idp, {users:,} users")
        for name in PEOPLE:
            site.people[name] = _person(folder, site.issuer, name)
        seed.clients(folder)
        arrive(site)
        seed.users(folder, users)
        yield site


def _person(folder: Path, issuer: str, name: str) -> Person:
    """One user more, with a password alone."""
    password = secrets.token_urlsafe(12)
    settings = {"IDP_STATE_DIR": str(folder), "IDP_DEV": "true", "IDP_ISSUER": issuer}
    subprocess.run(
        python("-m", "idp.cli", "user", "add", name, "--password-stdin", "--json"),
        input=password,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    return Person(name, password)


def start_figures(log: Path, times: int) -> Mapping[str, Any]:
    """Seconds until `idp dev` says that it is ready, and its memory then, and after use."""
    seconds, found = [], {}
    for _ in range(times):
        with started(COMMAND, log, environment=ENVIRONMENT) as server:
            seconds.append(server.seconds)
            found["ready"] = memory(server.master)
            arrive(_site(server, "idp"))
            found["used"] = memory(server.master)
    return {"seconds": sorted(seconds)[len(seconds) // 2], **found}


def _site(server: Started, name: str) -> Site:
    described = server.described
    known = {c["client_id"]: c["client_secret"] for c in described["clients"]}
    known |= {f"service-{alg.lower()}": known["service"] for alg in seed.ALGORITHMS}
    people = {
        user["username"]: Person(user["username"], user["password"], user["totp_secret"])
        for user in described["users"]
    }
    return Site(name, described["issuer"], server.pid, known, people)
