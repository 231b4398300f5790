import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from idp import settings
from idp.core import create_core
from idp.oidc.claims import SCOPES
from idp.operate.clients import secret_hash
from tests.unit.cli.conftest import Run

URI = "https://shop.example.com/cb"


def add(run: Run, *options: str) -> Any:
    added = run("client", "add", "shop", *options, "--json")
    assert added.code == 0, added.err
    return added.json


def test_a_client_of_the_code_flow_by_default(run: Run) -> None:
    added = add(run, "--redirect-uri", URI)
    assert added["grant_types"] == ["authorization_code", "refresh_token"]
    assert added["scopes"] == list(SCOPES)
    assert added["token_endpoint_auth_method"] == "client_secret_basic"
    assert added["require_pkce"]
    assert added["require_consent"]


def test_a_client_for_itself_by_default(run: Run) -> None:
    added = add(run, "--scope", "api:read", "--resource", "https://api.example.com")
    assert added["grant_types"] == ["client_credentials"]
    assert added["scopes"] == ["api:read"]
    assert added["resources"] == ["https://api.example.com"]


def test_a_native_client_has_no_secret(run: Run) -> None:
    added = add(run, "--native", "--redirect-uri", "http://127.0.0.1/cb")
    assert added["token_endpoint_auth_method"] == "none"
    assert added["application_type"] == "native"
    assert added["client_secret"] is None


def test_every_option_reaches_the_record(run: Run) -> None:
    added = add(
        run, "--name", "Shop", "--redirect-uri", URI, "--redirect-uri", URI + "2",
        "--post-logout-redirect-uri", "https://shop.example.com/", "--grant-type",
        "authorization_code", "--scope", "openid", "--auth-method", "client_secret_post",
        "--no-consent", "--require-acr", "aal2", "--id-token-alg", "ES256",
        "--access-token-alg", "Ed25519", "--policy-uri", "https://shop.example.com/p",
        "--tos-uri", "https://shop.example.com/t",
    )  # fmt: skip
    assert added["name"] == "Shop"
    assert added["redirect_uris"] == [URI, URI + "2"]
    assert added["post_logout_redirect_uris"] == ["https://shop.example.com/"]
    assert added["grant_types"] == ["authorization_code"]
    assert added["token_endpoint_auth_method"] == "client_secret_post"
    assert not added["require_consent"]
    assert (added["require_acr"], added["id_token_alg"]) == ("aal2", "ES256")
    assert added["access_token_alg"] == "Ed25519"
    assert (added["policy_uri"], added["tos_uri"]) == (
        "https://shop.example.com/p",
        "https://shop.example.com/t",
    )


def test_the_secret_is_printed_once(run: Run) -> None:
    added = run("client", "add", "shop", "--redirect-uri", URI)
    secret = added.out.split()[-1]
    core = create_core(settings.read())
    try:
        stored = core.stores.clients.get("shop")
    finally:
        core.close()
    assert stored is not None
    assert stored.secret_hash == secret_hash(secret)
    for arguments in (("show", "shop"), ("show", "shop", "--json"), ("list", "--json")):
        shown = run("client", *arguments).out
        assert secret not in shown
        assert "secret_hash" not in shown
    assert secret not in run("audit", "show").out


def test_rotation_replaces_the_secret(run: Run) -> None:
    before = add(run, "--redirect-uri", URI)["client_secret"]
    after = run("client", "rotate-secret", "shop", "--json").json["client_secret"]
    assert after
    assert after != before


def test_without_pkce_there_is_a_loud_warning(run: Run) -> None:
    added = run("client", "add", "old", "--redirect-uri", URI, "--no-pkce", "--json")
    assert "WARNING" in added.err
    assert added.json["require_pkce"] is False


def test_public_keys_are_read_from_a_file(run: Run, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    added = add(run, "--jwks", str(file), "--scope", "api")
    assert added["token_endpoint_auth_method"] == "private_key_jwt"
    assert added["client_secret"] is None
    assert added["jwks"]["keys"][0]["crv"] == "P-256"


@pytest.mark.parametrize("content", ["no json", "[]", '{"keys": []}', '{"keys": [1]}', "\x00"])
def test_a_bad_key_file_is_refused(run: Run, tmp_path: Path, content: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)
    assert run("client", "add", "shop", "--jwks", str(file)).code == 2


def test_a_private_key_is_refused_and_not_repeated(run: Run, tmp_path: Path) -> None:
    private = ECKey.generate_key("P-256").as_dict(private=True)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [private]}))
    refused = run("client", "add", "shop", "--jwks", str(file))
    assert refused.code == 2
    assert "private" in refused.err
    assert str(private["d"]) not in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "shop", "--redirect-uri", "http://shop.example.com/cb"), 1, "https"),
        (("add", "shop", "--redirect-uri", "https://*.example.com/"), 1, "wildcard"),
        (("add", "shop", "--grant-type", "authorization_code"), 1, "redirect URI"),
        (("add", "shop", "--grant-type", "password"), 1, "client_credentials"),
        (("add", "shop", "--auth-method", "tls"), 1, "client_secret_basic"),
        (("add", "shop", "--auth-method", "none"), 1, "public client"),
        (("add", "shop", "--id-token-alg", "none"), 1, "RS256"),
        (("add", "shop", "--require-acr", "aal9"), 1, "aal1"),
        (("add", "https://x.example.com"), 1, "URL"),
        (("add", "shop", "--jwks", "/nowhere"), 2, "/nowhere"),
        (("show", "nothing"), 1, "idp client list"),
        (("remove", "nothing", "--yes"), 1, "idp client list"),
        (("rotate-secret", "nothing"), 1, "idp client list"),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    run: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("client", *arguments)
    assert result.code == code
    assert says in result.err
    assert run("client", "list", "--json").json == {"clients": [], "more": False}


def test_a_taken_id_and_a_secret_that_is_not_there(run: Run) -> None:
    add(run, "--native", "--redirect-uri", "http://127.0.0.1/cb")
    assert run("client", "add", "shop", "--scope", "api").code == 1
    assert "authenticates by none" in run("client", "rotate-secret", "shop").err


def test_removal_asks(run: Run) -> None:
    add(run, "--redirect-uri", URI)
    assert run("client", "remove", "shop").code == 2
    assert run("client", "remove", "shop", stdin="n\n", terminal=True).code == 130
    assert run("client", "show", "shop").code == 0
    assert run("client", "remove", "shop", stdin="y\n", terminal=True).code == 0
    assert run("client", "show", "shop").code == 1
    add(run, "--redirect-uri", URI)
    assert run("client", "remove", "shop", "--yes", "--json").json["removed"]


def test_a_name_cannot_write_to_the_terminal(run: Run) -> None:
    add(run, "--redirect-uri", URI, "--name", "Shop\x1b[2J\x9b")
    for shown in (run("client", "list"), run("client", "show", "shop", "--json")):
        assert "\x1b" not in shown.out
        assert "\x9b" not in shown.out
