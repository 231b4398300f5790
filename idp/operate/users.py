"""Users as operators manage them: add, disable, enable, set a password."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from idp import events
from idp.errors import Conflict, NotFound
from idp.errors import Refused as Refused
from idp.factors.base import Challenge, Context, Factor, Form, Rejected
from idp.model import Authenticator, User
from idp.operate import names
from idp.ports import Clock, Stores
from idp.sessions.service import SessionService


@dataclass(frozen=True, slots=True)
class UserAdmin:
    stores: Stores
    factors: Mapping[str, Factor]
    sessions: SessionService
    bus: events.Bus
    clock: Clock
    issuer: str
    acrs: tuple[str, ...]

    def add(
        self,
        username: str,
        *,
        password: str | None = None,
        actor: str,
        user_id: str | None = None,
        **fields: Any,
    ) -> User:
        """A new account. Raises Conflict for a taken name, Refused for a bad one or a weak
        password; nothing is written then."""
        if fields.get("email"):
            fields["email"] = names.address(fields["email"])
        name = names.username(username, fields.get("email"))
        if fields.get("require_acr") not in (None, *self.acrs):
            raise Refused(f"no such acr; there are: {', '.join(self.acrs)}")
        now = self.clock()
        user = User(
            id=user_id or uuid4().hex, username=name, created_at=now, updated_at=now, **fields
        )
        secret = self._password(user, password) if password is not None else None
        self.stores.users.add(user)
        if secret is not None:
            self.stores.authenticators.add(secret)
        self._changed(user, "added", actor)
        return user

    def get(self, name: str) -> User:
        """By username or id. Raises NotFound."""
        found = self.stores.users.find(name) or self.stores.users.get(name)
        if found is None:
            raise NotFound(f"no user {name!r}; `idp user list` shows them")
        return found

    def by_id(self, user_id: str) -> User:
        """Raises NotFound."""
        found = self.stores.users.get(user_id)
        if found is None:
            raise NotFound(f"no user {user_id!r}")
        return found

    def change(self, user_id: str, given: Mapping[str, Any], *, actor: str) -> User:
        """Change these fields of the record; `disabled` too. Raises NotFound, Conflict, Refused;
        nothing is written then. An address that is changed is not verified any more, unless it is
        said to be."""
        user, values = self.by_id(user_id), dict(given)
        for name in ("username", "email_verified", "phone_verified", "claims", "disabled"):
            if name in values and values[name] is None:
                raise Refused(f"{name} cannot be null")
        if values.get("email"):
            values["email"] = names.address(values["email"])
        for name in ("email", "phone"):
            if name in values and values[name] != getattr(user, name):
                values.setdefault(f"{name}_verified", False)
        email = values.get("email", user.email)
        if "username" in values:
            values["username"] = names.username(values["username"], email)
        if values.get("require_acr") not in (None, *self.acrs):
            raise Refused(f"no such acr; there are: {', '.join(self.acrs)}")
        disabled = values.pop("disabled", None)
        if values:
            user = replace(user, **values, updated_at=self.clock())
            self.stores.users.save(user)
            self._changed(user, "changed", actor)
        if disabled is not None:
            user = (self.disable if disabled else self.enable)(user.id, actor=actor)
        return user

    def remove(self, user_id: str, *, actor: str) -> None:
        """The user and all that is theirs; what was signed in is not any more. Raises NotFound."""
        user = self.by_id(user_id)
        self.sessions.end_all(user.id, "user removed")
        self.stores.users.remove(user.id)
        self._changed(user, "removed", actor)

    def set_password(self, name: str, password: str, *, actor: str) -> User:
        """Replace the password. Every session of the user ends (OWASP ASVS 7.4.3)."""
        user = self.get(name)
        fresh = self._password(user, password)
        for held in self.stores.authenticators.of(user.id):
            if held.factor == "password":
                self.stores.authenticators.remove(held.id)
        self.stores.authenticators.add(fresh)
        self.stores.attempts.reset(user.id, "password")
        self.sessions.end_all(user.id, "password changed")
        self._changed(user, "password", actor)
        return user

    def disable(self, name: str, *, actor: str) -> User:
        """Nothing more is issued to the user from here on, and every session ends."""
        user = self.get(name)
        if user.disabled_at is None:
            user = replace(user, disabled_at=self.clock(), updated_at=self.clock())
            self.stores.users.save(user)
            self.sessions.end_all(user.id, "user disabled")
            self._changed(user, "disabled", actor)
        return user

    def enable(self, name: str, *, actor: str) -> User:
        user = self.get(name)
        if user.disabled_at is not None:
            user = replace(user, disabled_at=None, updated_at=self.clock())
            self.stores.users.save(user)
            self._changed(user, "enabled", actor)
        return user

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

    def _changed(self, user: User, change: str, actor: str) -> None:
        self.bus.emit(
            events.UserChanged(at=self.clock(), user_id=user.id, change=change, actor=actor)
        )
