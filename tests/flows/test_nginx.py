"""The nginx example as operators copy it: TLS, a client certificate, `curl` as the browser."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Authority, Issued, authority
from tests.house import Request
from tests.serving import Place, Serving, code_of, free_port, serving, until

EXAMPLE = Path(__file__).parents[2] / "config" / "nginx" / "idp.conf"
CONFIG = """
[acr.aal1]
any_of = [["password"]]
[acr.aal2]
any_of = [["password", ["client_certificate"]]]
[factors.client_certificate]
authorities = "{folder}/people-ca.pem"
"""
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/idp.conf;
}}
"""


@dataclass
class Behind:
    """The provider behind nginx, and the authority whose certificates it takes."""

    provider: Serving
    folder: Path
    issuer: str
    people: Authority

    def person(self, name: str) -> Issued:
        issued = self.people.issue(name)
        (self.folder / f"{name}.pem").write_bytes(issued.pem)
        (self.folder / f"{name}.key").write_bytes(issued.key_pem)
        return issued


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("nginx")
    people, servers = authority(), authority("Server CA")
    port = free_port()
    site = servers.issue(
        "localhost",
        usages=(ExtendedKeyUsageOID.SERVER_AUTH,),
        alternative=SubjectAlternativeName([DNSName("localhost")]),
    )
    for name, content in {
        "people-ca.pem": people.pem,
        "server-ca.pem": servers.pem,
        "login.example.com.pem": site.pem,
        "login.example.com.key": site.key_pem,
    }.items():
        (folder / name).write_bytes(content)
    issuer = f"https://localhost:{port}"
    place = Place(folder).configure(
        CONFIG.format(folder=folder),
        server='trusted_proxies = ["127.0.0.1/32"]\nclient_cert_header = "x-ssl-client-cert"',
        issuer=issuer,
    )
    place.seed()
    (folder / "idp.conf").write_text(
        EXAMPLE.read_text()
        .replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        .replace("server_name login.example.com", "server_name localhost")
        .replace("/etc/nginx/tls/", f"{folder}/")
        .replace("/etc/idp/", f"{folder}/")
        .replace("http://127.0.0.1:8000", place.url)
    )
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    with serving(place) as live, nginx(folder):
        found = Behind(live, folder, issuer, people)
        until(lambda: curl(found, f"{issuer}/jwks")["status"] == 200)
        yield found


def test_signing_in_with_password_and_certificate(behind: Behind) -> None:
    behind.person("ana")
    request = Request(more={"acr_values": "aal2"})
    page = first_page(behind, request, "ana")
    page = answered(behind, page, "ana", username="ben", password=password(behind, "ben"))
    assert page["step"] == "enroll"
    assert page["public"]["subject"] == "CN=ana"
    assert code_of(answered(behind, page, "ana", enroll="1"))

    request = Request(more={"acr_values": "aal2", "prompt": "login"})
    page = first_page(behind, request, "ana")
    page = answered(behind, page, "ana", username="ben", password=password(behind, "ben"))
    assert (page["step"], page["factor"]) == ("factor", "client_certificate")
    code = code_of(answered(behind, page, "ana"))
    tokens = behind.provider.redeem(request, code).json()
    told = behind.provider.call("/introspect", {"token": tokens["access_token"]}, client="web")
    assert (told.json()["acr"], sorted(told.json()["amr"])) == ("aal2", ["mfa", "pwd", "swk"])


@pytest.mark.parametrize(
    "name",
    [
        "X-SSL-Client-Cert",
        "x-ssl-client-cert",
        "X_SSL_CLIENT_CERT",
        "X_SSL-Client_Cert",
        "x-ssl_client-cert",
        "Client-Cert",
        "X-Forwarded-Client-Cert",
    ],
)
def test_pk_09_a_browser_cannot_write_the_header(behind: Behind, name: str) -> None:
    """The certificate of somebody who has one, told by somebody who has its public part alone."""
    victim = behind.people.issue("victim")
    said = ("-H", f"{name}: {quote(victim.pem.decode(), safe='')}")
    page = first_page(behind, Request(more={"acr_values": "aal2", "prompt": "login"}), "", *said)
    form = {"username": "cyd", "password": password(behind, "cyd")}
    page = answered(behind, page, "", *said, **form)
    assert page["step"] == "enroll"
    assert page["public"] == {}
    assert "showed no certificate" in page["text"]


def test_a_certificate_of_another_authority_reaches_the_provider_which_refuses_it(
    behind: Behind,
) -> None:
    stranger = authority("Strangers").issue("mallory")
    (behind.folder / "mallory.pem").write_bytes(stranger.pem)
    (behind.folder / "mallory.key").write_bytes(stranger.key_pem)
    page = first_page(behind, Request(more={"acr_values": "aal2", "prompt": "login"}), "mallory")
    form = {"username": "eli", "password": password(behind, "eli")}
    page = answered(behind, page, "mallory", **form)
    assert page["public"]["issuer"] == "CN=Strangers"
    refused = answered(behind, page, "mallory", enroll="1")
    assert "cannot be used here" in refused["error"]


def test_no_log_has_a_link_from_a_mail(behind: Behind) -> None:
    token = "S" * 43
    assert curl(behind, f"{behind.issuer}/link/{token}")["status"] == 404
    assert curl(behind, f"{behind.issuer}/jwks?last")["status"] == 200
    log = behind.folder / "access.log"
    until(lambda: "GET /jwks?last" in log.read_text())
    for file in (log, behind.folder / "error.log", behind.provider.stderr):
        assert token not in file.read_text()


def password(behind: Behind, username: str) -> str:
    return str(behind.provider.described["users"][username]["password"])


def first_page(behind: Behind, request: Request, who: str, *more: str) -> dict[str, Any]:
    (behind.folder / "cookies").unlink(missing_ok=True)
    found = curl(
        behind, f"{behind.issuer}/authorize?{request.query()}", *_shown(behind, who), *more
    )
    assert found["status"] == 200, found
    page: dict[str, Any] = found["body"]
    return page


def answered(
    behind: Behind, page: dict[str, Any], who: str, *more: str, **fields: str
) -> dict[str, Any]:
    form = {"csrf": page["csrf"], "factor": page["factor"], **fields}
    data = [word for n, v in form.items() for word in ("--data-urlencode", f"{n}={v}")]
    found = curl(behind, page["action"], *data, *_shown(behind, who), *more)
    assert found["status"] == 200, found
    after: dict[str, Any] = found["body"]
    return after


def _shown(behind: Behind, who: str) -> list[str]:
    folder = behind.folder
    return ["--cert", f"{folder}/{who}.pem", "--key", f"{folder}/{who}.key"] if who else []


def curl(behind: Behind, *words: str) -> dict[str, Any]:
    """Status and JSON of the last answer."""
    folder = behind.folder
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--location", "--max-time", "20"),
            *("--cacert", f"{folder}/server-ca.pem", "--header", "Accept: application/json"),
            *("--cookie", f"{folder}/cookies", "--cookie-jar", f"{folder}/cookies"),
            *("--write-out", "\n%{http_code}", *words),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    body, _, status = done.stdout.rpartition("\n")
    code = int(status or 0)
    return {"status": code, "body": json.loads(body) if code == 200 else body, "why": done.stderr}


@contextmanager
def nginx(folder: Path) -> Iterator[None]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen(
        [program, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"],
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGQUIT)
        process.wait(timeout=20)
