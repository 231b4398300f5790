"""Attacks on certificates that a proxy tells of: PK-09, and what people may try with their own."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import Client as WsgiClient

from tests.certificates import Authority, Issued, authority
from tests.house import Browser, House, Request, answer_of, build

Environ = dict[str, Any]
STRONG = Request(more={"acr_values": "aal2"})


@pytest.fixture(scope="module")
def people() -> Authority:
    return authority()


def settings(people: Authority, folder: Path, **server: Any) -> Mapping[str, Any]:
    file = folder / "people.pem"
    file.write_bytes(people.pem)
    return {
        "server": {"trusted_proxies": ["10.0.0.0/24"], "client_cert_header": "client-cert"}
        | server,
        "acr": {
            "aal1": {"any_of": [["password"]]},
            "aal2": {"any_of": [["password", ["client_certificate", "totp"]]]},
        },
        "factors": {
            "password": {"memory_kib": 8192, "iterations": 1},
            "client_certificate": {"authorities": str(file)},
        },
    }


@pytest.fixture
def house(people: Authority, tmp_path: Path) -> Iterator[House]:
    built = build(tmp_path, **settings(people, tmp_path))
    yield built
    built.app.close()


def header(issued: Issued) -> str:
    return f":{b64encode(issued.der).decode()}:"


def browser(
    house: House, said: Mapping[str, str] | None = None, address: str = "10.0.0.7"
) -> Browser:
    """A visitor whose requests arrive from `address`, with these headers on each."""

    def through(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        added = {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in (said or {}).items()}
        return house.app.wsgi({**environ, **added, "REMOTE_ADDR": address}, start)

    found = house.browser()
    found.http = WsgiClient(through)
    return found


def with_certificate(house: House, issued: Issued) -> Browser:
    return browser(house, {"client-cert": header(issued)})


def password(visitor: Browser, house: House, username: str) -> None:
    visitor.authorize(Request(more={"acr_values": "aal2"}))
    visitor.submit(username=username, password=house.users[username]["password"])


def enrolled(house: House, people: Authority, username: str = "ben") -> Issued:
    """Bound on the way, at the first sign-in that demands it."""
    issued = people.issue(f"{username} example")
    visitor = with_certificate(house, issued)
    password(visitor, house, username)
    assert visitor.page is not None
    assert f"CN={username} example" in visitor.page.text
    assert "code" in answer_of(visitor.submit())
    return issued


def test_signing_in_with_password_and_certificate(house: House, people: Authority) -> None:
    issued = enrolled(house, people)
    visitor = with_certificate(house, issued)
    request = Request(more={"acr_values": "aal2"})
    visitor.authorize(request)
    visitor.submit(username="ben", password=house.users["ben"]["password"])
    assert visitor.page is not None
    assert "Use your certificate" in visitor.page.text
    answer = answer_of(visitor.submit())
    tokens = house.redeem(request, answer["code"], "web").json
    claims = house.call("/introspect", {"token": tokens["access_token"]}, client="web").json
    assert (claims["acr"], sorted(claims["amr"])) == ("aal2", ["mfa", "pwd", "swk"])


@pytest.mark.parametrize("address", ["10.0.1.7", "127.0.0.1", "203.0.113.9"])
def test_pk_09_a_stranger_cannot_say_which_certificate_he_has(
    house: House, people: Authority, address: str
) -> None:
    """The victim's certificate is public: it is in every handshake."""
    issued = enrolled(house, people)
    pem = quote(issued.pem.decode(), safe="")
    said = {
        "client-cert": header(issued),
        "client_cert": header(issued),
        "x-ssl-client-cert": pem,
        "x-forwarded-client-cert": f'Cert="{pem}"',
        "ssl-client-cert": issued.pem.decode(),
        "x-forwarded-for": "10.0.0.7",
    }
    visitor = browser(house, said, address)
    password(visitor, house, "ben")
    assert visitor.page is not None
    assert answer_of(visitor.page)["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "name", ["x-ssl-client-cert", "x-forwarded-client-cert", "ssl-client-cert"]
)
def test_pk_09_the_proxy_vouches_for_the_configured_header_alone(
    house: House, people: Authority, name: str
) -> None:
    issued = enrolled(house, people)
    pem = quote(issued.pem.decode(), safe="")
    visitor = browser(house, {name: f'Cert="{pem}"' if "forwarded" in name else pem})
    password(visitor, house, "ben")
    assert visitor.page is not None
    assert answer_of(visitor.page)["error"] == "unmet_authentication_requirements"


