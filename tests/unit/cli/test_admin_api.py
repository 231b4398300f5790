"""The first program that may administer: made by command, then used over HTTP."""

import base64
import json

import pytest
from werkzeug.test import Client, TestResponse

from idp import settings as configuration
from idp.app import App, create_app
from tests.unit.cli.conftest import PASSWORD, Run

ISSUER = "http://localhost:8000"
API = f"{ISSUER}/admin/v1"


@pytest.fixture(autouse=True)
def issuer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_ISSUER", ISSUER)


def token(app: App, client_id: str, secret: str) -> str:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    answer = Client(app.wsgi).post(
        "/token",
        data={"grant_type": "client_credentials", "resource": API},
        headers={"Authorization": f"Basic {pair}"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return str(answer.json["access_token"])


def ask(app: App, bearer: str, method: str, path: str, body: object = None) -> TestResponse:
    headers = {"Authorization": f"Bearer {bearer}", "If-Match": "*"}
    data = None if body is None else json.dumps(body)
    return Client(app.wsgi).open(
        "/admin/v1" + path, method=method, headers=headers, data=data,
        content_type="application/json",
    )  # fmt: skip


def test_a_client_that_was_added_by_command_administers(run: Run, ana: str) -> None:
    scopes = ("--scope", "admin:users:read", "--scope", "admin:users:write")
    added = run("client", "add", "operator", *scopes, "--resource", API, "--json")
    assert added.code == 0, added.err
    app = create_app(configuration.read())
    try:
        bearer = token(app, "operator", added.json["client_secret"])
        (user,) = ask(app, bearer, "GET", "/users").json["items"]
        assert (user["id"], user["username"]) == (ana, "ana")
        changed = ask(app, bearer, "PATCH", f"/users/{ana}", {"disabled": True})
        assert changed.json["disabled"] is True
        assert ask(app, bearer, "GET", "/clients").status_code == 403
    finally:
        app.close()
    assert run("user", "show", "ana", "--json").json["state"] == "disabled"


def test_commands_and_the_api_refuse_the_same_with_the_same_words(run: Run, ana: str) -> None:
    scopes = ("--scope", "admin:users:write", "--scope", "admin:clients:write")
    secret = run("client", "add", "operator", *scopes, "--resource", API, "--json").json
    app = create_app(configuration.read())
    try:
        bearer = token(app, "operator", secret["client_secret"])
        for words, path, body in (
            (("user", "add", "ANA"), "/users", {"username": "ANA"}),
            (("user", "add", "x", "--phone", "1"), "/users", {"username": "x", "phone": "1"}),
            (
                ("user", "add", "x", "--require-acr", "gold"),
                "/users",
                {"username": "x", "require_acr": "gold"},
            ),
            (
                ("client", "add", "x", "--scope", "a b"),
                "/clients",
                {"client_id": "x", "scopes": ["a b"]},
            ),
            (
                ("client", "add", "x", "--redirect-uri", "http://x.example"),
                "/clients",
                {"client_id": "x", "redirect_uris": ["http://x.example"]},
            ),
        ):
            told = run(*words, stdin=PASSWORD)
            answer = ask(app, bearer, "POST", path, body)
            assert (told.code, answer.status_code // 100) == (1, 4), words
            assert answer.json["detail"] in told.err, words
    finally:
        app.close()
