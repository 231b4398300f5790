"""create_app: the only module that knows all others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from idp import events
from idp.arrivals import arrivals
from idp.core import Core, create_core
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import Factor
from idp.factors.management import Management
from idp.flow.asking import Asking
from idp.flow.engine import Engine
from idp.flow.enrolling import Enrolling, FlowRules
from idp.flow.interactions import Interactions
from idp.flow.policy import Policy
from idp.flow.strength import SessionStrength
from idp.later import Later
from idp.oidc.authorize import RequestRules
from idp.oidc.claims import SCOPES
from idp.oidc.client_auth import ClientAuth
from idp.oidc.consent import ConsentService
from idp.oidc.discovery import Discovery, Jwks, Paths, metadata
from idp.oidc.first_party import WithAccount
from idp.oidc.grants.mint import Mint, MintSettings
from idp.oidc.guard import Guard
from idp.oidc.introspection import Introspection
from idp.oidc.journey import Journey
from idp.oidc.keys import KeyRing
from idp.oidc.logout import Logout
from idp.oidc.revocation import Revocation
from idp.oidc.server import Server, TokenDependencies
from idp.oidc.tokens import Tokens
from idp.oidc.userinfo import UserInfo
from idp.operate.clients import ClientAdmin
from idp.operate.joining import Invitations
from idp.operate.passwords import PasswordChange
from idp.operate.phones import PhoneVerification
from idp.operate.profiles import Profiles
from idp.operate.tickets import Links
from idp.operate.users import UserAdmin
from idp.operate.verification import MailVerification
from idp.outbound import Outbound
from idp.ports import Clients, Clock, Messenger, Stores
from idp.sessions.service import SessionService
from idp.settings import Settings
from idp.sinks.metrics import Metrics
from idp.storage.cached import CachedClients
from idp.storage.cached_fetcher import CachedFetcher
from idp.web.account.pages import AccountServices
from idp.web.dev import DevTools
from idp.web.machine import Machine, Route
from idp.web.pages import PageServices, create_pages
from idp.web.theme import theme_of
from idp.web.wsgi import Door, Wsgi


@dataclass(frozen=True, slots=True)
class App:
    """One process of the provider: the WSGI callable, and what a command or a test needs."""

    wsgi: Door
    settings: Settings
    stores: Stores
    ring: KeyRing
    policy: Policy
    factors: Mapping[str, Factor]
    sessions: SessionService
    bus: events.Bus
    metrics: Metrics
    authenticators: AuthenticatorAdmin
    management: Management
    links: Links
    invitations: Invitations
    later: Later
    close: Callable[[], None]


def create_app(
    settings: Settings,
    stores: Stores | None = None,
    *,
    clock: Clock | None = None,
    messenger: Messenger | None = None,
    dev: DevTools | None = None,
    admin_token: str | None = None,
) -> App:
    """The whole provider for one process. Raises ConfigError for what cannot work."""
    core = create_core(settings, stores, clock, messenger)
    clock, stores, prover, courier = core.clock, core.stores, core.prover, core.courier
    clients = CachedClients(
        WithAccount(stores.clients, settings.issuer), settings.storage.cache_ttl, clock
    )
    bus = core.bus.extended(clients.forget)
    core.ring.ensure()
    tokens = Tokens(
        core.ring,
        settings.issuer,
        access_token_ttl=settings.tokens.access_token_ttl,
        id_token_ttl=settings.tokens.id_token_ttl,
        access_token_alg=settings.tokens.access_token_alg,
    )
    outbound = Outbound(ca_bundle=settings.outbound.ca_bundle, allow=settings.outbound.allow)
    fetcher = CachedFetcher(outbound.get_json, clock)
    client_auth = ClientAuth(clients, stores.ephemeral, fetcher, clock, settings.issuer)
    mint = Mint(
        stores.grants,
        Guard(stores.users),
        tokens,
        stores.server_secrets.get("refresh"),
        MintSettings(settings.tokens.refresh_token_ttl, settings.tokens.refresh_grace),
        settings.issuer,
        bus,
        clock,
    )
    server = Server(TokenDependencies(clients, client_auth, mint, bus, clock))
    introspection = Introspection(client_auth, tokens, stores.grants, clients, bus, clock)
    userinfo = UserInfo(
        tokens, introspection, stores.grants, stores.users, settings.issuer, bus, clock
    )
    revocation = Revocation(client_auth, tokens, stores.grants, bus, clock)
    sessions = core.sessions
    interactions = Interactions(stores.ephemeral, stores.sealing, settings.flow.interaction_ttl)
    asking = Asking(core.policy, prover, interactions, stores.users, courier)
    rules = FlowRules(settings.flow.fresh_for, settings.flow.enrollment_grace)
    engine = Engine(asking, Enrolling(asking, stores.users, rules), courier, bus, clock)
    consents = ConsentService(stores.consents, stores.grants, bus, clock)
    journey = Journey(
        RequestRules(clients, tokens, frozenset(SCOPES)),
        engine,
        interactions,
        consents,
        sessions,
        stores.grants,
        bus,
        clock,
        settings.issuer,
        settings.tokens.code_ttl,
    )
    later = Later()
    arriving = arrivals(core, later)
    pages = create_pages(
        settings,
        PageServices(
            journey,
            Logout(clients, tokens, sessions),
            sessions,
            stores.users,
            stores.server_secrets.get("csrf"),
            bus,
            clock,
            core.metrics.observe,
            _limits_storage(settings),
            _account(core, clients, sessions, consents, arriving.mails),
            arriving.links,
            dev,
        ),
    )
    machine = Machine(
        trusted_proxies=settings.server.trusted_proxies,
        max_body=settings.server.max_body,
        cors_origins=settings.web.cors_origins,
        failure_rate=settings.web.machine_failure_rate,
        secure=settings.secure,
        observe=core.metrics.observe,
        bus=bus,
        clock=clock,
    )
    document = metadata(settings.issuer, core.policy, Paths(), theme_of(settings).locales)
    discovery = Discovery(document)
    routes = {
        "/token": Route("token", server.token, ("POST",), "listed"),
        "/introspect": Route("introspect", introspection, ("POST",)),
        "/revoke": Route("revoke", revocation, ("POST",), "listed"),
        "/userinfo": Route("userinfo", userinfo, ("GET", "POST"), "listed"),
        "/jwks": Route("jwks", Jwks(core.ring), ("GET",), "any"),
        "/.well-known/openid-configuration": Route("discovery", discovery, ("GET",), "any"),
        "/.well-known/oauth-authorization-server": Route("discovery", discovery, ("GET",), "any"),
    }

    def close() -> None:
        later.close()
        core.close()

    def admin() -> Wsgi:
        from idp.web.admin.build import AdminServices, build  # with what it needs, once it is asked

        acrs = tuple(core.policy.acrs)
        users = UserAdmin(
            stores, core.factors, sessions, bus, clock, settings.issuer, acrs, arriving.mails.left
        )
        services = AdminServices(
            users,
            ClientAdmin(WithAccount(stores.clients, settings.issuer), bus, clock, acrs),
            core.authenticators,
            core.management,
            stores,
            tokens,
            introspection,
            bus,
            clock,
            core.metrics.observe,
            admin_token,
        )
        return cast(Wsgi, build(settings, services))

    placed = _placed(routes, settings.path)
    door = Door(placed, machine, cast(Wsgi, pages), settings.path, admin)
    return App(
        door,
        settings,
        stores,
        core.ring,
        core.policy,
        core.factors,
        sessions,
        bus,
        core.metrics,
        core.authenticators,
        core.management,
        core.links,
        core.invitations,
        later,
        close,
    )


def _account(
    core: Core,
    clients: Clients,
    sessions: SessionService,
    consents: ConsentService,
    mails: MailVerification,
) -> AccountServices:
    stores, bus, clock = core.stores, core.bus, core.clock
    strength = SessionStrength(
        core.policy,
        core.prover.held,
        core.authenticators.strongest,
        core.settings.flow.fresh_for,
        clock,
    )
    return AccountServices(
        users=stores.users,
        clients=clients,
        sessions=sessions,
        consents=consents,
        audit=stores.audit,
        ephemeral=stores.ephemeral,
        factors=core.factors,
        authenticators=core.authenticators,
        strength=strength,
        passwords=PasswordChange(
            core.prover,
            stores.authenticators,
            stores.ephemeral,
            stores.tickets,
            sessions,
            bus,
            clock,
        ),
        profiles=Profiles(stores.users, core.policy, strength, bus, clock),
        phones=PhoneVerification(
            stores.users,
            core.authenticators.bindings,
            stores.attempts,
            core.courier,
            core.settings.issuer,
            bus,
            clock,
        ),
        mails=mails,
        clock=clock,
    )


def _placed(routes: Mapping[str, Route], prefix: str) -> Mapping[str, Route]:
    """Every route below the issuer's path, and the well-known ones also before it
    (RFC 8414 section 3.1)."""
    placed = {prefix + path: route for path, route in routes.items()}
    if prefix:
        placed |= {
            path + prefix: route
            for path, route in routes.items()
            if path.startswith("/.well-known")
        }
    return placed


def _limits_storage(settings: Settings) -> str:
    """Where Flask-Limiter counts: Redis when there is one, else this process."""
    if not settings.storage.redis_url:
        return "memory://"
    parts = urlsplit(settings.storage.redis_url)
    if settings.redis_password is None:
        return settings.storage.redis_url
    secret = settings.redis_password.get_secret_value()
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f":{secret}@{host}"))
