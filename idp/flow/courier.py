"""The one way to send a message to a person: in their language, within limits, with an event."""

from collections.abc import Callable
from dataclasses import replace

from idp import events
from idp.errors import NotSent, cause
from idp.factors.base import N_
from idp.model import Message, User
from idp.ports import Clock, Messenger

NOT_NOW = N_("The message could not be sent. Try again in a moment, or choose another way.")

Translate = Callable[[str | None, str], str]


class Courier:
    def __init__(
        self,
        gateways: dict[str, Messenger],
        translate: Translate,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        """`gateways` by the kind of message; a kind without one is not delivered."""
        self._gateways = gateways
        self._translate = translate
        self._bus = bus
        self._clock = clock

    def delivers(self, kind: str) -> bool:
        return kind in self._gateways

    def send(self, message: Message, user: User | None, address: str = "") -> str:
        """A receipt, for `verified`. Raises NotSent; what a person may do about it is in it."""
        gateway = self._gateways.get(message.kind)
        if gateway is None:
            raise NotSent(f"no gateway for {message.kind}", NOT_NOW)
        ready = self._rendered(message, user)
        try:
            gateway.send(ready)
        except Exception as problem:
            self._bus.emit(
                events.MessageFailed(
                    at=self._clock(),
                    kind=message.kind,
                    about=message.about,
                    cause=cause(problem),
                    user_id=None if user is None else user.id,
                )
            )
            raise NotSent(cause(problem), NOT_NOW) from problem
        self._bus.emit(
            events.MessageSent(
                at=self._clock(),
                kind=message.kind,
                about=message.about,
                region="",
                user_id=None if user is None else user.id,
            )
        )
        return ""

    def verified(self, receipt: str) -> None:
        """The code that went out under this receipt came back."""

    def _rendered(self, message: Message, user: User | None) -> Message:
        locale = message.locale or (user.locale if user is not None else None)
        text = self._translate(locale, message.text)
        subject = self._translate(locale, message.subject) if message.subject else ""
        return replace(
            message, text=text % message.values, subject=subject % message.values, values={}
        )
