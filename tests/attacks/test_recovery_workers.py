"""LG-05 to LG-10 on two workers over PostgreSQL and Redis, with mail through a real SMTP server."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis

from tests.contract.race import THREADS, race
from tests.house import Request
from tests.mail_server import Mailbox, mail_server, trust
from tests.services import fresh_database
from tests.serving import ISSUER, Place, Serving, Visitor, serving, until

pytestmark = pytest.mark.xdist_group("recovery workers")

FRESH = "a wholly new password"
LINK = re.compile(re.escape(ISSUER) + r"(/link/[\w-]{43})\n")


@dataclass
class Live:
    place: Serving
    mailbox: Mailbox

    def sent_to(self, address: str) -> list[str]:
        return [got.text for got in self.mailbox.got if got.recipients == [address]]

    def mail_to(self, address: str, nth: int = 1) -> str:
        """The last one, once there are so many."""
        found: list[str] = until(lambda: len(f := self.sent_to(address)) >= nth and f, 20)
        return found[-1]

    def link_to(self, address: str, nth: int = 1) -> str:
        found = LINK.search(self.mail_to(address, nth))
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


def test_lg_10_a_reset_ends_what_was_signed_in_on_every_worker(live: Live) -> None:
    before = live.place.answered()
    tokens = live.place.tokens("ben")
    request = Request()
    attacker = Visitor(live.place)
    attacker.sign_in(request, "ben")
    Page(live, "/recover").submit(username="ben")
    link = live.link_to("ben@example.com")
    done = Page(live, link).submit(password=FRESH)
    assert "Your new password is set" in done.text

    refreshed = race(lambda _: live.place.refresh(tokens["refresh_token"]).json(), 8)
    assert {answer["error"] for answer in refreshed} == {"invalid_grant"}
    bearer = tokens["access_token"]
    statuses = race(lambda _: live.place.call("/userinfo", bearer=bearer).status_code, 8)
    assert set(statuses) == {401}
    again = attacker.begin(Request(more={"prompt": "none"}))
    assert "error=login_required" in again["redirect_uri"]
    assert not password_works(live, "ben", live.place.described["users"]["ben"]["password"])
    assert password_works(live, "ben", FRESH)
    assert "was changed" in live.mail_to("ben@example.com", 2)
    assert _all_answered(live.place, before)


def test_lg_09_one_of_fifty_uses_a_link(live: Live) -> None:
    Page(live, "/recover").submit(username="cyd")
    page = Page(live, live.link_to("cyd@example.com"))
    before = live.place.answered()
    answers = race(lambda n: page.submit(password=f"{FRESH} {n}"))
    assert Counter(a.status_code for a in answers) == {200: 1, 404: THREADS - 1}
    won = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert password_works(live, "cyd", f"{FRESH} {won}")
    assert not password_works(live, "cyd", f"{FRESH} {(won + 1) % THREADS}")
    assert _all_answered(live.place, before)
    with live.place.core() as core:
        held = core.stores.authenticators.of(live.place.described["users"]["cyd"]["sub"])
    assert [a.factor for a in held] == ["password"]


def test_lg_05_wishes_are_answered_alike(live: Live) -> None:
    for path, name, texts in (
        ("/recover", "username", ("amy", "nobody", "amy@example.com", "\u202e", "x" * 4000)),
        ("/register", "email", ("amy@example.com", "nobody@example.com")),
    ):
        answers = [Page(live, path).submit(**{name: text}) for text in texts]
        assert {(a.status_code, a.headers["Location"], a.text) for a in answers} == {
            (303, f"{ISSUER}/recover/sent", answers[0].text)
        }
        assert len({frozenset(a.headers) for a in answers}) == 1


def test_nobodys_mailbox_is_flooded_by_many_at_once(live: Live) -> None:
    page = Page(live, "/recover")
    race(lambda _: page.submit(username="dia"), 8)  # one network may ask 20 times in all
    live.mail_to("dia@example.com", 3)
    live.settled()
    assert len(live.sent_to("dia@example.com")) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example;proto=http"},
    ],
)
def test_lg_08_links_are_made_of_the_configured_issuer(live: Live, headers: dict[str, str]) -> None:
    before = len(live.sent_to("eli@example.com"))
    page = Page(live, "/recover")
    cookies = "; ".join(f"{name}={value}" for name, value in page.visitor.cookies.items())
    sent = requests.post(
        f"{live.place.url}/recover",
        data={"csrf": page.csrf, "username": "eli"},
        headers={**headers, "Cookie": cookies},
        allow_redirects=False,
        timeout=10,
    )
    assert sent.headers["Location"] == f"{ISSUER}/recover/sent"
    live.link_to("eli@example.com", before + 1)
    assert "evil" not in live.mail_to("eli@example.com", before + 1)


def test_lg_08_an_absolute_form_uri_is_no_address_of_ours(live: Live) -> None:
    import socket

    page = Page(live, "/recover")
    cookies = "; ".join(f"{name}={value}" for name, value in page.visitor.cookies.items())
    body = f"csrf={page.csrf}&username=ana"
    head = (
        "POST http://evil.example/recover HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n"
        f"Cookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    with socket.create_connection((urlsplit(live.place.url).hostname, live.place.port), 10) as wire:
        wire.sendall(head.encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert b"evil" not in answer
    if b" 303 " in answer.partition(b"\r\n")[0]:
        assert "evil" not in live.mail_to("ana@example.com")


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
