"""The two cookies: the session's, and the one that binds a sign-in to its browser.

`__Host-` and `Secure` on https; neither on plain-http loopback in dev mode, where other
people's clients would not send them back.
"""

import hashlib
import secrets
from dataclasses import dataclass

from werkzeug.wrappers import Request, Response


@dataclass(frozen=True, slots=True)
class Cookies:
    secure: bool

    @property
    def session(self) -> str:
        return "__Host-sid" if self.secure else "sid"

    @property
    def flow(self) -> str:
        return "__Host-flow" if self.secure else "flow"

    @property
    def language(self) -> str:
        return "__Host-lang" if self.secure else "lang"

    def read(self, request: Request, name: str) -> str | None:
        value = request.cookies.get(name)
        return value if value and len(value) <= 256 else None

    def set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name, value, secure=self.secure, httponly=True, samesite="Lax", path="/"
        )

    def clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, secure=self.secure, httponly=True, samesite="Lax", path="/")


def new_binding() -> str:
    return secrets.token_urlsafe(32)


def binding_hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
