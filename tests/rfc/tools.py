"""What the protocol tests share: reading a JWT without trust, registering a client, refusals."""

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from threading import Barrier, Thread
from typing import Any, TypeVar, cast

from werkzeug.test import Client, EnvironBuilder, TestResponse

from idp.model import Client as Record
from tests.house import Browser, House, Request, answer_of

T = TypeVar("T")
API = "https://api.example.com"


def header_of(token: str) -> dict[str, Any]:
    return _part(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    return _part(token, 1)


def _part(token: str, index: int) -> dict[str, Any]:
    part = token.split(".")[index]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def register(house: House, client_id: str, **fields: Any) -> str:
    """One more client, known to the house's helpers by its id."""
    values = {"name": client_id, "created_at": house.clock(), "require_consent": False, **fields}
    made = house.client_admin.add(Record(client_id=client_id, **values), actor="test")
    known = cast("dict[str, Mapping[str, Any]]", house.clients)
    known[client_id] = {
        "client_id": client_id,
        "client_secret": made.secret,
        "token_endpoint_auth_method": made.client.token_endpoint_auth_method,
    }
    return client_id


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{client_id}:{secret}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def refusal(house: House, request: Request, browser: Browser | None = None) -> dict[str, str]:
    """What the client gets back when its request is refused at once."""
    response = (browser or house.browser()).authorize(request)
    assert response.status_code == 303, response.text
    answer = answer_of(response)
    assert "code" not in answer
    return answer


def refused(response: TestResponse, error: str, status: int = 400) -> None:
    """RFC 6749 section 5.2: the code, the status, nothing cached, nothing issued."""
    assert response.status_code == status, response.text
    assert response.json["error"] == error
    assert response.headers["Cache-Control"] == "no-store"
    assert set(response.json) == {"error", "error_description"}


def is_page(response: TestResponse, parameter: str) -> None:
    """A refusal shown to the person: never a redirect, and it names the parameter."""
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert response.mimetype == "text/html"
    assert f"Problem with: {parameter}" in response.text


def introspect(house: House, token: str, client: str = "web") -> dict[str, Any]:
    response = house.call("/introspect", {"token": token}, client=client)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json
    return found


def refresh(house: House, token: str, client: str = "web", **more: Any) -> TestResponse:
    form = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return house.call("/token", form, client=client)


def raw_post(
    house: House, body: bytes, headers: Mapping[str, str], length: str | None = None
) -> TestResponse:
    """POST /token exactly so; `length` is what Content-Length says, empty for none."""
    environ = EnvironBuilder("/token", method="POST", headers=dict(headers)).get_environ()
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_TYPE"] = headers.get("Content-Type", "")
    environ["CONTENT_LENGTH"] = str(len(body)) if length is None else length
    return Client(house.app.wsgi, use_cookies=False).open(environ)


def at_once(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run every task in a thread of its own, all released by one barrier."""
    barrier = Barrier(len(tasks))
    found: list[T] = []

    def run(task: Callable[[], T]) -> None:
        barrier.wait()
        found.append(task())

    threads = [Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(tasks), "a thread died"
    return found
