"""Consent that is remembered and can be withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from idp import events
from idp.model import AuthorizationRequest, Client, Consent, User
from idp.ports import Clock, Consents, Grants


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client asks for, and what of it is new."""

    scopes: tuple[str, ...]
    new_scopes: tuple[str, ...]
    resources: tuple[str, ...]


class ConsentService:
    def __init__(self, consents: Consents, grants: Grants, bus: events.Bus, clock: Clock) -> None:
        self._consents = consents
        self._grants = grants
        self._bus = bus
        self._clock = clock

    def wanted(self, user: User, client: Client, request: AuthorizationRequest) -> Wanted | None:
        """What to ask the person, or None when nothing is left to ask (OIDC Core 3.1.2.4).

        A trusted client (`require_consent` off) asks only when the request says
        `prompt=consent`.
        """
        forced = "consent" in request.prompts
        if not client.require_consent and not forced:
            return None
        held = self._consents.get(user.id, client.client_id)
        known = held.scopes if held is not None else frozenset()
        known_resources = held.resources if held is not None else frozenset()
        new = tuple(scope for scope in request.scopes if scope not in known)
        covered = held is not None and not new and set(request.resources) <= known_resources
        if covered and not forced:
            return None
        return Wanted(request.scopes, new, request.resources)

    def allow(self, user: User, client: Client, request: AuthorizationRequest) -> None:
        """Remember the union: an earlier consent is never narrowed by a later one."""
        held = self._consents.get(user.id, client.client_id)
        now = self._clock()
        scopes = frozenset(request.scopes) | (held.scopes if held else frozenset())
        resources = frozenset(request.resources) | (held.resources if held else frozenset())
        self._consents.save(Consent(user.id, client.client_id, scopes, resources, now))
        self._bus.emit(
            events.ConsentGiven(
                at=now, user_id=user.id, client_id=client.client_id, scopes=request.scopes
            )
        )

    def withdraw(self, user_id: str, client_id: str) -> bool:
        """Forget it, and revoke every grant made under it."""
        now = self._clock()
        withdrawn = self._consents.withdraw(user_id, client_id)
        self._grants.revoke_between(user_id, client_id, now, "consent withdrawn")
        if withdrawn:
            self._bus.emit(events.ConsentWithdrawn(at=now, user_id=user_id, client_id=client_id))
        return withdrawn

    def of(self, user_id: str) -> Sequence[Consent]:
        return self._consents.of(user_id)
