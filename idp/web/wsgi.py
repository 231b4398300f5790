"""The door: machines' paths go to `machine`, the admin API to its own application, everything else
to the pages.

The issuer's path is taken off here; a request outside it does not exist. Host and forwarding
headers never make a URL: those come from the configuration.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from idp.web.machine import Machine, Route, StartResponse

Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
ADMIN = "/admin/v1"
_NOT_FOUND = b'{"error":"not_found"}'


class Door:
    def __init__(
        self,
        routes: Mapping[str, Route],
        machine: Machine,
        pages: Wsgi,
        prefix: str,
        admin: Callable[[], Wsgi],
    ) -> None:
        """`admin` makes its application, once somebody asks for it."""
        self._admin = cache(admin)
        self._routes = routes
        self._machine = machine
        self._pages = pages
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        route = self._routes.get(path)
        if route is not None:
            return self._machine(route, environ, start_response)
        if self._prefix:
            if not path.startswith(self._prefix + "/"):
                start_response(
                    "404 Not Found",
                    [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")],
                )
                return [_NOT_FOUND]
            environ["SCRIPT_NAME"] = self._prefix
            environ["PATH_INFO"] = path[len(self._prefix) :]
        if f"{environ['PATH_INFO']}/".startswith(ADMIN + "/"):
            environ["SCRIPT_NAME"] = self._prefix + ADMIN
            environ["PATH_INFO"] = environ["PATH_INFO"][len(ADMIN) :]
            return self._admin()(environ, start_response)
        return self._pages(environ, start_response)
