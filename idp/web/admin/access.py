"""Who may call the admin API: a client of this very provider, by an access token for the API
(RFC 6750, RFC 9068 section 4) with the scope of the operation. In development `admin_token` too.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from idp import events
from idp.oidc.introspection import Introspection
from idp.oidc.tokens import Tokens
from idp.oidc.verify import InvalidJws
from idp.ports import Clock
from idp.web.admin.operations import PREFIX, Operation
from idp.web.admin.problems import Problem
from idp.web.machine import FailureLimit

DEV = "dev"


@dataclass(frozen=True, slots=True)
class Caller:
    actor: str
    scopes: frozenset[str]


class Access:
    def __init__(
        self,
        tokens: Tokens,
        introspection: Introspection,
        issuer: str,
        every_scope: Callable[[], frozenset[str]],
        failure_rate: str,
        bus: events.Bus,
        clock: Clock,
        dev_token: str | None = None,
    ) -> None:
        """`dev_token` is accepted beside tokens, with every scope; None outside development."""
        self._tokens = tokens
        self._introspection = introspection
        self._audience = issuer + PREFIX
        self._every_scope = every_scope
        self._failures = FailureLimit(failure_rate)
        self._bus = bus
        self._clock = clock
        self._dev_token = dev_token

    def caller(self, operation: Operation, authorization: str, address: str) -> Caller:
        """Raises Problem: 401, 403, or 429 after too many of the first."""
        if self._failures.blocked(address):
            wait = {"Retry-After": str(int(timedelta(minutes=1).total_seconds()))}
            raise Problem(429, "too_many_failures", "Too many failures. Slow down.", headers=wait)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise self._unknown(operation, address, "no bearer token", "")
        token = token.strip()
        if self._is_dev(token):
            return Caller(DEV, self._every_scope())
        try:
            claims = self._tokens.verify_access_token(token, self._clock())
        except InvalidJws as problem:
            raise self._unknown(operation, address, str(problem)) from None
        refusal = self._refusal(claims)
        if refusal:
            raise self._unknown(operation, address, refusal)
        found = Caller(str(claims["client_id"]), frozenset(str(claims.get("scope", "")).split(" ")))
        if operation.scope not in found.scopes:
            self._refused(operation, found.actor, "scope")
            raise Problem(
                403,
                "insufficient_scope",
                f"This needs the scope {operation.scope}.",
                headers={
                    "WWW-Authenticate": (
                        f'Bearer error="insufficient_scope", scope="{operation.scope}"'
                    )
                },
            )
        return found

    def _is_dev(self, token: str) -> bool:
        known = self._dev_token
        return known is not None and hmac.compare_digest(
            token.encode("utf-8", "replace"), known.encode()
        )

    def _refusal(self, claims: Mapping[str, Any]) -> str:
        audience = claims.get("aud")
        named = {audience} if isinstance(audience, str) else set(audience or ())
        if self._audience not in named:
            return "the token is for another resource"
        if "grant" in claims or claims.get("sub") != claims.get("client_id"):
            return "the token acts for a person"
        if "cnf" in claims:
            return "the token is bound to a key, and nothing here proves that key"
        return "" if self._introspection.stands(claims) else "the token was revoked"

    def _unknown(
        self, operation: Operation, address: str, reason: str, error: str = "invalid_token"
    ) -> Problem:
        self._failures.count(address)
        self._refused(operation, "", reason)
        challenge = f'Bearer realm="{self._audience}"' + (f', error="{error}"' if error else "")
        return Problem(
            401,
            error or "token_needed",
            f"Send an access token for {self._audience} as bearer token.",
            headers={"WWW-Authenticate": challenge},
        )

    def _refused(self, operation: Operation, client_id: str, reason: str) -> None:
        self._bus.emit(
            events.AdminRefused(
                at=self._clock(), operation=operation.id, client_id=client_id, reason=reason
            )
        )
