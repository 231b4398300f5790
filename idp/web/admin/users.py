"""Users over the admin API: the same services as `idp user`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr

from idp.model import User
from idp.operate.users import UserAdmin
from idp.ports import Stores
from idp.web.admin.operations import Body, Call, Listed, Operation, View

READ, WRITE = "admin:users:read", "admin:users:write"


class UserView(View):
    id: str
    username: str
    email: str | None
    email_verified: bool
    phone: str | None
    phone_verified: bool
    require_acr: str | None
    locale: str | None
    claims: Mapping[str, Any]
    disabled: bool
    created_at: datetime
    updated_at: datetime


class NewUser(Body):
    username: str = Field(min_length=1, max_length=256)
    password: SecretStr | None = Field(default=None, max_length=1024)
    email: str | None = Field(default=None, max_length=254)
    email_verified: bool = False
    phone: str | None = Field(default=None, max_length=32)
    phone_verified: bool = False
    require_acr: str | None = None
    locale: str | None = Field(default=None, max_length=35)
    claims: dict[str, Any] = Field(default_factory=dict)


class UserChange(Body):
    """What is given is changed; null takes it away where it may be missing."""

    username: str | None = Field(default=None, min_length=1, max_length=256)
    email: str | None = Field(default=None, max_length=254)
    email_verified: bool | None = None
    phone: str | None = Field(default=None, max_length=32)
    phone_verified: bool | None = None
    require_acr: str | None = None
    locale: str | None = Field(default=None, max_length=35)
    claims: dict[str, Any] | None = None
    disabled: bool | None = None


class NewPassword(Body):
    password: SecretStr = Field(min_length=1, max_length=1024)


class Ended(View):
    sessions: int


class UserOperations:
    def __init__(self, admin: UserAdmin, stores: Stores) -> None:
        self._admin = admin
        self._stores = stores

    def all(self) -> tuple[Operation, ...]:
        one = "/users/{user_id}"
        return (
            Operation(
                "listUsers",
                "GET",
                "/users",
                READ,
                "List users, or find the one of a username or verified address",
                self.list,
                answer=UserView,
                listed=True,
                filters=("name",),
            ),
            Operation(
                "createUser",
                "POST",
                "/users",
                WRITE,
                "Add a user",
                self.create,
                body=NewUser,
                answer=UserView,
                status=201,
                tagged=True,
            ),
            Operation(
                "getUser", "GET", one, READ, "Show a user", self.get, answer=UserView, tagged=True
            ),
            Operation(
                "changeUser",
                "PATCH",
                one,
                WRITE,
                "Change a user",
                self.change,
                body=UserChange,
                answer=UserView,
                guarded=True,
                tagged=True,
            ),
            Operation(
                "removeUser",
                "DELETE",
                one,
                WRITE,
                "Remove a user and all that is theirs",
                self.remove,
                status=204,
                guarded=True,
            ),
            Operation(
                "setPassword",
                "PUT",
                f"{one}/password",
                WRITE,
                "Replace the password; every session ends",
                self.set_password,
                body=NewPassword,
                status=204,
            ),
            Operation(
                "endSessions",
                "DELETE",
                f"{one}/sessions",
                WRITE,
                "End every session of a user",
                self.end_sessions,
                answer=Ended,
            ),
        )

    def list(self, call: Call) -> Listed:
        if "name" in call.query:
            found = self._stores.users.find(call.query["name"])
            return Listed(() if found is None else (view(found),))
        users = self._stores.users.list(after=call.after, limit=call.limit + 1)
        page = users[: call.limit]
        more = len(users) > call.limit
        return Listed(tuple(view(user) for user in page), page[-1].id if more else "")

    def create(self, call: Call) -> View:
        body: NewUser = call.body
        fields = body.model_dump(exclude={"username", "password"})
        password = None if body.password is None else body.password.get_secret_value()
        return view(self._admin.add(body.username, password=password, actor=call.actor, **fields))

    def get(self, call: Call) -> View:
        return view(self._admin.by_id(call.path["user_id"]))

    def change(self, call: Call) -> View:
        body: UserChange = call.body
        given = body.model_dump(exclude_unset=True)
        return view(
            self._admin.change(
                call.path["user_id"],
                given,
                actor=call.actor,
                seen=lambda user: call.must_match(view(user)),
            )
        )

    def remove(self, call: Call) -> None:
        self._admin.remove(
            call.path["user_id"],
            actor=call.actor,
            seen=lambda user: call.must_match(view(user)),
        )

    def set_password(self, call: Call) -> None:
        body: NewPassword = call.body
        user = self._admin.by_id(call.path["user_id"])
        self._admin.set_password(user.id, body.password.get_secret_value(), actor=call.actor)

    def end_sessions(self, call: Call) -> View:
        user = self._admin.by_id(call.path["user_id"])
        reason = f"ended by {call.actor}"
        return Ended(sessions=self._admin.sessions.end_all(user.id, reason))


def view(user: User) -> UserView:
    return UserView(
        id=user.id,
        username=user.username,
        email=user.email,
        email_verified=user.email_verified,
        phone=user.phone,
        phone_verified=user.phone_verified,
        require_acr=user.require_acr,
        locale=user.locale,
        claims=user.claims,
        disabled=user.disabled_at is not None,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )
