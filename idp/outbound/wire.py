"""A connection under a budget of time and bytes: no answer, however slow or long, outlasts it."""

import http.client
import io
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final, NoReturn

from urllib3.connection import HTTPConnection, HTTPSConnection

from idp.errors import OutsideError

Clock = Callable[[], float]

HEADER_BYTES: Final = 65536


class OutboundError(OutsideError):
    """A request was refused or failed."""


class Budget:
    """What one request may still use of time and of the wire."""

    def __init__(self, clock: Clock, timeout: timedelta, limit: int) -> None:
        self._clock = clock
        self._seconds = timeout.total_seconds()
        self._end = clock() + self._seconds
        # http.client and urllib3 read heads, chunk sizes and trailers outside the body's limit.
        self._bytes = HEADER_BYTES + 2 * limit

    def left(self) -> float:
        """Seconds left, more than zero, or OutboundError."""
        left = self._end - self._clock()
        if left <= 0:
            self.overrun()
        return left

    def overrun(self) -> NoReturn:
        raise OutboundError(f"took longer than {self._seconds:g} s")

    def spend(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0:
            raise OutboundError("the answer's head and framing are too large")


class _Metered(io.RawIOBase):
    """The socket as a file: each read waits for no longer than the whole request may.

    A socket timeout alone begins anew with every byte, so one byte at a time would last for ever.
    """

    def __init__(self, sock: socket.socket, file: io.RawIOBase, budget: Budget) -> None:
        self._sock = sock
        self._file = file
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._budget.left())
        count: int | None = self._file.readinto(buffer)
        self._budget.spend(count or 0)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, budget: Budget, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Metered(sock, self.fp.detach(), budget))


class Connection(HTTPConnection):
    """A connection under a budget."""

    budget: Budget

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        sock.settimeout(self.budget.left())  # for the TLS handshake and for sending
        return sock

    def getresponse(self) -> Any:
        self.response_class = partial(_Response, budget=self.budget)  # type: ignore[assignment]
        return super().getresponse()


class TlsConnection(Connection, HTTPSConnection):
    """The same over TLS."""
