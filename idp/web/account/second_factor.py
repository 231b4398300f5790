"""/account/second-factor: whether the second factor is asked for at every sign-in."""

from flask import request
from werkzeug.wrappers import Response

from idp.errors import Conflict, Refused
from idp.factors.base import N_
from idp.operate.profiles import Profiles
from idp.web.account.room import Room

BACK = "/account/authenticators"


class SecondFactor:
    def __init__(self, room: Room, profiles: Profiles) -> None:
        self._room = room
        self._profiles = profiles

    def show(self) -> Response:
        here = self._room.prove()
        return self._room.show(
            here,
            "second_factor",
            on=here.user.require_acr is not None,
            demanded=self._profiles.always_demanded(),
            possible=self._profiles.may_demand(here.user) is not None,
            back=self._room.url(BACK),
        )

    def submit(self) -> Response:
        here = self._room.take_proven()
        on = request.form.get("ask") == "always"
        try:
            self._profiles.demand(here.user.id, on)
        except (Refused, Conflict) as refused:
            return self._room.refuse(here, refused.public)
        if on:
            text = N_("From now on you are asked for your second step at every sign-in.")
        else:
            text = N_("You are asked for your second step only where an app demands it.")
        return self._room.done(here, BACK, text)
