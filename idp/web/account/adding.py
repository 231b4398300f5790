"""/account/authenticators/add/<factor>: bind a new authenticator.

The form of the challenge is the very one that a sign-in with enrolment draws. What is under way is
kept beside the person, so that a reload shows the same key and sends nothing again.
"""

from collections.abc import Mapping

from flask import abort, current_app, request
from werkzeug.wrappers import Response

from idp.errors import Conflict, IdpError, NotConfirmed, NotSent, Refused
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import N_, Challenge, Factor, resendable
from idp.model import Authenticator
from idp.ports import Clock
from idp.web.account.authenticators import LIST
from idp.web.account.room import Here, Room
from idp.web.account.ways import PASSWORD
from idp.web.challenge import drawn
from idp.web.theme import factor_template

CONTROLS = frozenset({"csrf", "factor", "enroll", "cancel", "resend", "choose"})
ADDED = N_("It was added. Give it a name that you will know it by.")


class Adding:
    def __init__(
        self,
        room: Room,
        authenticators: AuthenticatorAdmin,
        factors: Mapping[str, Factor],
        clock: Clock,
    ) -> None:
        self._room = room
        self._authenticators = authenticators
        self._factors = factors
        self._clock = clock

    def show(self, factor: str) -> Response:
        here = self._room.prove()
        chosen = self._offered(here, factor)
        asked = self._authenticators.under_way(here.user.id, factor)
        if asked is None:
            try:
                asked = self._authenticators.begin(
                    here.user.id, factor, peer=self._room.peer(), address=self._room.address()
                )
            except (Refused, NotSent) as refused:
                return self._room.refuse(here, refused.public, path=LIST)
        return self._draw(here, chosen, asked)

    def submit(self, factor: str) -> Response:
        here = self._room.take_proven()
        chosen = self._offered(here, factor)
        form = request.form
        if form.get("cancel"):
            self._authenticators.bindings.drop(here.user.id, factor)
            return self._room.to(LIST)
        try:
            if form.get("resend"):
                self._authenticators.resend(here.user.id, factor, address=self._room.address())
                return self._room.to(request.path)
            answer = {name: value for name, value in form.items() if name not in CONTROLS}
            bound = self._authenticators.confirm(
                here.user.id,
                factor,
                answer,
                actor=here.user.id,
                peer=self._room.peer(),
                address=self._room.address(),
            )
        except (NotConfirmed, NotSent, Refused, Conflict) as problem:
            return self._refused(here, problem)
        if not isinstance(bound, Authenticator):
            return self._room.to(request.path)
        self._room.count(here, chosen, bound)
        if factor == PASSWORD:
            return self._room.done(here, LIST, N_("Your password was set."))
        return self._room.done(here, f"{LIST}/{bound.id}", ADDED)

    def _draw(self, here: Here, factor: Factor, asked: Challenge) -> Response:
        pending = self._authenticators.bindings.get(here.user.id, factor.name)
        step = drawn(
            factor.name,
            asked.form,
            action=self._room.url(request.path),
            csrf=self._room.token(here),
            enrolling=True,
            resendable=resendable(factor) and pending is not None and pending.receipt != "",
        )
        return self._room.show(
            here,
            factor_template(current_app, factor.name, enrolling=True),
            public=asked.public,
            client=None,
            **step,
        )

    def _offered(self, here: Here, name: str) -> Factor:
        """One that this person may bind now; there is no page for any other."""
        found = next((f for f in self._authenticators.offers(here.user.id) if f.name == name), None)
        if found is None:
            abort(404)
        return found

    def _refused(self, here: Here, problem: IdpError) -> Response:
        retry_at = getattr(problem, "retry_at", None)
        wait = None if retry_at is None else retry_at - self._clock()
        return self._room.refuse(here, problem.public, wait=wait)
