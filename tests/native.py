"""A native application, or an attacker with curl: the pages of a sign-in as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.test import Client
from werkzeug.test import TestResponse as Response

from idp.testing.passkey import VirtualPasskey
from tests.house import House, Request

Json = dict[str, Any]


class Visitor:
    """Keeps its cookies and the step that it stands at."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.http = Client(house.app.wsgi)
        self.step: Json = {}

    def begin(self, acr: str = "aal1") -> Json:
        query = Request(more={"acr_values": acr}).query()
        return self._taken(self.open("GET", f"/authorize?{query}"))

    def reload(self) -> Json:
        return self._taken(self.open("GET", self.path))

    def post(self, **fields: str) -> Json:
        """An answer to the first question, or to `factor`."""
        form = {"csrf": self.step["csrf"], "factor": self.step["factor"], **fields}
        return self._taken(self.open("POST", self.path, form))

    @staticmethod
    def answer(credential: Json) -> dict[str, str]:
        return {"credential": json.dumps(credential)}

    def give(self, credential: Json, **fields: str) -> Json:
        return self.post(**self.answer(credential), **fields)

    def options(self, factor: str = "") -> Json:
        """Of the question, or of the one beside it."""
        beside = {b["factor"]: b["public"] for b in self.step["beside"]}
        found: Json = (beside[factor] if factor else self.step["public"])["publicKey"]
        return found

    def alone(self, device: VirtualPasskey) -> Json:
        """Sign in with a passkey, no name typed."""
        self.begin()
        return self.give(device.get(self.options("passkey")), factor="passkey")

    @property
    def path(self) -> str:
        return f"/interaction/{self.step['interaction']}"

    def open(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Response:
        return self.http.open(
            path,
            method=method,
            data=form,
            headers={"Accept": "application/json"},
            base_url=self.house.issuer,
            follow_redirects=True,
        )

    def _taken(self, response: Response) -> Json:
        found: Json = response.json or {}
        if "interaction" in found:
            self.step = found
        return found


def led_to_registration(house: House, username: str = "ben") -> Visitor:
    """Somebody without a second factor asks for aal2 and gives the password."""
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username=username, password=house.users[username]["password"])
    assert visitor.step["step"] == "enroll"
    if visitor.step["factor"] != "webauthn":
        visitor.post(choose="webauthn")
    return visitor


def asked_again(answer: Json) -> bool:
    return answer.get("step") in {"factor", "enroll"} and bool(answer["error"])
