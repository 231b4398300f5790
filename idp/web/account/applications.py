"""/account/applications: which apps have access, to what, since when; it can be withdrawn."""

from datetime import datetime

from flask import abort, request
from werkzeug.wrappers import Response

from idp.factors.base import N_
from idp.model import Client, Consent, User
from idp.oidc.consent import ConsentService
from idp.oidc.first_party import ACCOUNT
from idp.ports import AuditTrail, Clients
from idp.web.account.dates import calendar_of
from idp.web.account.room import Room
from idp.web.scopes import in_order
from idp.web.theme import shown

SIGN_INS = ("sign_in_completed",)
LOOKED_AT = 500  # sign-ins, the newest first


class Applications:
    def __init__(
        self, room: Room, consents: ConsentService, clients: Clients, audit: AuditTrail
    ) -> None:
        self._room = room
        self._consents = consents
        self._clients = clients
        self._audit = audit

    def show(self) -> Response:
        here = self._room.enter()
        consents = self._consents.of(here.user.id)
        used = self._last_used(here.user)
        return self._room.show(
            here,
            "applications",
            connected=[self._connected(here.user, consent, used) for consent in consents],
            trusted=self._trusted(here.user, {c.client_id for c in consents}, used),
        )

    def withdraw(self) -> Response:
        """Of the person's own alone: another's consent is not found."""
        here = self._room.take()
        client_id = request.form.get("withdraw", "")
        if not any(c.client_id == client_id for c in self._consents.of(here.user.id)):
            abort(404)
        self._consents.withdraw(here.user.id, client_id)
        client = self._clients.get(client_id)
        text = N_("%(client)s has no access to your account any more.")
        name = client_id if client is None else client.name
        return self._room.done(here, request.path, text, client=name)

    def _last_used(self, user: User) -> dict[str, datetime]:
        """When each app was last signed in to, as far as the audit trail goes back."""
        found: dict[str, datetime] = {}
        for row in self._audit.about(user.id, SIGN_INS, limit=LOOKED_AT):
            if row.client_id and row.client_id != ACCOUNT:
                found.setdefault(row.client_id, row.at)
        return found

    def _connected(
        self, user: User, consent: Consent, used: dict[str, datetime]
    ) -> dict[str, object]:
        calendar, at = calendar_of(user), used.get(consent.client_id)
        return {
            **_named(consent.client_id, self._clients.get(consent.client_id)),
            "scopes": in_order(consent.scopes),
            "resources": sorted(consent.resources),
            "since": calendar.day(consent.granted_at),
            "used": None if at is None else calendar.day(at),
        }

    def _trusted(
        self, user: User, asked: set[str], used: dict[str, datetime]
    ) -> list[dict[str, object]]:
        """Apps that were signed in to without asking: the operator trusts them."""
        calendar, found = calendar_of(user), []
        for client_id, at in used.items():
            client = self._clients.get(client_id)
            if client is not None and not client.require_consent and client_id not in asked:
                found.append({**_named(client_id, client), "used": calendar.day(at)})
        return found


def _named(client_id: str, client: Client | None) -> dict[str, object]:
    if client is None:
        return {"client_id": client_id, "name": client_id, "logo": None}
    return {**shown(client)}
