"""HD-08: which origins may read what, from a browser."""

from collections.abc import Iterator

import pytest

from tests.house import House, build

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
SPA = "https://spa.example"


@pytest.fixture(scope="module")
def spa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("spa")
    built = build(folder, factors=CHEAP, web={"cors_origins": (SPA,)})
    yield built
    built.app.close()


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "https://x.spa.example",
        "https://spa.example.evil.example",
        "http://spa.example",
        "https://spa.example:444",
        "https://SPA.example",
        "*",
    ],
)
@pytest.mark.parametrize(
    "path", ["/token", "/userinfo", "/revoke", "/introspect", "/authorize", "/"]
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_hd_08_strangers_read_nothing(spa: House, origin: str, path: str, method: str) -> None:
    response = spa.call(path, method=method, headers={"Origin": origin})
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/revoke"])
def test_hd_08_the_listed_origin_alone(spa: House, path: str) -> None:
    response = spa.call(path, method="OPTIONS", headers={"Origin": SPA})
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == SPA
    assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", ["/jwks", "/.well-known/openid-configuration"])
def test_hd_08_public_documents_are_for_everyone(spa: House, path: str) -> None:
    response = spa.call(path, headers={"Origin": "null"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
