"""/account/sessions: the devices that are signed in; each can be signed out from here."""

from flask import abort, request
from werkzeug.wrappers import Response

from idp.factors.base import N_
from idp.sessions.service import SessionService
from idp.web.account.dates import calendar_of
from idp.web.account.places import device, icon, place
from idp.web.account.room import Room
from idp.web.visitor import Visitor

REASON = "ended by the person"


class Sessions:
    def __init__(self, room: Room, visitor: Visitor, sessions: SessionService) -> None:
        self._room = room
        self._visitor = visitor
        self._sessions = sessions

    def show(self) -> Response:
        here = self._room.enter()
        calendar, address = calendar_of(here.user), self._visitor.address()
        found = [
            {
                "id": session.id,
                "current": session.id == here.session.id,
                "device": device(session.user_agent),
                "icon": icon(session.user_agent),
                "place": place(session.ip, address),
                "since": calendar.moment(session.created_at),
                "seen": calendar.moment(session.last_seen_at),
            }
            for session in self._sessions.of(here.user.id)
        ]
        found.sort(key=lambda one: not one["current"])
        return self._room.show(here, "sessions", devices=found)

    def end(self) -> Response:
        """One of the person's own, or all but this one; anybody else's is not found."""
        here = self._room.take()
        others = {s.id for s in self._sessions.of(here.user.id)} - {here.session.id}
        chosen = request.form.get("end", "")
        if chosen == "others":
            self._sessions.end_others(here.user.id, here.session.id, REASON)
            return self._room.done(here, request.path, N_("Every other device was signed out."))
        if chosen not in others:
            abort(404)
        self._sessions.end(chosen, REASON)
        return self._room.done(here, request.path, N_("The device was signed out."))
