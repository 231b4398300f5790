"""/account/password: the current one, then a new one; every other device is signed out."""

from flask import request
from werkzeug.wrappers import Response

from idp.errors import Conflict, NotConfirmed, NotFound, PageError, Refused
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import N_
from idp.operate.passwords import PasswordChange
from idp.ports import Clock
from idp.web.account.room import Room
from idp.web.account.ways import PASSWORD

BACK = "/account/authenticators"


class ChangePassword:
    def __init__(
        self, room: Room, authenticators: AuthenticatorAdmin, change: PasswordChange, clock: Clock
    ) -> None:
        self._room = room
        self._authenticators = authenticators
        self._change = change
        self._clock = clock

    def show(self) -> Response:
        here = self._room.prove()
        if not any(a.factor == PASSWORD for a in self._authenticators.of(here.user.id)):
            return self._room.to(f"{BACK}/add/{PASSWORD}")
        return self._room.show(here, "password")

    def submit(self) -> Response:
        """Needs the current password besides the fresh sign-in (OWASP ASVS 6.2.3)."""
        here = self._room.take_proven()
        if "password" not in request.form:
            raise PageError(
                "current_password",
                N_("The current password is needed to change it."),
                action=N_("Go back, reload the page and type both."),
                status=403,
            )
        current, new = request.form.get("password", ""), request.form.get("new_password", "")
        try:
            self._change.change(here.user, here.session, current, new)
        except NotConfirmed as wrong:
            wait = None if wrong.retry_at is None else wrong.retry_at - self._clock()
            return self._room.refuse(here, wrong.public, about="password", wait=wait)
        except (Refused, Conflict) as weak:
            return self._room.refuse(here, weak.public, about="new_password")
        except NotFound:
            return self._room.to(BACK)
        text = N_("Your password was changed. Every other device was signed out.")
        return self._room.done(here, BACK, text)
