"""The one way to send a message to a person: in their language, within limits, with an event."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from idp import events
from idp.errors import NotSent, cause
from idp.factors.base import N_
from idp.model import Message, User
from idp.ports import Clock, Messenger

NOT_NOW = N_("The message could not be sent. Try again in a moment, or choose another way.")

Translate = Callable[[str | None, str], str]


class Limits(Protocol):
    """What bounds one kind of message."""

    def admit(self, message: Message, user: User | None, address: str) -> str:
        """A receipt. Raises NotSent; what was spent stays spent."""
        ...

    def verified(self, receipt: str) -> None: ...


class Courier:
    def __init__(
        self,
        gateways: Mapping[str, Messenger],
        limits: Mapping[str, Limits],
        translate: Translate,
        bus: events.Bus,
        clock: Clock,
    ) -> None:
        """`gateways` and `limits` by the kind of message; a kind without a gateway is not
        delivered."""
        self._gateways = gateways
        self._limits = limits
        self._translate = translate
        self._bus = bus
        self._clock = clock

    def delivers(self, kind: str) -> bool:
        return kind in self._gateways

    def send(self, message: Message, user: User | None, address: str = "") -> str:
        """A receipt, for `verified`. `address` is where the request came from. Raises NotSent;
        what a person may do about it is in it."""
        gateway = self._gateways.get(message.kind)
        if gateway is None:
            raise NotSent(f"no gateway for {message.kind}", NOT_NOW)
        limits = self._limits.get(message.kind)
        region = "" if limits is None else limits.admit(message, user, address)
        receipt = f"{message.kind}:{region}"
        user_id = None if user is None else user.id
        try:
            gateway.send(self._rendered(message, user))
        except Exception as problem:
            self._bus.emit(
                events.MessageFailed(
                    at=self._clock(),
                    kind=message.kind,
                    about=message.about,
                    cause=cause(problem),
                    user_id=user_id,
                )
            )
            raise NotSent(cause(problem), NOT_NOW, receipt=receipt) from problem
        self._bus.emit(
            events.MessageSent(
                at=self._clock(),
                kind=message.kind,
                about=message.about,
                region=region,
                user_id=user_id,
            )
        )
        return receipt

    def verified(self, receipt: str) -> None:
        """The code that went out under this receipt came back."""
        kind, _, region = receipt.partition(":")
        if kind in self._limits:
            self._limits[kind].verified(region)

    def _rendered(self, message: Message, user: User | None) -> Message:
        locale = message.locale or (user.locale if user is not None else None)
        words = {name: self._translate(locale, word) for name, word in message.words.items()}
        values = {**message.values, **words}
        text = self._translate(locale, message.text) % values
        subject = self._translate(locale, message.subject) % values if message.subject else ""
        if message.tail:
            text = f"{text}\n\n{message.tail}"
        return replace(message, text=text, subject=subject, values={}, words={}, tail="")
