"""`idp serve` as an operator starts it: from a TOML file, in a process group of its own.

`serving` starts it and waits until it answers; `Visitor` is a browser that keeps cookies whatever
their flags say, so that an https issuer can be spoken to over plain http on its port.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
import pyotp
import requests
from prometheus_client.mmap_dict import MmapedDict

from idp import settings as configuration
from idp.core import Core, create_core, system_clock
from idp.dev import seeds
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.sessions.service import SessionService
from idp.settings import Settings
from idp.storage.open import upgrade
from tests.house import RELYING_PARTY, Request

ISSUER = "https://idp.example"
HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 20
WAIT = 10  # of one request

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: Callable[[], T], seconds: float = 10) -> T:
    """The first true answer. Fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer: {found!r}"
        time.sleep(0.02)


@dataclass
class Place:
    """A folder with a configuration in it, before or after `idp serve` ran there."""

    folder: Path
    port: int = field(default_factory=free_port)
    management_port: int = field(default_factory=free_port)
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "idp.toml"

    @property
    def stderr(self) -> Path:
        return self.folder / "stderr.log"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def management(self) -> str:
        return f"http://{HOST}:{self.management_port}"

    def settings(self) -> Settings:
        return configuration.read(self.config)

    def configure(self, text: str = "", server: str = "", **top: str) -> "Place":
        """Write the file: the defaults of these tests, then `text`, which begins with a table."""
        lines = {"issuer": ISSUER, "state_dir": str(self.folder / "state"), **top}
        self.config.write_text(
            "\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items())
            + f"""
[server]
port = {self.port}
management_port = {self.management_port}
{server}
[factors.password]
memory_kib = 8192
iterations = 1
[web]
sign_in_rate = "100000/minute"
machine_failure_rate = "100000/minute"
[log]
level = "debug"
{text}
"""
        )
        return self

    def seed(self) -> None:
        """The people and clients of development mode, written by another process than serves."""
        upgrade(self.settings())
        with self.core() as core:
            sessions = SessionService(
                core.stores.sessions, core.settings.session, core.bus, core.clock
            )
            acrs = tuple(core.policy.acrs)
            users = UserAdmin(
                core.stores,
                core.factors,
                sessions,
                core.bus,
                core.clock,
                core.settings.issuer,
                acrs,
            )
            clients = ClientAdmin(core.stores.clients, core.bus, core.clock, acrs)
            self.described = {
                "users": {u["username"]: u for u in seeds.people(users, core.authenticators)},
                "clients": {
                    c["client_id"]: c
                    for c in seeds.clients(clients, RELYING_PARTY, core.settings.issuer)
                },
            }

    @contextmanager
    def core(self) -> Iterator[Core]:
        """The stores, as a command opens them."""
        core = create_core(self.settings(), clock=system_clock)
        try:
            yield core
        finally:
            core.close()

    def secret(self, client_id: str) -> str:
        return str(self.described["clients"][client_id]["client_secret"])

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "idp.cli", "--config", str(self.config), *words]

    def idp(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def call(
        self,
        path: str,
        form: Mapping[str, Any] | None = None,
        *,
        client: str = "",
        secret: str | None = None,
        bearer: str = "",
    ) -> requests.Response:
        """A machine's request, on a connection of its own: any worker may take it."""
        headers = {}
        if client:
            pair = f"{client}:{self.secret(client) if secret is None else secret}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        verb = "GET" if form is None else "POST"
        return requests.request(
            verb, self.url + path, data=form, headers=headers, timeout=WAIT, allow_redirects=False
        )

    def redeem(self, request: Request, code: str) -> requests.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.verifier,
        }
        return self.call("/token", form, client=request.client_id)

    def refresh(self, token: str, client: str = "web") -> requests.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self.call("/token", form, client=client)

    def tokens(self, username: str = "ben") -> dict[str, Any]:
        """A whole code flow; the token endpoint's JSON."""
        request = Request()
        answer = self.redeem(request, Visitor(self).sign_in(request, username))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def metrics(self) -> str:
        return requests.get(f"{self.management}/metrics", timeout=WAIT).text

    def counted(self, series: str) -> float:
        """The value of one series of /metrics; 0 when it is not there."""
        found = [line for line in self.metrics().splitlines() if line.startswith(f"{series} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


@dataclass
class Serving(Place):
    """The same with the process that serves it."""

    process: subprocess.Popen[bytes] = field(kw_only=True)

    @property
    def family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> set[int]:
        """Who answered requests or may: every child that listens on the public port."""
        found = set()
        for child in self.family:
            try:
                ports = {c.laddr.port for c in child.net_connections("tcp") if c.status == "LISTEN"}
            except psutil.Error:
                continue
            if self.port in ports:
                found.add(child.pid)
        return found

    def answered(self) -> dict[int, float]:
        """How many requests each worker counted, by its process id; read from its own file."""
        found = {}
        for file in self.folder.glob("tmp/idp-metrics-*/counter_*.db"):
            values = MmapedDict.read_all_values_from_file(str(file))
            count = sum(v for key, v, *_ in values if json.loads(key)[0] == "http_requests")
            found[int(file.stem.removeprefix("counter_"))] = count
        return found

    def log(self) -> list[str]:
        return self.stderr.read_text().splitlines()

    def kill(self) -> None:
        """The power cut: every process of the group at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_SECONDS)


@contextmanager
def serving(place: Place, *arguments: str) -> Iterator[Serving]:
    """`idp serve`, once it answers. Whatever is left of its group at the end is killed."""
    temporary = place.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    with place.stderr.open("ab") as log:
        process = subprocess.Popen(
            place.command("serve", *arguments),
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "TMPDIR": str(temporary)},
            start_new_session=True,
        )
    live = Serving(
        place.folder, place.port, place.management_port, place.described, process=process
    )
    try:
        _wait_for(live)
        yield live
    finally:
        stop(live)


def _wait_for(live: Serving) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.get(f"{live.url}/jwks", timeout=WAIT).raise_for_status()
            return
        except requests.RequestException:
            assert live.process.poll() is None, live.stderr.read_text()[-2000:]
            assert time.monotonic() < deadline, live.stderr.read_text()[-2000:]
            time.sleep(0.02)


def stop(live: Serving) -> None:
    if live.process.poll() is None:
        live.process.terminate()
        try:
            live.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            live.kill()
    try:
        os.killpg(live.process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Visitor:
    """A browser that asks for JSON. Each request has its own connection: any worker may take it."""

    def __init__(self, place: Place, cookies: Mapping[str, str] | None = None) -> None:
        self.place = place
        self.cookies = dict(cookies or {})

    def open(self, target: str, form: Mapping[str, str] | None = None) -> requests.Response:
        """`target` may be absolute; only its path and query count."""
        parts = urlsplit(target)
        headers = {"Accept": "application/json"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={v}" for name, v in self.cookies.items())
        response = requests.request(
            "GET" if form is None else "POST",
            f"{self.place.url}{parts.path}" + (f"?{parts.query}" if parts.query else ""),
            data=form,
            headers=headers,
            allow_redirects=False,
            timeout=WAIT,
        )
        for line in response.raw.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return response

    def begin(self, request: Request) -> dict[str, Any]:
        """The first page: a step, or the end where the session was enough."""
        response = self.open(f"/authorize?{request.query()}")
        if response.status_code == 303:
            response = self.open(response.headers["Location"])
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page

    def answer(self, page: Mapping[str, Any], **fields: str) -> requests.Response:
        form = {"csrf": page["csrf"], "factor": page.get("factor", ""), **fields}
        return self.open(page["action"], form)

    def sign_in(self, request: Request, username: str = "ben") -> str:
        """Answer every page; the code."""
        page = self.begin(request)
        for _ in range(4):
            if page["step"] == "done":
                return code_of(page)
            response = self.answer(page, **self._fields(page, username))
            assert response.status_code == 200, response.text
            page = response.json()
        raise AssertionError(f"no end: {page}")

    def _fields(self, page: Mapping[str, Any], username: str) -> dict[str, str]:
        if page["step"] == "consent":
            return {"decision": "allow"}
        user = self.place.described["users"][username]
        known = {"username": username, "password": user["password"]}
        if user["totp_secret"]:
            known["code"] = pyotp.TOTP(user["totp_secret"]).now()
        names: Sequence[str] = [f["name"] for f in page["fields"]]
        return {name: known[name] for name in names}


def code_of(page: Mapping[str, Any]) -> str:
    query = parse_qs(urlsplit(page["redirect_uri"]).query, strict_parsing=True)
    assert "code" in query, page
    return query["code"][0]


def authorize_path(request: Request, **more: str) -> str:
    tail = f"&{urlencode(more)}" if more else ""
    return f"/authorize?{request.query()}{tail}"
