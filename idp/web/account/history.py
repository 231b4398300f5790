"""/account/history: what happened in the account lately, in plain words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.factors.base import Factor
from idp.model import AuditRow, User
from idp.oidc.first_party import ACCOUNT
from idp.operate.profiles import PROFILE, SECOND_STEP_OFF, SECOND_STEP_ON
from idp.ports import AuditTrail, Clients
from idp.sessions.service import SessionService
from idp.web.account.dates import calendar_of
from idp.web.account.places import device
from idp.web.account.room import Room

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Told:
    """One line: what happened, how serious it is, and what goes with it."""

    text: str
    kind: str  # icon: check | alert | key | apps
    detail: str = ""


class History:
    def __init__(
        self,
        room: Room,
        audit: AuditTrail,
        clients: Clients,
        factors: Mapping[str, Factor],
        sessions: SessionService,
    ) -> None:
        self._room = room
        self._audit = audit
        self._clients = clients
        self._factors = factors
        self._sessions = sessions

    def show(self) -> Response:
        here = self._room.enter()
        calendar = calendar_of(here.user)
        words = self._words(here.user)
        rows = self._audit.about(here.user.id, tuple(words), limit=SHOWN)
        found = [
            {
                "at": calendar.moment(row.at),
                "iso": row.at.isoformat(),
                "told": words[row.event](row),
            }
            for row in rows
        ]
        return self._room.show(here, "history", rows=found)

    def _words(self, user: User) -> Mapping[str, Callable[[AuditRow], Told]]:
        """How each event reads; an event that is not here is none of a person's business."""
        devices = {s.id: device(s.user_agent) for s in self._sessions.of(user.id)}

        def signed_in(row: AuditRow) -> Told:
            detail = devices.get(str(row.detail.get("session_id")), "")
            if row.client_id in (None, ACCOUNT):
                return Told(_("Signed in to your account pages"), "check", detail)
            app = self._client(row)
            return Told(_("Signed in to %(client)s", client=app), "check", detail)

        def rejected(row: AuditRow) -> Told:
            return Told(_("A wrong answer was given"), "alert", self._factor(row))

        def held_up(row: AuditRow) -> Told:
            text = _("Too many wrong answers: somebody had to wait")
            return Told(text, "alert", self._factor(row))

        def added(row: AuditRow) -> Told:
            text = _("A sign-in method was added")
            return Told(text, "key", _joined(self._factor(row), _by(row, user)))

        def removed(row: AuditRow) -> Told:
            text = _("A sign-in method was removed")
            return Told(text, "key", _joined(self._factor(row), _by(row, user)))

        return {
            "sign_in_completed": signed_in,
            "factor_rejected": rejected,
            "proof_refused": rejected,
            "attempt_refused": held_up,
            "authenticator_added": added,
            "authenticator_removed": removed,
            "recovery_code_used": lambda row: Told(
                _("A recovery code was used"),
                "alert",
                _("%(left)s left", left=row.detail.get("left", "?")),
            ),
            "enrollment_deferred": lambda _row: Told(_("A second step was put off"), "key"),
            "password_changed": lambda row: Told(_("The password was changed"), "key"),
            "address_verified": lambda row: Told(
                _("A phone number was confirmed")
                if row.detail.get("kind") == "phone"
                else _("An email address was confirmed"),
                "check",
            ),
            "consent_given": lambda row: Told(
                _("%(client)s was given access", client=self._client(row)), "apps"
            ),
            "consent_withdrawn": lambda row: Told(
                _("The access of %(client)s was withdrawn", client=self._client(row)), "apps"
            ),
            "session_ended": lambda row: Told(_("A device was signed out"), "check"),
            "user_changed": lambda row: _changed(row, user),
        }

    def _client(self, row: AuditRow) -> str:
        client = self._clients.get(row.client_id or "")
        return client.name if client is not None else row.client_id or "?"

    def _factor(self, row: AuditRow) -> str:
        name = str(row.detail.get("factor", ""))
        factor = self._factors.get(name)
        return _(factor.label) if factor is not None else name


def _changed(row: AuditRow, user: User) -> Told:
    """`user_changed` has its own words for what was changed; some begin alike."""
    change = str(row.detail.get("change", ""))
    if change.startswith("enrolled "):
        return Told(_("A sign-in method was added"), "key", _by(row, user))
    texts: Mapping[str, str] = {
        "added": _("The account was made"),
        "password": _("An administrator set a new password"),
        "disabled": _("The account was locked"),
        "enabled": _("The account was unlocked"),
        "authenticator renamed": _("A sign-in method was renamed"),
        PROFILE: _("The profile was changed"),
        SECOND_STEP_ON: _("The second step at every sign-in was switched on"),
        SECOND_STEP_OFF: _("The second step at every sign-in was switched off"),
    }
    text = texts.get(change, _("The account was changed"))
    return Told(text, "person", _by(row, user))


def _by(row: AuditRow, user: User) -> str:
    return "" if row.detail.get("actor") in (None, user.id) else _("By an administrator")


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
