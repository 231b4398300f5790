"""The certificate of a connection: which header, from whom, in which shape."""

from base64 import b64encode
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import pytest

from idp.errors import OAuthError
from idp.web.peer import Header, peer
from tests.certificates import authority

PROXY = (ip_network("10.0.0.0/24"),)
CERTIFICATE = authority().issue("Ana Example")
DER = CERTIFICATE.der
RFC9440 = f":{b64encode(DER).decode()}:"
ESCAPED = quote(CERTIFICATE.pem.decode(), safe="")
ENVOY = f'By=spiffe://a/b;Hash=00ff;Cert="{ESCAPED}";Subject="CN=Ana, \\"O\\";Cert=x";URI='
FORMS: dict[Header, str] = {
    "client-cert": RFC9440,
    "x-ssl-client-cert": ESCAPED,
    "x-forwarded-client-cert": ENVOY,
}


def environ(address: str = "10.0.0.7", **headers: str) -> dict[str, Any]:
    """`Client_Cert` is what WSGI makes of `Client-Cert`."""
    return {"REMOTE_ADDR": address, **{f"HTTP_{n.upper()}": v for n, v in headers.items()}}


def read(header: Header, value: str, address: str = "10.0.0.7") -> bytes | None:
    return peer(environ(address, **{header.replace("-", "_"): value}), PROXY, header)


@pytest.mark.parametrize("header", FORMS)
def test_each_form_gives_the_certificate(header: Header) -> None:
    assert read(header, FORMS[header]) == DER


@pytest.mark.parametrize("header", FORMS)
@pytest.mark.parametrize("address", ["10.0.1.7", "127.0.0.1", "::1", "", "unix:", "10.0.0.7, x"])
def test_nobody_but_the_proxy_may_say_so(header: Header, address: str) -> None:
    assert read(header, FORMS[header], address) is None
    assert read(header, "garbage", address) is None


@pytest.mark.parametrize("header", FORMS)
def test_without_proxies_or_without_the_setting_nothing_is_read(header: Header) -> None:
    said = environ(**{header.replace("-", "_"): FORMS[header]})
    assert peer(said, (), header) is None
    assert peer(said, PROXY, "") is None


@pytest.mark.parametrize("header", FORMS)
def test_only_the_configured_header_is_read(header: Header) -> None:
    others = {h.replace("-", "_"): v for h, v in FORMS.items() if h != header}
    more = {"ssl_client_cert": ESCAPED, "client_cert_chain": RFC9440, "x_client_cert": ESCAPED}
    assert peer(environ(**others, **more), PROXY, header) is None


@pytest.mark.parametrize("header", FORMS)
@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_an_empty_header_is_no_certificate(header: Header, value: str) -> None:
    assert read(header, value) is None


GARBAGE: list[tuple[Header, str]] = [
    ("client-cert", RFC9440 + "," + RFC9440),
    ("client-cert", RFC9440 + ", " + RFC9440),
    ("client-cert", RFC9440[1:]),
    ("client-cert", RFC9440[:-1]),
    ("client-cert", RFC9440 + ";a=1"),
    ("client-cert", b64encode(DER).decode()),
    ("client-cert", ":" + b64encode(DER + b"\x00").decode() + ":"),
    ("client-cert", ":" + b64encode(DER[:-1]).decode() + ":"),
    ("client-cert", "::"),
    ("client-cert", ":AAAA:"),
    ("client-cert", ":A:"),
    ("client-cert", "\uff1aAAAA\uff1a"),
    ("client-cert", ESCAPED),
    ("x-ssl-client-cert", ESCAPED + "," + ESCAPED),
    ("x-ssl-client-cert", ESCAPED + ESCAPED),
    ("x-ssl-client-cert", ESCAPED[:-40]),
    ("x-ssl-client-cert", "x" + ESCAPED),
    ("x-ssl-client-cert", ESCAPED.replace("CERTIFICATE", "PRIVATE%20KEY")),
    ("x-ssl-client-cert", CERTIFICATE.pem.decode().replace("\n", " ")),
    ("x-ssl-client-cert", RFC9440),
    ("x-forwarded-client-cert", ENVOY + "," + ENVOY),
    ("x-forwarded-client-cert", "By=a;Hash=b," + ENVOY),
    ("x-forwarded-client-cert", ENVOY + f";Cert={ESCAPED}"),
    ("x-forwarded-client-cert", "By=spiffe://a/b;Hash=00ff"),
    ("x-forwarded-client-cert", f'Subject="Cert={ESCAPED}"'),
    ("x-forwarded-client-cert", f'Cert="{ESCAPED}'),
    ("x-forwarded-client-cert", ESCAPED),
]


@pytest.mark.parametrize(("header", "value"), GARBAGE)
def test_what_is_not_one_certificate_is_refused(header: Header, value: str) -> None:
    with pytest.raises(OAuthError, match="cannot be read") as refusal:
        read(header, value)
    assert refusal.value.status == 400
    assert "AAAA" not in refusal.value.detail


@pytest.mark.parametrize("header", FORMS)
def test_a_huge_header_is_refused_unread(header: Header) -> None:
    with pytest.raises(OAuthError, match="cannot be read") as refusal:
        read(header, FORMS[header] + "A" * 16384)
    assert "longer than" in refusal.value.detail


@pytest.mark.parametrize("value", ["a=" * 8000, 'a="' + "\\\\" * 8000, "a=b;" * 4000, "a" * 16000])
def test_odd_elements_cost_little(value: str) -> None:
    """The whole header is read in one pass, whatever is in it."""
    with pytest.raises(OAuthError, match="cannot be read"):
        read("x-forwarded-client-cert", value[:16384])
