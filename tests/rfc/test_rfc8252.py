"""RFC 8252 sections 7 and 8: redirect URIs of native apps; and the tricks against them.

Attacks AZ-01 and AZ-03: whatever differs from the registered string by more than a loopback
port is a page, never a redirect.
"""

import pytest

from idp.operate.clients import check_redirect_uri
from idp.operate.users import Refused
from tests.house import House, Request, answer_of
from tests.rfc.tools import is_page, register

SAFE = "https://rp.example/cb"


def ask(house: House, client: str, uri: str) -> None:
    is_page(house.browser().authorize(Request(client_id=client, redirect_uri=uri)), "redirect_uri")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1:51234/callback",
        "http://127.0.0.1:65535/callback",
        "http://localhost:8080/callback",
        "http://[::1]:4711/callback",
    ],
)
def test_7_3_any_port_on_loopback(house: House, uri: str) -> None:
    register(
        house,
        "app",
        application_type="native",
        token_endpoint_auth_method="none",
        redirect_uris=(
            "http://127.0.0.1/callback",
            "http://localhost/callback",
            "http://[::1]/callback",
        ),
        scopes=("openid",),
    )
    request = Request(client_id="app", redirect_uri=uri, scope="openid", more={"prompt": "none"})
    response = house.browser().authorize(request)
    assert response.headers["Location"].startswith(uri + "?")
    assert answer_of(response)["error"] == "login_required"


def test_7_3_the_port_is_bound_to_the_code(house: House) -> None:
    request = Request(client_id="native", redirect_uri="http://127.0.0.1:5001/callback")
    code = house.browser().sign_in(request, "ben")["code"]
    other = house.redeem(request, code, "native", redirect_uri="http://127.0.0.1:5002/callback")
    assert other.json["error"] == "invalid_grant"
    assert house.redeem(request, code, "native").status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1:5/callback",
        "http://127.0.0.1:5/other",
        "http://127.0.0.1:5/callback/",
        "http://127.0.0.1:5/callback?x=1",
        "http://127.0.0.1:5/callback#f",
        "http://127.0.0.1:5/CALLBACK",
        "http://127.0.0.1:5/%63allback",
        "http://127.0.0.1:5",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1.evil.example:5/callback",
        "http://127.0.0.2:5/callback",
        "http://0.0.0.0:5/callback",
        "http://127.1:5/callback",
        "http://0x7f000001:5/callback",
        "http://2130706433/callback",
        "http://[::1]:5/callback",
        "http://[::ffff:127.0.0.1]:5/callback",
        "http://LOCALHOST:5/callback",
        "http://localhost.:5/callback",
        "http://localhost.evil.example:5/callback",
        "http://127.0.0.1:5@evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://evil.example@127.0.0.1:5/callback",
        "http://a@b@127.0.0.1:5/callback",
        "http://127.0.0.1\\@evil.example/callback",
        "http://127.0.0.1:5\\.evil.example/callback",
        "http://evil.example/callback#http://127.0.0.1/callback",
        "http://evil.example#@127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:000001999/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:-1/callback",
        "http://127.0.0.1:+5/callback",
        "http://127.0.0.1:5 /callback",
        "http://127.0.0.1:\u0665/callback",
        "http://127.0.0.1:5:6/callback",
        "http:127.0.0.1:5/callback",
        "http:///127.0.0.1:5/callback",
        "HTTP://127.0.0.1:5/callback",
        " http://127.0.0.1:5/callback",
        "http://127.0.0.1:5/callback\n",
        "http://127.0.0.1:5/\tcallback",
        "//127.0.0.1:5/callback",
        "javascript:alert(1)//127.0.0.1/callback",
    ],
)
def test_az_03_nothing_but_the_port_may_differ(shared: House, uri: str) -> None:
    ask(shared, "native", uri)


@pytest.mark.parametrize("uri", ["http://localhost:9999/callback", "https://localhost:1/callback"])
def test_7_3_a_web_client_gets_no_other_port(shared: House, uri: str) -> None:
    ask(shared, "web", uri)


@pytest.mark.parametrize(
    "uri",
    [
        SAFE + ".evil",
        SAFE + "/../x",
        SAFE + "/..;/x",
        SAFE + ";x",
        SAFE + "?x",
        SAFE + "#",
        SAFE + "/",
        SAFE + "%00",
        SAFE + "%2e",
        SAFE[:-1],
        "https://rp.example",
        "https://RP.example/cb",
        "https://rp.example./cb",
        "https://rp.example:443/cb",
        "https://rp.example:8443/cb",
        "https://rp.example.evil.example/cb",
        "https://user@rp.example/cb",
        "https://rp.example@evil.example/cb",
        "https://a@rp.example@evil.example/cb",
        "https://evil.example\\rp.example/cb",
        "https://evil.example/https://rp.example/cb",
        "https://rpXexample/cb",
        "https://rp.example//cb",
        "https://rp.example/./cb",
        "HTTPS://rp.example/cb",
        "http://rp.example/cb",
        "https:rp.example/cb",
        "//rp.example/cb",
        "/cb",
        "https://rp。example/cb",
        "https://evil.example/cb",
        "data:text/html,x",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("kind", ["web", "native"])
def test_az_01_redirect_tricks(shared: House, uri: str, kind: str) -> None:
    if shared.app.stores.clients.get(f"rp-{kind}") is None:
        register(shared, f"rp-{kind}", redirect_uris=(SAFE,), application_type=kind)
    ask(shared, f"rp-{kind}", uri)


@pytest.mark.parametrize(
    ("uri", "native", "fine"),
    [
        ("com.example.app:/cb", True, True),
        ("com.example.app:/cb", False, False),
        ("myapp:/cb", True, False),
        ("https://rp.example/cb", False, True),
        ("http://rp.example/cb", True, False),
        ("http://127.0.0.1:1/cb", False, True),
        ("https://*.example/cb", False, False),
        ("https://rp.example/cb#f", False, False),
        ("https://u@rp.example/cb", False, False),
        ("javascript:alert(1)", True, False),
        ("https://rp.example/c b", False, False),
        ("/cb", False, False),
    ],
)
def test_7_1_what_may_be_registered(uri: str, native: bool, fine: bool) -> None:
    if fine:
        check_redirect_uri(uri, native=native)
    else:
        with pytest.raises(Refused):
            check_redirect_uri(uri, native=native)


def test_8_1_a_public_native_client_needs_pkce(house: House) -> None:
    request = Request(
        client_id="native",
        redirect_uri="http://127.0.0.1:5/callback",
        more={"code_challenge": None, "code_challenge_method": None},
    )
    answer = answer_of(house.browser().authorize(request))
    assert answer["error"] == "invalid_request"
