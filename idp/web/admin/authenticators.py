"""Authenticators over the admin API: the list, and the four functions of `factors/management`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr

from idp.factors.admin import AuthenticatorAdmin
from idp.factors.management import Management
from idp.model import Authenticator
from idp.web.admin.operations import Body, Call, Listed, Operation, View

READ, WRITE = "admin:authenticators:read", "admin:authenticators:write"


class AuthenticatorView(View):
    """Never its secret, nor a number or key by which it could be used."""

    id: str
    factor: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


class QuestionView(View):
    asks: str
    text: str
    provisioning_uri: str = ""
    qr_svg: str = ""
    masked_number: str = ""
    options: Mapping[str, Any] = Field(default_factory=dict)


class ResultView(View):
    """What the functions say, as it is: `reason` is stable, `public` is for a person."""

    status: str
    question: QuestionView | None
    reason: str
    public: str
    retry_at: datetime | None


class EnableView(ResultView):
    method: str
    codes: Sequence[str]
    codes_left: int


class VerifyView(ResultView):
    method: str
    acr: str | None
    codes_left: int


class DisableView(ResultView):
    removed: Sequence[str]


class Method(Body):
    method: str = Field(min_length=1, max_length=64)


class Code(Body):
    """Empty: ask for what has to be asked first."""

    code: SecretStr = Field(default=SecretStr(""), max_length=65536)


class Verification(Body):
    verification: SecretStr = Field(default=SecretStr(""), max_length=65536)


class Name(Body):
    name: str = Field(min_length=1, max_length=64)


class CodesView(View):
    codes: Sequence[str]


class AuthenticatorOperations:
    def __init__(self, admin: AuthenticatorAdmin, management: Management) -> None:
        self._admin = admin
        self._management = management

    def all(self) -> tuple[Operation, ...]:
        user = "/users/{user_id}"
        one = f"{user}/authenticators/{{authenticator_id}}"
        return (
            Operation(
                "listAuthenticators",
                "GET",
                f"{user}/authenticators",
                READ,
                "What a user signs in with",
                self.list,
                answer=AuthenticatorView,
                listed=True,
            ),
            Operation(
                "renameAuthenticator",
                "PATCH",
                one,
                WRITE,
                "Give an authenticator another name",
                self.rename,
                body=Name,
                answer=AuthenticatorView,
                guarded=True,
                tagged=True,
            ),
            Operation(
                "getAuthenticator",
                "GET",
                one,
                READ,
                "Show an authenticator",
                self.get,
                answer=AuthenticatorView,
                tagged=True,
            ),
            Operation(
                "removeAuthenticator",
                "DELETE",
                one,
                WRITE,
                "Remove an authenticator, unless it is the last way in",
                self.remove,
                status=204,
            ),
            Operation(
                "enableMfa",
                "POST",
                f"{user}/mfa",
                WRITE,
                "Begin to bind a second factor",
                self.enable,
                body=Method,
                answer=EnableView,
            ),
            Operation(
                "verifyMfa",
                "POST",
                f"{user}/mfa/verify",
                WRITE,
                "Confirm the factor that is being bound, or check a code",
                self.verify,
                body=Code,
                answer=VerifyView,
            ),
            Operation(
                "generateBackupCodes",
                "POST",
                f"{user}/mfa/codes",
                WRITE,
                "Ten recovery codes, shown this once; the ones before stop working",
                self.codes,
                answer=CodesView,
            ),
            Operation(
                "disableMfa",
                "POST",
                f"{user}/mfa/disable",
                WRITE,
                "Remove every second factor, by a fresh proof of the user",
                self.disable,
                body=Verification,
                answer=DisableView,
            ),
        )

    def list(self, call: Call) -> Listed:
        return Listed(tuple(_view(a) for a in self._admin.of(call.path["user_id"])))

    def get(self, call: Call) -> View:
        return _view(self._admin.one(call.path["user_id"], call.path["authenticator_id"]))

    def rename(self, call: Call) -> View:
        body: Name = call.body
        path = call.path
        return _view(
            self._admin.rename(
                path["user_id"],
                path["authenticator_id"],
                body.name,
                actor=call.actor,
                seen=lambda held: call.must_match(_view(held)),
            )
        )

    def remove(self, call: Call) -> None:
        path = call.path
        self._admin.remove(path["user_id"], path["authenticator_id"], actor=call.actor)

    def enable(self, call: Call) -> View:
        body: Method = call.body
        user = self._admin.user(call.path["user_id"])
        result = self._management.enable(user.id, body.method, actor=call.actor)
        return EnableView.model_validate(asdict(result))

    def verify(self, call: Call) -> View:
        body: Code = call.body
        user = self._admin.user(call.path["user_id"])
        code = body.code.get_secret_value()
        result = self._management.verify(user.id, code, actor=call.actor)
        return VerifyView.model_validate(asdict(result))

    def codes(self, call: Call) -> View:
        user = self._admin.user(call.path["user_id"])
        return CodesView(codes=self._management.backup_codes(user.id, actor=call.actor))

    def disable(self, call: Call) -> View:
        body: Verification = call.body
        user = self._admin.user(call.path["user_id"])
        proof = body.verification.get_secret_value()
        result = self._management.disable(user.id, proof, actor=call.actor)
        return DisableView.model_validate(asdict(result))


def _view(held: Authenticator) -> AuthenticatorView:
    return AuthenticatorView(
        id=held.id,
        factor=held.factor,
        name=held.name,
        created_at=held.created_at,
        last_used_at=held.last_used_at,
    )