def test_pk_09_nothing_is_read_unless_it_is_configured(people: Authority, tmp_path: Path) -> None:
    built = build(tmp_path, **settings(people, tmp_path, client_cert_header=""))
    visitor = with_certificate(built, people.issue("ben example"))
    password(visitor, built, "ben")
    assert visitor.page is not None
    assert "showed no certificate" in visitor.page.text
    assert "ben example" not in visitor.page.text
    built.app.close()


def test_pk_09_two_certificates_at_once_are_refused(house: House, people: Authority) -> None:
    """One from the proxy, and one that it let through: nobody knows which is which."""
    one, other = people.issue("ben example"), people.issue("ana example")
    visitor = browser(house, {"client-cert": f"{header(one)},{header(other)}"})
    page = visitor.authorize(STRONG)
    assert page.status_code == 400
    assert "certificate of this connection cannot be read" in page.text


def test_without_the_certificate_the_password_binds_nothing_else(
    house: House, people: Authority
) -> None:
    """Who has one is not offered another second factor for knowing the password."""
    enrolled(house, people)
    visitor = browser(house)
    password(visitor, house, "ben")
    assert visitor.page is not None
    assert answer_of(visitor.page)["error"] == "unmet_authentication_requirements"


def test_a_certificate_of_somebody_else_is_not_taken(house: House, people: Authority) -> None:
    theirs = enrolled(house, people, "ben")
    visitor = with_certificate(house, theirs)
    password(visitor, house, "cyd")
    assert visitor.page is not None
    page = visitor.submit()
    assert "was added before" in page.text
    assert not [a for a in house.app.authenticators.of(house.users["cyd"]["sub"]) if a.data]


def test_a_certificate_that_is_swapped_on_the_way_is_refused(
    house: House, people: Authority
) -> None:
    """Shown on the page is one, in the request that binds it another."""
    visitor = with_certificate(house, people.issue("ben example"))
    password(visitor, house, "ben")
    second = people.issue("ben example")
    swapped = with_certificate(house, second)
    swapped.http._cookies, swapped.page = visitor.http._cookies, visitor.page
    page = swapped.submit()
    assert "shows another certificate now" in page.text
    assert "code" in answer_of(swapped.submit())
    (bound,) = [a for a in house.app.authenticators.of(house.users["ben"]["sub"]) if a.data]
    assert bound.data["serial"] == f"{second.certificate.serial_number:x}"


@pytest.mark.parametrize("kind", ["other authority", "expired"])
def test_what_does_not_verify_is_refused_with_what_to_do(
    house: House, people: Authority, kind: str
) -> None:
    strangers = authority("Strangers")
    wrong = {
        "other authority": strangers.issue("ben example"),
        "expired": people.issue("ben example", life=timedelta(days=9)),
    }[kind]
    visitor = with_certificate(house, wrong)
    password(visitor, house, "ben")
    page = visitor.submit()
    assert page.status_code == 200
    assert "This certificate cannot be used here" in page.text
    assert not [a for a in house.app.authenticators.of(house.users["ben"]["sub"]) if a.data]


def test_a_certificate_is_added_on_the_account_pages(house: House, people: Authority) -> None:
    issued = people.issue("ben example")
    visitor = with_certificate(house, issued)
    visitor.get("/account/authenticators/add/client_certificate")
    visitor.submit(username="ben", password=house.users["ben"]["password"])
    assert visitor.page is not None
    assert "CN=ben example" in visitor.page.text
    visitor.submit()
    (bound,) = [a for a in house.app.authenticators.of(house.users["ben"]["sub"]) if a.data]
    assert bound.data["serial"] == f"{issued.certificate.serial_number:x}"


def test_the_account_pages_bind_nothing_that_the_connection_does_not_show(house: House) -> None:
    visitor = browser(house)
    visitor.get("/account/authenticators/add/client_certificate")
    visitor.submit(username="ben", password=house.users["ben"]["password"])
    assert visitor.page is not None
    assert "showed no certificate" in visitor.page.text
    assert "showed no certificate" in visitor.submit().text
    assert not [a for a in house.app.authenticators.of(house.users["ben"]["sub"]) if a.data]
