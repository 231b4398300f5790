"""What is measured: each subject is one kind of request, against any site that has it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import client
from bench.client import Connection, connected, pump
from bench.site import RESOURCE, Site, Visitor

CONNECTIONS = 4
TOTP_STEP = 30


@dataclass
class Round:
    """One visit to one site: a signed-in user, and the tokens it has."""

    site: Site
    visitor: Visitor
    access: str
    refresh: list[str]
    fresh: list[str] = field(default_factory=list)
    """Access tokens that the site issued and has not been shown yet."""
    connections: Sequence[Connection] = ()
    spent: float = 0.0

    def measure(self, requests: Iterable[bytes]) -> list[bytes]:
        with self.site.meter(self.add):
            return pump(self.connections, requests)

    def add(self, seconds: float) -> None:
        self.spent += seconds


@dataclass(frozen=True, slots=True)
class Subject:
    """`send` makes that many requests and measures them. `limit` names what cannot be saved."""

    name: str
    send: Callable[[Round, int], None]
    count: int
    limit: tuple[str, ...]
    target: float | None = None
    plus: str | None = None
    """What the target stands on top of, by its name among the limits."""
    rival: bool = True
    grows: bool = True


def _document(path: str) -> Callable[[Round, int], None]:
    def send(now: Round, count: int) -> None:
        now.measure([client.get(now.site.host, getattr(now.site.paths, path))] * count)

    return send


def _client_credentials(client_id: str) -> Callable[[Round, int], None]:
    form = {"grant_type": "client_credentials", "resource": RESOURCE}

    def send(now: Round, count: int) -> None:
        now.measure([now.site.token_request(client_id, form)] * count)

    return send


def _introspect(now: Round, count: int) -> None:
    now.measure([_introspection(now, now.access)] * count)


def _introspect_fresh(now: Round, count: int) -> None:
    tokens = now.fresh[:count]
    if len(tokens) < count:
        raise RuntimeError("refresh comes first: it makes the tokens")
    now.measure([_introspection(now, token) for token in tokens])


def _introspection(now: Round, token: str) -> bytes:
    secret = client.basic("web", now.site.secrets["web"])
    return client.post(now.site.host, now.site.paths.introspect, {"token": token}, secret)


def _userinfo(now: Round, count: int) -> None:
    request = client.get(now.site.host, now.site.paths.userinfo, client.bearer(now.access))
    now.measure([request] * count)


def _refresh(now: Round, count: int) -> None:
    """Each answer's token is the next request's, on every connection."""
    with now.site.meter(now.add):
        for _ in range(count // CONNECTIONS):
            forms = [{"grant_type": "refresh_token", "refresh_token": t} for t in now.refresh]
            requests = [now.site.token_request("web", form) for form in forms]
            answers = [json.loads(body) for body in pump(now.connections, requests)]
            now.refresh = [answer["refresh_token"] for answer in answers]
            now.fresh += [answer["access_token"] for answer in answers]


def _exchange(now: Round, count: int) -> None:
    now.measure([now.site.redemption(now.visitor.code(now.connections[0])) for _ in range(count)])


def _login(now: Round, count: int) -> None:
    with now.site.meter(now.add):
        for _ in range(count):
            sign_in(now.site, now.connections[0], "ben")


def _login_totp(now: Round, count: int) -> None:
    """A code works once: the clock moves between two, and what that makes stale is renewed."""
    for _ in range(count):
        now.site.advance(now.connections[0], TOTP_STEP)
        sign_in(now.site, now.connections[0], "ben")
        with now.site.meter(now.add):
            sign_in(now.site, now.connections[0], "ana")


def sign_in(site: Site, connection: Connection, person: str) -> Mapping[str, str]:
    """A browser that was never here, up to the tokens."""
    code = Visitor(site, person).code(connection)
    answer: Mapping[str, str] = json.loads(pump([connection], [site.redemption(code)])[0])
    return answer


def _sign_in(pages: int) -> tuple[str, ...]:
    return ("Argon2id", *["Flask"] * pages, "hello", "ES256", "RS256", "commit")


SUBJECTS = (
    Subject("discovery", _document("discovery"), 2000, ("hello",), 0.04),
    Subject("JWKS", _document("jwks"), 2000, ("hello",), 0.04),
    Subject(
        "client_credentials ES256", _client_credentials("service"), 800, ("hello", "ES256"), 0.12
    ),
    Subject(
        "client_credentials RS256",
        _client_credentials("service-rs256"),
        300,
        ("hello", "RS256"),
        0.12,
        "RS256",
        rival=False,
    ),
    Subject(
        "client_credentials Ed25519",
        _client_credentials("service-ed25519"),
        800,
        ("hello", "Ed25519"),
        rival=False,
    ),
    Subject("refresh", _refresh, 80, ("hello", "ES256", "RS256", "commit")),
    Subject("introspection", _introspect, 800, ("hello",), 0.15),
    Subject("introspection, first sight", _introspect_fresh, 80, ("hello", "verify"), rival=False),
    Subject("userinfo", _userinfo, 800, ("hello",), 0.20),
    Subject("code exchange", _exchange, 80, ("hello", "ES256", "RS256", "commit"), 1.0),
    Subject(
        "login (password)",
        _login,
        10,
        _sign_in(pages=3),
        6.0,
        "Argon2id",
        rival=False,
    ),
    Subject(
        "login (password and TOTP)",
        _login_totp,
        3,
        _sign_in(pages=5),
        rival=False,
        grows=False,
    ),
)


def arrive(site: Site) -> Round:
    """Sign in, and come away with tokens for every connection."""
    with connected(site.port, CONNECTIONS) as connections:
        visitor = Visitor(site)
        codes = [visitor.code(connections[0]) for _ in connections]
        answers = [json.loads(b) for b in pump(connections, map(site.redemption, codes))]
    refresh = [answer["refresh_token"] for answer in answers]
    return Round(site, visitor, answers[0]["access_token"], refresh)


def run(subject: Subject, count: int, now: Round) -> float:
    """CPU milliseconds per request. Connections are made anew: servers close idle ones."""
    now.spent = 0.0
    with connected(now.site.port, CONNECTIONS) as now.connections:
        subject.send(now, count)
    return now.spent / count * 1000
