"""OAuth clients over the admin API, with the names of RFC 7591 section 2: as `idp client`.

Nobody grants more than they have: a scope of this API is given to a client only by who holds it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field

from idp.model import Client
from idp.oidc.claims import SCOPES
from idp.operate.clients import ClientAdmin, Registered
from idp.ports import Clock
from idp.web.admin.operations import Body, Call, Listed, Operation, View
from idp.web.admin.problems import Problem

READ, WRITE = "admin:clients:read", "admin:clients:write"
ADMIN = "admin:"
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


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


class NewClient(Body):
    client_id: str = Field(min_length=1, max_length=128)
    client_name: str = Field(default="", max_length=256)
    redirect_uris: tuple[str, ...] = Field(default=(), max_length=64)
    post_logout_redirect_uris: tuple[str, ...] = Field(default=(), max_length=64)
    grant_types: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = Field(default=None, max_length=128)
    resources: tuple[str, ...] = Field(default=(), max_length=64)
    token_endpoint_auth_method: str = "client_secret_basic"
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
            ),
            Operation("getClient", "GET", one, READ, "Show a client", self.get, answer=ClientView),
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
                read=self.get,
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
                read=self.get,
            ),
            Operation(
                "rotateClientSecret",
                "POST",
                f"{one}/secret",
                WRITE,
                "A new secret, shown this once; the old one stops working",
                self.rotate,
                answer=SecretView,
            ),
        )

    def list(self, call: Call) -> Listed:
        clients = self._admin.clients.list(after=call.after, limit=call.limit + 1)
        page = clients[: call.limit]
        more = len(clients) > call.limit
        return Listed(tuple(_view(c) for c in page), page[-1].client_id if more else "")

    def create(self, call: Call) -> View:
        body: NewClient = call.body
        given = _record(body.model_dump(exclude={"grant_types", "scopes"}))
        people = bool(body.redirect_uris)
        usual = ("authorization_code", "refresh_token") if people else ("client_credentials",)
        client = Client(
            **{**given, "name": body.client_name or body.client_id},
            created_at=self._clock(),
            grant_types=usual if body.grant_types is None else body.grant_types,
            scopes=(tuple(SCOPES) if people else ()) if body.scopes is None else body.scopes,
        )
        _allowed(call, client)
        return _secret(self._admin.add(client, actor=call.actor))

    def get(self, call: Call) -> View:
        return _view(self._admin.get(call.path["client_id"]))

    def change(self, call: Call) -> View:
        body: ClientChange = call.body
        before = self._admin.get(call.path["client_id"])
        given = _record(body.model_dump(exclude_unset=True))
        disabled = given.pop("disabled", None)
        for name in _NEVER_NULL & given.keys():
            if given[name] is None:
                raise Problem(422, "invalid", f"{name} cannot be null.")
        after = replace(before, **given)
        if disabled is not None:
            after = replace(after, disabled_at=self._disabled_at(before, disabled))
        _allowed(call, before)
        _allowed(call, after)
        return _view(self._admin.change(after, actor=call.actor))

    def remove(self, call: Call) -> None:
        self._admin.remove(call.path["client_id"], actor=call.actor)

    def rotate(self, call: Call) -> View:
        client = self._admin.get(call.path["client_id"])
        _allowed(call, client)
        return _secret(self._admin.rotate_secret(client.client_id, actor=call.actor))

    def _disabled_at(self, before: Client, disabled: bool) -> datetime | None:
        return (before.disabled_at or self._clock()) if disabled else None


_NAMES = {"client_name": "name", "id_token_signed_response_alg": "id_token_alg"}
_NEVER_NULL = frozenset(
    {
        *("name", "redirect_uris", "post_logout_redirect_uris", "grant_types", "scopes"),
        *("resources", "id_token_alg", "require_pkce", "require_consent"),
    }
)


def _record(given: Mapping[str, Any]) -> dict[str, Any]:
    """With the names of the record. Private keys are refused, not dropped."""
    keys = (given.get("jwks") or {}).get("keys", [])
    if not isinstance(keys, list) or any(
        not isinstance(key, dict) or PRIVATE & key.keys() for key in keys
    ):
        raise Problem(422, "invalid", "jwks has public keys alone.")
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
