"""/account/authenticators: what the person signs in with; naming and removing one."""

from collections.abc import Mapping

from flask import abort, request
from werkzeug.wrappers import Response

from idp.errors import LastWayIn, NotFound, Refused
from idp.factors import recovery_code
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import N_, Factor, expendable
from idp.model import Authenticator
from idp.operate.profiles import Profiles
from idp.web.account.dates import Calendar, calendar_of
from idp.web.account.room import Here, Room
from idp.web.account.ways import PASSWORD, Held, name_of, second_factors, ways

LIST = "/account/authenticators"


class Authenticators:
    def __init__(
        self,
        room: Room,
        authenticators: AuthenticatorAdmin,
        factors: Mapping[str, Factor],
        profiles: Profiles,
    ) -> None:
        self._room = room
        self._authenticators = authenticators
        self._factors = factors
        self._profiles = profiles

    def show(self) -> Response:
        here = self._room.enter()
        user = here.user
        held = self._authenticators.of(user.id)
        calendar = calendar_of(user)
        shown = {a.id: self._held(a, calendar) for a in held}
        offered = [factor.name for factor in self._authenticators.offers(user.id)]
        return self._room.show(
            here,
            "authenticators",
            ways=ways(self._factors, held, offered, shown),
            codes_in_use=recovery_code.NAME in self._factors,
            codes_left=self._authenticators.codes_left(user.id),
            has_second=bool(second_factors(self._factors, held)),
            always_asked=user.require_acr is not None or self._profiles.always_demanded(),
            may_always_ask=self._profiles.may_demand(user) is not None,
        )

    def show_one(self, authenticator_id: str) -> Response:
        here = self._room.prove()
        return self._one(here, "authenticator", self._own(here, authenticator_id))

    def rename(self, authenticator_id: str) -> Response:
        here = self._room.take_proven()
        own = self._own(here, authenticator_id)
        name = request.form.get("name", "")
        try:
            self._authenticators.rename(here.user.id, own.id, name, actor=here.user.id)
        except Refused as refused:
            typed = {"name": name[:256]}
            return self._room.refuse(here, refused.public, about="name", typed=typed)
        return self._room.done(here, LIST, N_("The name was saved."))

    def ask_removal(self, authenticator_id: str) -> Response:
        here = self._room.prove()
        return self._one(here, "authenticator_remove", self._own(here, authenticator_id))

    def remove(self, authenticator_id: str) -> Response:
        here = self._room.take_proven()
        own = self._own(here, authenticator_id)
        name = name_of(own, self._factors)
        try:
            self._authenticators.remove(here.user.id, own.id, actor=here.user.id)
        except LastWayIn as last:
            return self._room.refuse(here, last.public, path=LIST)
        text = N_("%(name)s was removed. It cannot be used to sign in any more.")
        return self._room.done(here, LIST, text, name=name)

    def _one(self, here: Here, template: str, own: Authenticator) -> Response:
        return self._room.show(
            here,
            template,
            held=self._held(own, calendar_of(here.user)),
            back=self._room.url(LIST),
            own_page=self._room.url(f"{LIST}/{own.id}"),
        )

    def _own(self, here: Here, authenticator_id: str) -> Authenticator:
        """Of this very person, and a thing that is named and removed by itself; else 404."""
        try:
            held = self._authenticators.of(here.user.id)
        except NotFound:
            abort(404)
        found = next((a for a in held if a.id == authenticator_id), None)
        if found is None:
            abort(404)
        factor = self._factors.get(found.factor)
        if found.factor == PASSWORD or (factor is not None and expendable(factor)):
            abort(404)
        return found

    def _held(self, found: Authenticator, calendar: Calendar) -> Held:
        used = found.last_used_at
        return Held(
            found.id,
            name_of(found, self._factors),
            found.factor,
            calendar.day(found.created_at),
            None if used is None else calendar.day(used),
        )
