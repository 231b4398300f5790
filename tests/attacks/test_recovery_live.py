"""LG-05 and LG-07 to LG-11 against `idp serve`: embedded (one process, SQLite) and two workers over
PostgreSQL with Redis; mail by a real SMTP server. Every request is on a connection of its own.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import requests
from aiosmtpd.controller import Controller
from redis import Redis

from idp.operate.users import UserAdmin
from tests.contract.race import race
from tests.house import Request
from tests.services import fresh_database
from tests.serving import ISSUER, Place, Serving, Visitor, free_port, serving, until

PASSWORD = "correct horse battery staple"
LINK = re.compile(rf"{ISSUER}(/link/[\w-]{{43}})")
FRESH = "a wholly new password"
MAIL = """
[mail]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Login <login@idp.example>"
"""


@dataclass
class Mailbox:
    """Takes every mail."""

    port: int = field(default_factory=free_port)
    got: list[tuple[str, str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append((envelope.rcpt_tos[0], envelope.content.decode()))
        return "250 OK"

    def to(self, address: str) -> list[str]:
        return [text for recipient, text in self.got if recipient == address]


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    found = Mailbox()
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    yield found
    controller.stop()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.xdist_group("recovery-embedded")),
        pytest.param("workers", marks=pytest.mark.xdist_group("recovery-workers")),
    ],
)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> Iterator[Serving]:
    place = Place(tmp_path_factory.mktemp(request.param))
    mail = MAIL.format(port=mailbox.port)
    if request.param == "embedded":
        place.configure(mail)
    else:
        postgres = request.getfixturevalue("postgres_url")
        redis = request.getfixturevalue("redis_url")
        Redis.from_url(redis).flushdb()
        storage = f'[storage]\ndatabase_url = "{fresh_database(postgres)}"\nredis_url = "{redis}"\n'
        place.configure(storage + mail, server="workers = 2")
    place.seed()
    with serving(place) as found:
        if request.param == "workers":
            until(lambda: len(found.workers()) == 2)
        yield found


@dataclass
class Person:
    """Somebody of this test alone."""

    live: Serving
    mailbox: Mailbox
    name: str
    sub: str

    @property
    def address(self) -> str:
        return f"{self.name}@example.com"

    def link(self) -> str:
        """The path of the link that comes by mail."""
        before = len(self.links())
        asked(self.live, self.name)
        until(lambda: len(self.links()) > before)
        return self.links()[-1]

    def links(self) -> list[str]:
        return LINK.findall("".join(self.mailbox.to(self.address)).replace("=\r\n", ""))

    def signs_in(self, password: str) -> bool:
        visitor = Visitor(self.live)
        page = visitor.begin(Request())
        answer = visitor.answer(page, username=self.name, password=password).json()
        return bool(answer["step"] == "done")


@pytest.fixture
def person(live: Serving, mailbox: Mailbox) -> Person:
    name = f"p{uuid4().hex[:12]}"
    with live.core() as core:
        admin = UserAdmin(
            core.stores,
            core.factors,
            core.sessions,
            core.bus,
            core.clock,
            core.settings.issuer,
            tuple(core.policy.acrs),
        )
        user = admin.add(
            name,
            password=PASSWORD,
            actor="test",
            email=f"{name}@example.com",
            email_verified=True,
        )
    return Person(live, mailbox, name, user.id)


@dataclass
class Page:
    """A form of ours, with the browser that holds it."""

    visitor: Visitor
    path: str
    csrf: str

    def send(self, **answers: str) -> requests.Response:
        return self.visitor.open(self.path, {"csrf": self.csrf, **answers})


def form(live: Serving, path: str, visitor: Visitor | None = None) -> Page:
    visitor = visitor or Visitor(live)
    text = visitor.open(path).text
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)
    assert found, text
    return Page(visitor, path, html.unescape(found[1]))


def asked(live: Serving, name: str) -> requests.Response:
    return form(live, "/recover").send(username=name)


def test_a_reset_from_the_wish_to_the_new_password(person: Person) -> None:
    told = form(person.live, person.link()).send(password=FRESH)
    assert "Your new password is set" in told.text
    assert (person.signs_in(PASSWORD), person.signs_in(FRESH)) == (False, True)
    until(lambda: any("was changed" in m for m in person.mailbox.to(person.address)))


def test_lg_05_a_wish_is_answered_alike_whoever_there_is(person: Person) -> None:
    answers = [asked(person.live, name) for name in (person.name, "nobody", "")]
    assert len({(a.status_code, a.headers["Location"], a.content) for a in answers}) == 1


def test_lg_07_a_password_of_a_megabyte(person: Person) -> None:
    answer = form(person.live, person.link()).send(password="x" * 1_000_000)
    assert answer.status_code == 413
    assert person.signs_in(PASSWORD)


def test_lg_07_a_password_that_is_too_long_is_refused_and_the_link_goes_on(person: Person) -> None:
    link = person.link()
    assert form(person.live, link).send(password="x" * 1025).status_code == 422
    emoji = "\N{PILE OF POO}" * 64
    assert form(person.live, link).send(password=emoji).status_code == 200
    assert person.signs_in(emoji)


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}],
    ids=["x-forwarded-host", "forwarded"],
)
def test_lg_08_links_are_made_of_the_configured_issuer(
    person: Person, headers: dict[str, str]
) -> None:
    page = form(person.live, "/recover")
    cookies = "; ".join(f"{name}={value}" for name, value in page.visitor.cookies.items())
    requests.post(
        f"{person.live.url}/recover",
        data={"csrf": page.csrf, "username": person.name},
        headers={**headers, "Cookie": cookies},
        allow_redirects=False,
        timeout=10,
    )
    until(person.links)  # of our own issuer
    assert "evil.example" not in "".join(person.mailbox.to(person.address))


def test_lg_09_no_step_works_without_the_one_before(person: Person) -> None:
    link = person.link()
    assert Visitor(person.live).open(link, {"password": FRESH}).status_code == 403
    stolen = form(person.live, link)
    other = Visitor(person.live)
    other.open("/recover")
    page = Page(other, link, stolen.csrf)
    assert page.send(password=FRESH).status_code == 403
    assert form(person.live, link).send().status_code == 422
    assert Visitor(person.live).open("/link/" + "x" * 43).status_code == 404
    assert person.signs_in(PASSWORD)


def test_lg_10_everything_that_was_signed_in_is_out(person: Person) -> None:
    live, request, visitor = person.live, Request(), Visitor(person.live)
    page = visitor.begin(request)
    done = visitor.answer(page, username=person.name, password=PASSWORD).json()
    code = re.search(r"code=([\w-]+)", done["redirect_uri"])
    assert code
    tokens = live.redeem(request, code[1]).json()
    told = form(live, person.link()).send(password=FRESH)
    assert "session" not in told.headers.get("Set-Cookie", "")
    assert live.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert live.call("/userinfo", bearer=tokens["access_token"]).status_code == 401
    assert visitor.begin(Request())["step"] == "factor"


def test_lg_10_a_second_factor_is_asked_as_before(person: Person) -> None:
    with person.live.core() as core:
        core.authenticators.issue_codes(person.sub, actor="test")
    form(person.live, person.link()).send(password=FRESH)
    visitor = Visitor(person.live)
    page = visitor.begin(Request(more={"acr_values": "aal2"}))
    asked_for = visitor.answer(page, username=person.name, password=FRESH).json()
    assert (asked_for["step"], asked_for["factor"]) == ("factor", "recovery_code")


def test_a_link_is_used_by_one_of_fifty(person: Person) -> None:
    link = person.link()
    pages = [form(person.live, link) for _ in range(50)]

    def use(number: int) -> bool:
        return "is set" in pages[number].send(password=f"a new password, number {number}").text

    won = [number for number, used in enumerate(race(use)) if used]
    assert len(won) == 1
    assert person.signs_in(f"a new password, number {won[0]}")


def test_lg_11_a_password_is_changed_by_who_knows_the_old_one(person: Person) -> None:
    visitor = Visitor(person.live)
    page = visitor.begin(Request())
    visitor.answer(page, username=person.name, password=PASSWORD)
    account = form(person.live, "/account/password", visitor)
    account.send(new=FRESH, password=FRESH, current="")
    account.send(new=FRESH, password=FRESH, current="wrong", user_id=person.sub)
    assert Visitor(person.live).open("/account/password", {"new": FRESH}).status_code in {303, 403}
    assert person.signs_in(PASSWORD)
