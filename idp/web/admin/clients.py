"""OAuth clients over the admin API, with the names of RFC 7591 section 2: as `idp client`.

Nobody grants more than they have: a scope of this API is given to a client only by who holds it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field

from idp.errors import Refused
from idp.model import Client
from idp.operate.clients import ClientAdmin, Registered, described
from idp.ports import Clock
from idp.web.admin.operations import Body, Call, Listed, Operation, View
from idp.web.admin.problems import Problem

READ, WRITE = "admin:clients:read", "admin:clients:write"
ADMIN = "admin:"


class ClientView(View):
    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    token_endpoint_auth_method: str
    jwks: Mapping[str, Any] | None
    jwks_uri: str | None
    application_type: str
    id_token_signed_response_alg: str
    access_token_alg: str | None
    require_acr: str | None
    require_pkce: bool
    require_consent: bool
    logo_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    disabled: bool
    created_at: datetime


class SecretView(ClientView):
    """With the secret, this once."""

    client_secret: str | None = Field(repr=False)

    @property
    def state(self) -> str:
        """That of the client, as it is read later."""
        return self.model_dump_json(exclude={"client_secret"})


class NewClient(Body):
    client_id: str = Field(min_length=1, max_length=128)
    client_name: str | None = Field(default=None, min_length=1, max_length=256)
    redirect_uris: tuple[str, ...] = Field(default=(), max_length=64)
    post_logout_redirect_uris: tuple[str, ...] = Field(default=(), max_length=64)
    grant_types: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = Field(default=None, max_length=128)
    resources: tuple[str, ...] = Field(default=(), max_length=64)
    token_endpoint_auth_method: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    application_type: str = "web"
    id_token_signed_response_alg: str = "RS256"
    access_token_alg: str | None = None
    require_acr: str | None = None
    require_pkce: bool = True
    require_consent: bool = True
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None


class ClientChange(Body):
    """What is given is changed; null takes it away where it may be missing."""

    client_name: str | None = Field(default=None, max_length=256)
    redirect_uris: tuple[str, ...] | None = Field(default=None, max_length=64)
    post_logout_redirect_uris: tuple[str, ...] | None = Field(default=None, max_length=64)
    grant_types: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = Field(default=None, max_length=128)
    resources: tuple[str, ...] | None = Field(default=None, max_length=64)
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    id_token_signed_response_alg: str | None = None
    access_token_alg: str | None = None
    require_acr: str | None = None
    require_pkce: bool | None = None
    require_consent: bool | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    disabled: bool | None = None


class ClientOperations:
    def __init__(self, admin: ClientAdmin, clock: Clock) -> None:
        self._admin = admin
        self._clock = clock

    def all(self) -> tuple[Operation, ...]:
        one = "/clients/{client_id}"
        return (
            Operation(
                "listClients",
                "GET",
                "/clients",
                READ,
                "List clients",
                self.list,
                answer=ClientView,
                listed=True,
            ),
            Operation(
                "createClient",
                "POST",
                "/clients",
                WRITE,
                "Add a client; its secret is shown this once",
                self.create,
                body=NewClient,
                answer=SecretView,
                status=201,
                tagged=True,
            ),
            Operation(
                "getClient",
                "GET",
                one,
                READ,
                "Show a client",
                self.get,
                answer=ClientView,
                tagged=True,
            ),
            Operation(
                "changeClient",
                "PATCH",
                one,
                WRITE,
                "Change a client",
                self.change,
                body=ClientChange,
                answer=ClientView,
                guarded=True,
                tagged=True,
            ),
            Operation(
                "removeClient",
                "DELETE",
                one,
                WRITE,
                "Remove a client; it gets no more tokens",
                self.remove,
                status=204,
                guarded=True,
            ),
            Operation(
                "rotateClientSecret",
                "POST",
                f"{one}/secret",
                WRITE,
                "A new secret, shown this once; the old one stops working",
                self.rotate,
                answer=SecretView,
                tagged=True,
            ),
        )

    def list(self, call: Call) -> Listed:
        clients = self._admin.clients.list(after=call.after, limit=call.limit + 1)
        page = clients[: call.limit]
        more = len(clients) > call.limit
        return Listed(tuple(_view(c) for c in page), page[-1].client_id if more else "")

    def create(self, call: Call) -> View:
        body: NewClient = call.body
        given = _record(body.model_dump(exclude={"client_id"}))
        client = described(body.client_id, self._clock(), given)
        _allowed(call, client)
        return _secret(self._admin.add(client, actor=call.actor))

    def get(self, call: Call) -> View:
        return _view(self._admin.get(call.path["client_id"]))

    def change(self, call: Call) -> View:
        body: ClientChange = call.body
        given = _record(body.model_dump(exclude_unset=True))
        for name in _NEVER_NULL & given.keys():
            if given[name] is None:
                raise Refused(f"{name} cannot be null")

        def how(before: Client) -> Client:
            call.must_match(_view(before))
            after = self._with(before, given)
            _allowed(call, before)
            _allowed(call, after)
            return after

        return _view(self._admin.change(call.path["client_id"], how, actor=call.actor))

    def remove(self, call: Call) -> None:
        client = self._admin.get(call.path["client_id"])
        call.must_match(_view(client))
        _allowed(call, client)
        self._admin.remove(client.client_id, actor=call.actor)

    def rotate(self, call: Call) -> View:
        return _secret(
            self._admin.rotate_secret(
                call.path["client_id"],
                actor=call.actor,
                seen=lambda client: _allowed(call, client),
            )
        )

    def _with(self, before: Client, given: Mapping[str, Any]) -> Client:
        values = dict(given)
        if "disabled" in values:
            since = before.disabled_at or self._clock()
            values["disabled_at"] = since if values.pop("disabled") else None
        return replace(before, **values)


_NAMES = {"client_name": "name", "id_token_signed_response_alg": "id_token_alg"}
_NEVER_NULL = frozenset(
    {
        *("name", "redirect_uris", "post_logout_redirect_uris", "grant_types", "scopes"),
        *("resources", "id_token_alg", "require_pkce", "require_consent", "disabled"),
    }
)


def _record(given: Mapping[str, Any]) -> dict[str, Any]:
    """With the names of the record."""
    return {_NAMES.get(name, name): value for name, value in given.items()}


def _allowed(call: Call, client: Client) -> None:
    """A scope of this API is granted, or whoever has it changed, by who holds it."""
    granted = {scope for scope in client.scopes if scope.startswith(ADMIN)}
    beyond = sorted(granted - call.scopes)
    if beyond:
        raise Problem(403, "beyond_own_scopes", f"You do not hold {', '.join(beyond)} yourself.")


def _fields(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "grant_types": client.grant_types,
        "scopes": client.scopes,
        "resources": client.resources,
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "application_type": client.application_type,
        "id_token_signed_response_alg": client.id_token_alg,
        "access_token_alg": client.access_token_alg,
        "require_acr": client.require_acr,
        "require_pkce": client.require_pkce,
        "require_consent": client.require_consent,
        "logo_uri": client.logo_uri,
        "policy_uri": client.policy_uri,
        "tos_uri": client.tos_uri,
        "disabled": client.disabled_at is not None,
        "created_at": client.created_at,
    }


def _view(client: Client) -> ClientView:
    return ClientView(**_fields(client))


def _secret(registered: Registered) -> SecretView:
    return SecretView(**_fields(registered.client), client_secret=registered.secret)
