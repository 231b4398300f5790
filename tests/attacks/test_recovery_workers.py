"""Mail, links and coming in on two workers over PostgreSQL and Redis, by an SMTP server that wants
TLS: what many requests at once, odd addresses and the log show. `test_recovery_live` has the rest.
"""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from redis import Redis

from tests.contract.race import THREADS, race
from tests.house import Request
from tests.mail_server import Mailbox, Received, mail_server, trust
from tests.services import fresh_database
from tests.serving import HOST, ISSUER, Place, Serving, Visitor, serving, until

pytestmark = pytest.mark.xdist_group("recovery workers")

FRESH = "a wholly new password"
LINK = re.compile(re.escape(ISSUER) + r"(/link/[\w-]{43})\n")


@dataclass
class Live:
    place: Serving
    mailbox: Mailbox

    def sent_to(self, address: str) -> list[Received]:
        return [got for got in self.mailbox.got if got.recipients == [address]]

    def told(self, address: str, words: str) -> Received:
        """The first one to the address that says so."""
        return until(lambda: [m for m in self.sent_to(address) if words in m.text], 20)[0]

    def link_to(self, address: str) -> str:
        found = LINK.search(self.told(address, f"{ISSUER}/link/").text)
        assert found
        return found[1]

    def settled(self) -> None:
        """Nothing waits any more, and nothing more is about to."""
        with self.place.core() as core:
            until(lambda: core.stores.mails.waiting() == 0, 20)


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> Iterator[Live]:
    Redis.from_url(redis_url).flushdb()
    folder = tmp_path_factory.mktemp("recovery")
    trusted = trust(folder)
    with mail_server(trusted.tls) as mailbox:
        place = Place(folder).configure(
            f"""
[storage]
database_url = "{fresh_database(postgres_url)}"
redis_url = "{redis_url}"
[registration]
open = true
[outbound]
ca_bundle = "{trusted.bundle}"
[mail]
host = "localhost"
port = {mailbox.port}
sender = "Example <login@idp.example>"
""",
            server="workers = 2",
        )
        place.seed()
        with serving(place) as found:
            until(lambda: len(found.workers()) == 2)
            until(lambda: race(lambda _: found.call("/jwks"), 8) and _all_answered(found, {}))
            yield Live(found, mailbox)


def _all_answered(place: Serving, before: dict[int, float]) -> bool:
    now = place.answered()
    return all(now.get(pid, 0) > before.get(pid, 0) for pid in place.workers())


class Page:
    """A form that one visitor was shown. Every request has its own connection."""

    def __init__(self, live: Live, path: str, visitor: Visitor | None = None) -> None:
        self.visitor = visitor or Visitor(live.place)
        self.path = path
        shown = self.visitor.open(path)
        found = re.search(r'name="csrf" value="([^"]+)"', shown.text)
        self.status, self.csrf = shown.status_code, "" if found is None else found[1]

    def submit(self, **fields: str) -> requests.Response:
        return self.visitor.open(self.path, {"csrf": self.csrf, **fields})


def password_works(live: Live, username: str, password: str) -> bool:
    visitor = Visitor(live.place)
    page = visitor.begin(Request())
    answer = visitor.answer(page, username=username, password=password).json()
    return not answer.get("error")


def test_lg_05_registering_is_answered_alike(live: Live) -> None:
    addresses = ("amy@example.com", "nobody@example.com", "amy@bücher.example")
    answers = [Page(live, "/register").submit(email=address) for address in addresses]
    assert {(a.status_code, a.headers["Location"], a.text) for a in answers} == {
        (303, f"{ISSUER}/recover/sent", answers[0].text)
    }
    assert len({frozenset(a.headers) for a in answers}) == 1
    assert live.told("amy@example.com", "which has one: amy")
    assert live.link_to("nobody@example.com")
    assert live.link_to("amy@xn--bcher-kva.example")


