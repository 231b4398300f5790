"""A house, and a client of its admin API."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from idp.web.admin.operations import PREFIX
from tests.house import House, build

ALL = " ".join(
    f"admin:{what}:{how}"
    for what in ("users", "authenticators", "clients")
    for how in ("read", "write")
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    cheap = {"password": {"memory_kib": 8192, "iterations": 1}}
    built = build(tmp_path, factors=cheap, web={"machine_failure_rate": "10000/minute"})
    yield built
    built.app.close()


def token_of(house: House, scope: str = ALL, client: str = "admin") -> str:
    answer = house.call(
        "/token",
        {
            "grant_type": "client_credentials",
            "scope": scope,
            "resource": house.issuer + PREFIX,
        },
        client=client,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


@dataclass
class Admin:
    """Sends JSON with a token."""

    house: House
    token: str = field(repr=False)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        return WsgiClient(self.house.app.wsgi, use_cookies=False).open(
            PREFIX + path, method=method, headers=sent, base_url=self.house.issuer, **options
        )

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def change(self, path: str, body: Any, method: str = "PATCH") -> TestResponse:
        """Read, then write to what was read."""
        etag = self.get(path).headers["ETag"]
        return self.send(method, path, body, {"If-Match": etag})


@pytest.fixture
def admin(house: House) -> Admin:
    return Admin(house, token_of(house))
