"""Every error that the provider raises on purpose.

    IdpError                    code, status, public text; detail for the operator only
    ├── OAuthError              an RFC's error code, answered as JSON or by redirect
    │   └── InvalidClient       401, RFC 6749 section 5.2
    ├── PageError               shown to a person, never redirected
    ├── Busy                    503 with Retry-After
    ├── NotFound                an operator named something that is not there
    ├── Conflict                what was asked for is taken
    │   └── LastWayIn           its removal would leave the person no way to sign in
    ├── Refused                 what was asked for is not acceptable; says what would be
    ├── NotConfirmed            what was typed did not bind the authenticator
    ├── NotSent                 a message to a person did not go out
    └── ConfigError             a setting that cannot be used; names it and says what would do

The public text never holds the detail: `web` renders the first and logs the second.
"""

from datetime import datetime, timedelta


def cause(problem: BaseException) -> str:
    """Type and place of an exception, for the operator; its text may hold what was sent. What
    went wrong outside says so itself."""
    if isinstance(problem, OutsideError):
        return f"{type(problem).__name__}: {problem.reason}"
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(problem).__name__
    code = trace.tb_frame.f_code
    return f"{type(problem).__name__} in {code.co_name} ({code.co_filename}:{trace.tb_lineno})"


class OutsideError(Exception):
    """Something outside did not do as it should. `reason` is short and holds no secret, no text
    from the far side and nobody's number or address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IdpError(Exception):
    """Base of all. `code` is stable, `public` may be shown, `detail` may not."""

    def __init__(self, code: str, status: int, public: str, detail: str = "") -> None:
        super().__init__(public)
        self.code = code
        self.status = status
        self.public = public
        self.detail = detail


class OAuthError(IdpError):
    """An error of an OAuth endpoint: `code` is the RFC's word (RFC 6749 section 5.2)."""

    def __init__(
        self, code: str, public: str, *, status: int = 400, detail: str = "", parameter: str = ""
    ) -> None:
        super().__init__(code, status, public, detail)
        self.parameter = parameter


class InvalidClient(OAuthError):
    """Client authentication failed. The public text is one for all causes; detail says which."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid_client", "Client authentication failed.", status=401)
        self.detail = detail


class PageError(IdpError):
    """A refusal that a person reads: it says what to do next and names the parameter at fault."""

    def __init__(
        self,
        code: str,
        public: str,
        *,
        action: str,
        status: int = 400,
        parameter: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(code, status, public, detail)
        self.action = action
        self.parameter = parameter


class Busy(IdpError):
    """The work queue is full; nothing was done. The client may try again after `retry_after`."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            "temporarily_unavailable", 503, "The server is busy. Try again in a moment."
        )
        self.retry_after = retry_after


class NotFound(IdpError):
    def __init__(self, public: str) -> None:
        super().__init__("not_found", 404, public)


class Conflict(IdpError):
    def __init__(self, public: str) -> None:
        super().__init__("conflict", 409, public)


class LastWayIn(Conflict):
    """It was kept: without it the person could not sign in any more."""

    def __init__(self, public: str) -> None:
        super().__init__(public)
        self.code = "last_way_in"


class Refused(IdpError):
    """What was asked for is not acceptable; the public text says what would be. `code` is the
    stable reason, for programs."""

    def __init__(self, public: str, reason: str = "invalid") -> None:
        super().__init__(reason, 422, public)


class NotConfirmed(IdpError):
    """Nothing was bound. `code` says why: wrong, wait, broken, or stale: no binding under way."""

    def __init__(
        self, code: str, public: str, retry_at: datetime | None = None, detail: str = ""
    ) -> None:
        super().__init__(code, 422, public, detail)
        self.retry_at = retry_at


class NotSent(IdpError):
    """It did not go out; or nobody knows, and `receipt` is the one that it has if it did.
    `public`, marked with N_, is for the person; `reason` for the operator."""

    def __init__(
        self,
        reason: str,
        public: str,
        retry_at: datetime | None = None,
        *,
        receipt: str = "",
    ) -> None:
        super().__init__("not_sent", 503, public, reason)
        self.reason = reason
        self.retry_at = retry_at
        self.receipt = receipt


class ConfigError(IdpError):
    def __init__(self, public: str) -> None:
        super().__init__("config", 500, public)
