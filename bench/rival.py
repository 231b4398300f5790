"""npm's `oidc-provider`, where Node and the package are there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.server import ROOT, started
from bench.site import Paths, Person, Site

INSTALLED = ROOT / "tests" / "interop"
PATHS = Paths("/auth", "/token", "/token/introspection", "/me", "/jwks")


@contextmanager
def rival(log: Path, ours: Site) -> Iterator[Site | None]:
    """None where it is not installed: the table then has no figure for it.

    It may use the cores that our worker uses: one core costs less per request than two.
    """
    node = shutil.which("node")
    if node is None or not (INSTALLED / "node_modules" / "oidc-provider").is_dir():
        yield None
        return
    command = [node, str(Path(__file__).with_name("oidc_provider.mjs"))]
    with started(command, log, folder=INSTALLED, worker=False) as server:
        found = server.described
        for thread in Path(f"/proc/{server.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), os.sched_getaffinity(ours.pid))
        secrets = dict.fromkeys(("web", "service"), found["secret"])
        people = {"ben": Person("ben", "anything")}
        name = f"oidc-provider {found['version']}"
        yield Site(name, found["issuer"], server.pid, secrets, people, PATHS, settle=0.05)
