"""/account/contact: the mail address and the phone number, each verified before it is used."""

from typing import Protocol

from flask import request
from werkzeug.wrappers import Response

from idp.errors import Conflict, NotConfirmed, NotSent, Refused
from idp.factors.base import N_
from idp.model import User
from idp.operate.phones import PhoneVerification
from idp.ports import Clock
from idp.web.account.room import Here, Room
from idp.web.visitor import Visitor

PAGE = "/account/contact"
PHONE = f"{PAGE}/phone"
MAIL = f"{PAGE}/mail"
LONGEST = 320  # RFC 5321: 64 @ 255


class MailVerification(Protocol):
    """Sends a link to an address; following it makes the address the user's."""

    def possible(self) -> bool: ...
    def send(self, user: User, address: str) -> None: ...  # raises Refused, NotSent


class Contact:
    def __init__(
        self,
        room: Room,
        visitor: Visitor,
        phones: PhoneVerification,
        mails: MailVerification | None,
        clock: Clock,
    ) -> None:
        self._room = room
        self._visitor = visitor
        self._phones = phones
        self._mails = mails
        self._clock = clock

    def show(self) -> Response:
        here = self._room.enter()
        return self._room.show(
            here,
            "contact",
            phone_url=self._room.url(PHONE),
            mail_url=self._room.url(MAIL),
            phone_possible=self._phones.possible(),
            mail_possible=self._mail_possible(),
        )

    def show_phone(self) -> Response:
        here = self._room.prove()
        return self._room.show(
            here,
            "phone",
            waiting=self._phones.waiting(here.user.id),
            possible=self._phones.possible(),
            back=self._room.url(PAGE),
        )

    def submit_phone(self) -> Response:
        """A number, to which a code is sent; then the code."""
        here = self._room.take_proven()
        form = request.form
        if form.get("cancel"):
            self._phones.forget(here.user.id)
            return self._room.to(PAGE)
        if form.get("another"):
            self._phones.forget(here.user.id)
            return self._room.to(PHONE)
        if form.get("resend"):
            return self._send(here, self._phones.waiting(here.user.id) or "")
        if "phone" in form:
            return self._send(here, form["phone"])
        try:
            user = self._phones.confirm(here.user.id, form.get("code", ""))
        except NotConfirmed as wrong:
            wait = None if wrong.retry_at is None else wrong.retry_at - self._clock()
            return self._room.refuse(here, wrong.public, about="code", wait=wait)
        text = N_("%(number)s is now your phone number.")
        return self._room.done(here, PAGE, text, number=user.phone or "")

    def show_mail(self) -> Response:
        here = self._room.prove()
        return self._room.show(
            here, "mail", possible=self._mail_possible(), back=self._room.url(PAGE)
        )

    def submit_mail(self) -> Response:
        here = self._room.take_proven()
        address = request.form.get("email", "").strip()
        if self._mails is None or len(address) > LONGEST:
            return self._room.to(MAIL)
        try:
            self._mails.send(here.user, address)
        except (Refused, Conflict, NotSent) as refused:
            typed = {"email": address}
            return self._room.refuse(here, refused.public, about="email", typed=typed)
        text = N_("We sent a link to %(address)s. Open it there to finish.")
        return self._room.done(here, PAGE, text, address=address)

    def _send(self, here: Here, number: str) -> Response:
        try:
            self._phones.begin(here.user, number, self._visitor.address())
        except (Refused, NotSent) as refused:
            retry_at = refused.retry_at if isinstance(refused, NotSent) else None
            wait = None if retry_at is None else retry_at - self._clock()
            typed = {"phone": number[:40]}
            return self._room.refuse(here, refused.public, about="phone", typed=typed, wait=wait)
        return self._room.to(PHONE)

    def _mail_possible(self) -> bool:
        return self._mails is not None and self._mails.possible()
