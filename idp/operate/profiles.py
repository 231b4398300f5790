"""What a person may change of their own record, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from idp import events
from idp.errors import Conflict, NotFound, Refused
from idp.factors.base import N_
from idp.flow.policy import Policy
from idp.flow.strength import SessionStrength
from idp.model import User
from idp.ports import Clock, Users

LONGEST = 128
PROFILE, SECOND_STEP_ON, SECOND_STEP_OFF = "profile", "second step on", "second step off"
OWN_CLAIMS = ("name", "given_name", "family_name", "nickname", "zoneinfo")  # OIDC Core 5.1
BAD_TEXT = N_("Use up to 128 printable characters.")
NOTHING_STRONGER = N_("You have no second step yet to prove that it is you. Add one first.")
DEMANDED = N_("It is asked of everybody here, so it cannot be switched off.")


@dataclass(frozen=True, slots=True)
class Profiles:
    users: Users
    policy: Policy
    strength: SessionStrength
    bus: events.Bus
    clock: Clock

    def describe(self, user_id: str, claims: Mapping[str, str], locale: str | None) -> User:
        """Set these of `OWN_CLAIMS`; an empty one is removed, the others stay. Raises NotFound,
        Refused."""
        given = {name: text.strip() for name, text in claims.items() if name in OWN_CLAIMS}
        for text in given.values():
            if len(text) > LONGEST or not text.isprintable():
                raise Refused(BAD_TEXT)
        said: dict[str, Any] = {name: text for name, text in given.items() if text}

        def how(user: User) -> User:
            kept = {name: value for name, value in user.claims.items() if name not in given}
            return replace(user, claims={**kept, **said}, locale=locale)

        return self._change(user_id, how, PROFILE)

    def always_demanded(self) -> bool:
        """Whether everybody is asked, at every sign-in, for the most that there is."""
        return self.policy.default_acr == list(self.policy.acrs)[-1]

    def may_demand(self, user: User) -> str | None:
        """The acr that the person may ask for at every sign-in: the highest that they hold, where
        it is more than what everybody is asked for."""
        level = self.strength.demanded(user)
        return level if level is not None and self._above_default(level) else None

    def demand(self, user_id: str, on: bool) -> User:
        """Switch the second factor at every sign-in on or off. Raises NotFound; Refused when there
        is nothing to ask for; Conflict when the policy asks for it in any case."""
        user = self._user(user_id)
        level = self.may_demand(user)
        if on:
            if level is None:
                raise Refused(NOTHING_STRONGER)
            return self._change(
                user_id, lambda now: replace(now, require_acr=level), SECOND_STEP_ON
            )
        if self.always_demanded():
            raise Conflict(DEMANDED)
        return self._change(user_id, lambda now: replace(now, require_acr=None), SECOND_STEP_OFF)

    def _above_default(self, acr: str) -> bool:
        order = list(self.policy.acrs)
        return acr in order and order.index(acr) > order.index(self.policy.default_acr)

    def _user(self, user_id: str) -> User:
        found = self.users.get(user_id)
        if found is None:
            raise NotFound(f"no user {user_id!r}")
        return found

    def _change(self, user_id: str, how: Callable[[User], User], change: str) -> User:
        """On the record as it is, so that what others changed meanwhile is not written back."""
        now = self.clock()
        _, saved = self.users.change(user_id, lambda user: replace(how(user), updated_at=now))
        self.bus.emit(events.UserChanged(at=now, user_id=user_id, change=change, actor=user_id))
        return saved
