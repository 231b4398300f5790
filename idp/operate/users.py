"""Users as operators manage them: add, change, disable, remove, set a password."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from idp import events
from idp.errors import Conflict, NotFound
from idp.errors import Refused as Refused
from idp.factors.base import Challenge, Context, Factor, Form, Rejected
from idp.model import Authenticator, User
from idp.operate import fields, names
from idp.ports import Clock, Stores
from idp.sessions.service import SessionService

NEVER_NULL = frozenset({"username", "email_verified", "phone_verified", "claims", "disabled"})
CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "email": names.address,
    "phone": fields.phone,
    "locale": fields.locale,
    "claims": fields.claims,
}


@dataclass(frozen=True, slots=True)
class UserAdmin:
    stores: Stores
    factors: Mapping[str, Factor]
    sessions: SessionService
    bus: events.Bus
    clock: Clock
    issuer: str
    acrs: tuple[str, ...]
    left: Callable[[User, str | None], None] = lambda before, new: None  # tells the old address

    def add(
        self,
        username: str,
        *,
        password: str | None = None,
        actor: str,
        user_id: str | None = None,
        **given: Any,
    ) -> User:
        """A new account. Raises Conflict for a taken name, Refused for a bad one or a weak
        password; nothing is written then."""
        values = self._checked(given)
        name = names.username(username, values.get("email"))
        now = self.clock()
        user = User(
            id=user_id or uuid4().hex, username=name, created_at=now, updated_at=now, **values
        )
        _consistent(user)
        secret = self._password(user, password) if password is not None else None
        self.stores.users.add(user)
        if secret is not None:
            self.stores.authenticators.add(secret)
        self._emit(user, "added", actor)
        return user

    def get(self, name: str) -> User:
        """By id or username. Raises NotFound. Ids come first: they are known to many, and whoever
        took another's as a username must not be meant instead."""
        found = self.stores.users.get(name) or self.stores.users.find(name)
        if found is None:
            raise NotFound(f"no user {name!r}; `idp user list` shows them")
        return found

    def by_id(self, user_id: str) -> User:
        """Raises NotFound."""
        found = self.stores.users.get(user_id)
        if found is None:
            raise NotFound(f"no user {user_id!r}")
        return found

    def change(
        self,
        user_id: str,
        given: Mapping[str, Any],
        *,
        actor: str,
        seen: Callable[[User], None] = lambda user: None,
    ) -> User:
        """Change these fields of the record; `disabled` too. `seen` is shown the record that is
        changed and raises when it is not the one that was meant. Raises NotFound, Conflict,
        Refused; nothing is written then. An address that is changed is not verified any more,
        unless it is said to be."""

        for name in NEVER_NULL & given.keys():
            if given[name] is None:
                raise Refused(f"{name} cannot be null")
        values = self._checked(given)

        def how(user: User) -> User:
            seen(user)
            return self._with(user, values)

        before, after = self.stores.users.change(user_id, how)
        self._follow(before, after, actor)
        return after

    def remove(
        self, user_id: str, *, actor: str, seen: Callable[[User], None] = lambda user: None
    ) -> None:
        """The user and all that is theirs; what was signed in is not any more. Raises NotFound."""
        user = self.by_id(user_id)
        seen(user)
        self.sessions.end_all(user.id, "user removed")
        self.stores.users.remove(user.id)
        self._emit(user, "removed", actor)

    def set_password(self, name: str, password: str, *, actor: str) -> User:
        """Replace the password. What was signed in before is not any more (OWASP ASVS 7.4.3), and
        links that would set another one are void."""
        user = self.get(name)
        fresh = self._password(user, password)
        before = [a for a in self.stores.authenticators.of(user.id) if a.factor == "password"]
        self.stores.authenticators.add(fresh)  # first: there is no moment without a password
        for old in before:
            self.stores.authenticators.remove(old.id)
        self.stores.attempts.reset(user.id, "password")
        self.sessions.end_all(user.id, "password changed")
        self.stores.grants.revoke_all(user.id, self.clock(), "password changed")
        self.stores.tickets.revoke(user.id, self.clock())
        self._emit(user, "password", actor)
        return user

    def disable(self, name: str, *, actor: str) -> User:
        """Nothing more is issued to the user from here on, and every session ends."""
        return self.change(self.get(name).id, {"disabled": True}, actor=actor)

    def enable(self, name: str, *, actor: str) -> User:
        return self.change(self.get(name).id, {"disabled": False}, actor=actor)

    def _with(self, user: User, given: Mapping[str, Any]) -> User:
        """The record with these values in it; the same one when they are in it already."""
        values = dict(given)
        for name in ("email", "phone"):
            if name in values and values[name] != getattr(user, name):
                values.setdefault(f"{name}_verified", False)
        if "username" in values or ("email" in values and "@" in user.username):
            email = values.get("email", user.email)
            values["username"] = names.username(values.get("username", user.username), email)
        if "disabled" in values:
            since = user.disabled_at or self.clock()
            values["disabled_at"] = since if values.pop("disabled") else None
        after = replace(user, **values)
        _consistent(after)
        return after if after == user else replace(after, updated_at=self.clock())

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = dict(given)
        for name, check in CHECKS.items():
            if values.get(name) is not None:
                values[name] = check(values[name])
        if values.get("require_acr") not in (None, *self.acrs):
            raise Refused(f"no such acr; there are: {', '.join(self.acrs)}")
        return values

    def _follow(self, before: User, after: User, actor: str) -> None:
        """What a change brings about, once it is written."""
        told = replace(before, disabled_at=after.disabled_at, updated_at=after.updated_at)
        if told != after:
            self._emit(after, "changed", actor)
        if before.email != after.email:
            self.left(before, after.email)
        if before.phone and before.phone != after.phone:
            self._emit(after, "phone", actor)
        if (before.disabled_at is None) == (after.disabled_at is None):
            return
        if after.disabled_at is not None:
            self.sessions.end_all(after.id, "user disabled")
        self._emit(after, "disabled" if after.disabled_at else "enabled", actor)

    def _password(self, user: User, password: str) -> Authenticator:
        if "password" not in self.factors:
            raise Conflict("no acr uses the factor `password`, so a password would be of no use")
        try:
            return self.factors["password"].confirm(
                self._context(user), Challenge(Form("", ())), {"password": password}
            )
        except Rejected as refusal:
            raise Refused(f"password: {refusal.detail}") from None

    def _context(self, user: User) -> Context:
        return Context(self.clock(), self.issuer, user, (), self.stores.ephemeral.once)

    def _emit(self, user: User, change: str, actor: str) -> None:
        self.bus.emit(
            events.UserChanged(at=self.clock(), user_id=user.id, change=change, actor=actor)
        )


def _consistent(user: User) -> None:
    """Nothing is verified that is not there."""
    for name in ("email", "phone"):
        if getattr(user, f"{name}_verified") and not getattr(user, name):
            raise Refused(f"{name}_verified: there is no {name}")
