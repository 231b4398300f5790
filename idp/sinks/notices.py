"""A person hears of every change to how they sign in, by mail to the address they had before
(OWASP ASVS 6.3.7). What cannot be sent is an event of its own and stops nothing."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from idp import events
from idp.model import Message, User
from idp.ports import Users

Send = Callable[[Message, User], object]

_logger = logging.getLogger(__name__)


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for "translate this later"
    return text


SUBJECT = N_("Your account was changed")
NOT_YOU = N_(
    "If this was not you, change your password now, look at what else can sign in, and ask for "
    "help:"
)
CHANGES: Mapping[str, str] = {
    "authenticator added": N_(
        "A way of signing in was added to your account %(username)s: %(method)s.\n\n"
        "When: %(when)s\n\n%(advice)s"
    ),
    "authenticator removed": N_(
        "A way of signing in was removed from your account %(username)s: %(method)s.\n\n"
        "When: %(when)s\n\n%(advice)s"
    ),
    "code used": N_(
        "A recovery code of your account %(username)s was used. %(left)s are left.\n\n"
        "When: %(when)s\n\n%(advice)s"
    ),
    "password": N_(
        "The password of your account %(username)s was changed.\n\nWhen: %(when)s\n\n%(advice)s"
    ),
    "phone": N_(
        "The phone number of your account %(username)s was changed.\n\nWhen: %(when)s\n\n%(advice)s"
    ),
    "mfa enabled": N_(
        "Signing in to your account %(username)s now needs a second factor.\n\n"
        "When: %(when)s\n\n%(advice)s"
    ),
    "mfa disabled": N_(
        "Signing in to your account %(username)s needs no second factor now.\n\n"
        "When: %(when)s\n\n%(advice)s"
    ),
}


class Notices:
    """`labels` are what people call each factor; `account` is where they change such things;
    `delivers` whether any mail can go out."""

    def __init__(
        self,
        users: Users,
        send: Send,
        delivers: Callable[[], bool],
        labels: Mapping[str, str],
        account: str,
    ) -> None:
        self._users = users
        self._send = send
        self._delivers = delivers
        self._labels = labels
        self._account = account

    def __call__(self, event: events.Event) -> None:
        found = self._told(event)
        if found is None or not self._delivers():
            return
        try:
            self._tell(*found, event.at)
        except Exception:  # noqa: BLE001 - what was done stays done; the courier said why
            _logger.warning("a notice could not be sent", exc_info=False)

    def _told(self, event: events.Event) -> tuple[str, Message] | None:
        """Whom it is about, and what to say; the address is looked up then."""
        match event:
            case events.AuthenticatorAdded():
                return event.user_id, self._about(
                    "authenticator added", method=self._label(event.factor)
                )
            case events.AuthenticatorRemoved():
                return event.user_id, self._about(
                    "authenticator removed", method=self._label(event.factor)
                )
            case events.RecoveryCodeUsed():
                return event.user_id, _message("code used", {"left": str(event.left)})
            case events.PasswordChanged() if event.by != "invitation":
                return event.user_id, _message("password")
            case events.AddressVerified(kind="phone"):
                return event.user_id, _message("phone")
            case events.UserChanged() if event.change in CHANGES:
                return event.user_id, _message(event.change)
        return None

    def _about(self, change: str, **words: str) -> Message:
        found = _message(change)
        return replace(found, words={**found.words, **words})

    def _tell(self, user_id: str, message: Message, at: datetime) -> None:
        user = self._users.get(user_id)
        if user is None or not (user.email and user.email_verified):
            return
        when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        values = {"username": user.username, "when": when, **message.values}
        self._send(replace(message, to=user.email, values=values, tail=self._account), user)

    def _label(self, factor: str) -> str:
        return self._labels.get(factor, factor)


def _message(change: str, values: Mapping[str, str] | None = None) -> Message:
    words = {"advice": NOT_YOU}
    return Message("mail", "", CHANGES[change], SUBJECT, values or {}, about="notice", words=words)