def test_a_new_password_works_on_every_worker_at_once(live: Live) -> None:
    old = live.place.described["users"]["cyd"]["password"]
    Page(live, "/recover").submit(username="cyd")
    Page(live, live.link_to("cyd@example.com")).submit(password=FRESH)
    before = live.place.answered()
    # Four: what is counted before it is looked at makes a fifth at the same moment wait.
    assert race(lambda _: password_works(live, "cyd", FRESH), 4) == [True] * 4
    assert race(lambda _: password_works(live, "cyd", old), 2) == [False] * 2
    assert _all_answered(live.place, before)


def test_nobodys_mailbox_is_flooded_by_many_at_once(live: Live) -> None:
    page = Page(live, "/recover")
    race(lambda _: page.submit(username="dia"), 8)  # one network may ask 20 times in all
    live.told("dia@example.com", f"{ISSUER}/link/")
    live.settled()
    assert len([m for m in live.sent_to("dia@example.com") if LINK.search(m.text)]) == 3


def test_lg_08_a_host_of_somebody_else(live: Live) -> None:
    answer = post_by_hand(live, "/recover", "evil.example", "eli")
    assert f"location: {ISSUER}/recover/sent".encode() in answer
    assert live.link_to("eli@example.com")
    assert not [got for got in live.sent_to("eli@example.com") if b"evil" in got.raw]


def test_lg_08_an_absolute_form_uri(live: Live) -> None:
    answer = post_by_hand(live, "http://evil.example/recover", "evil.example", "ana")
    assert b"evil" not in answer
    live.settled()
    assert not [got for got in live.sent_to("ana@example.com") if b"evil" in got.raw]


def post_by_hand(live: Live, target: str, host: str, username: str) -> bytes:
    """A wish for a link as no library would send it."""
    page = Page(live, "/recover")
    cookies = "; ".join(f"{name}={value}" for name, value in page.visitor.cookies.items())
    body = f"csrf={page.csrf}&username={username}"
    sent = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookies}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        f"{body}"
    )
    with socket.create_connection((HOST, live.place.port), 10) as wire:
        wire.sendall(sent.encode())
        return b"".join(iter(lambda: wire.recv(65536), b""))


def test_one_account_comes_of_a_link_that_fifty_follow(live: Live) -> None:
    Page(live, "/register").submit(email="new@example.com")
    page = Page(live, live.link_to("new@example.com"))
    answers = race(lambda n: page.submit(username=f"newp{n}", password=FRESH))
    assert Counter(a.status_code for a in answers) == {200: 1, 404: THREADS - 1}
    won = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    with live.place.core() as core:
        made = [core.stores.users.find(f"newp{n}") for n in range(THREADS)]
        owner = core.stores.users.find("new@example.com")
    assert [n for n, user in enumerate(made) if user is not None] == [won]
    assert owner == made[won]
    assert password_works(live, "new@example.com", FRESH)


def test_somebody_who_is_invited_comes_in(live: Live) -> None:
    live.place.idp("user", "invite", "ina", "--email", "ina@example.com")
    link = live.link_to("ina@example.com")
    assert "Your account is ready" in Page(live, link).submit(password=FRESH).text
    assert password_works(live, "ina", FRESH)
    assert Page(live, link).status == 404


def test_no_log_holds_a_link_or_an_address(live: Live) -> None:
    """Last but one: after everything above. At level debug."""
    live.settled()
    log = "\n".join(live.place.log())
    assert "@example.com" not in log
    with live.place.core() as core:
        rows, after = [], 0
        while found := core.stores.audit.read(after=after, limit=1000):
            after = found[-1][0]
            rows += [str(row) for _, row in found]
    links = {link for got in live.mailbox.got for link in LINK.findall(got.text)}
    assert links
    for link in links:
        token = link.rpartition("/")[2]
        assert token not in log
        assert not any(token in row for row in rows)


def test_nothing_failed_here(live: Live) -> None:
    """Last in this file: no request of any test above met an exception."""
    failed = [line for line in live.place.log() if "request_failed" in line or "Traceback" in line]
    assert failed == []
