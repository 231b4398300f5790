"""The admin API, put together: every operation there is, in the order of its description."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from flask import Flask, request

from idp import events
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.management import Management
from idp.oidc.introspection import Introspection
from idp.oidc.tokens import Tokens
from idp.operate.clients import ClientAdmin
from idp.operate.users import UserAdmin
from idp.ports import Clock, Stores
from idp.settings import Settings
from idp.web.admin.access import Access
from idp.web.admin.api import Api, Observe, create_admin
from idp.web.admin.authenticators import AuthenticatorOperations
from idp.web.admin.clients import ClientOperations
from idp.web.admin.document import document
from idp.web.admin.operations import Operation
from idp.web.admin.repeats import Repeats
from idp.web.admin.users import UserOperations
from idp.web.machine import HSTS
from idp.web.remote import remote


@dataclass(frozen=True, slots=True)
class AdminServices:
    """`admin_token` is that of development, None outside of it."""

    users: UserAdmin
    clients: ClientAdmin
    authenticators: AuthenticatorAdmin
    management: Management
    stores: Stores
    tokens: Tokens
    introspection: Introspection
    bus: events.Bus
    clock: Clock
    observe: Observe
    admin_token: str | None = None


def operations(services: AdminServices) -> Sequence[Operation]:
    s = services
    return (
        *UserOperations(s.users, s.stores).all(),
        *AuthenticatorOperations(s.authenticators, s.management).all(),
        *ClientOperations(s.clients, s.clock).all(),
    )


def description(issuer: str) -> bytes:
    """The OpenAPI document. It is made of the table alone, which needs no service."""
    nothing: Any = None
    return document(operations(AdminServices(*(nothing for _ in fields(AdminServices)))), issuer)


def build(settings: Settings, services: AdminServices) -> Flask:
    s, found = services, operations(services)
    access = Access(
        s.tokens,
        s.introspection,
        settings.issuer,
        lambda: frozenset(operation.scope for operation in found),
        settings.web.machine_failure_rate,
        s.bus,
        s.clock,
        s.admin_token if settings.dev else None,
    )
    api = Api(
        access,
        Repeats(s.stores.ephemeral, s.stores.sealing),
        settings.issuer,
        lambda: remote(request.environ, settings.server.trusted_proxies),
    )
    described = description(settings.issuer)
    return create_admin(
        found,
        api,
        lambda: described,
        s.bus,
        s.clock,
        s.observe,
        settings.server.max_body,
        HSTS if settings.secure else None,
    )
