"""What the commands share with the server: stores, policy, factors, keys, events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from idp import events
from idp.factors import registry
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import Factor
from idp.factors.binding import Bindings
from idp.factors.fresh import FreshProof
from idp.factors.management import Management, use
from idp.factors.proving import Prover
from idp.flow.courier import Courier
from idp.flow.limits import SmsLimits
from idp.flow.policy import Policy
from idp.flow.requirements import build
from idp.flow.threads import spread
from idp.flow.ways import Ways
from idp.messaging.gateways import gateways
from idp.messaging.mail_queue import MailQueue
from idp.oidc.keys import KeyRing
from idp.operate.joining import Invitations
from idp.operate.recovery import Passwords
from idp.operate.tickets import Links
from idp.outbound import Outbound
from idp.ports import Clock, Messenger, Stores
from idp.sessions.service import SessionService
from idp.settings import Settings
from idp.sinks.audit import AuditSink
from idp.sinks.log import LogSink
from idp.sinks.metrics import Metrics
from idp.sinks.notices import Notices
from idp.storage.open import open_stores
from idp.web.theme import theme_of, translator


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Core:
    """What the commands share with the server: stores, policy, factors, keys, events."""

    settings: Settings
    stores: Stores
    bus: events.Bus
    clock: Clock
    policy: Policy
    factors: Mapping[str, Factor]
    ring: KeyRing
    metrics: Metrics
    prover: Prover
    courier: Courier
    sessions: SessionService
    authenticators: AuthenticatorAdmin
    management: Management
    links: Links
    passwords: Passwords
    invitations: Invitations
    close: Callable[[], None]


def create_core(
    settings: Settings,
    stores: Stores | None = None,
    clock: Clock | None = None,
    messenger: Messenger | None = None,
) -> Core:
    """Open the stores, load the policy and its factors. Raises ConfigError."""
    clock = clock or system_clock
    policy = build(settings)
    factors = registry.load(policy.factors, settings.factors, settings.issuer)
    stores = stores or open_stores(settings, clock)
    audit = AuditSink(stores.audit)
    metrics = Metrics()
    notices = Notices(
        stores.users,
        lambda message, user: courier.send(message, user),
        lambda: courier.delivers("mail"),
        {name: factor.label for name, factor in factors.items()},
        f"{settings.issuer}/account",
    )
    bus = events.Bus((audit, LogSink(), metrics, notices))

    def close() -> None:
        audit.close()
        stores.close()

    longest_token = max(settings.tokens.access_token_ttl, settings.tokens.id_token_ttl)
    ring = KeyRing(stores.signing_keys, clock, settings.keys.refresh_every, bus, longest_token)
    prover = Prover(
        factors,
        stores.authenticators,
        stores.attempts,
        stores.ephemeral,
        settings.issuer,
        settings.flow.factor_timeout,
        spread,
        lambda code: bus.emit(
            events.RecoveryCodeUsed(
                at=clock(), user_id=code.user_id, left=authenticators.codes_left(code.user_id)
            )
        ),
        settings.server.threads,
    )
    outbound = Outbound(
        ca_bundle=settings.outbound.ca_bundle,
        allow=settings.outbound.allow,
        timeout=settings.sms.timeout,
    )
    courier = Courier(
        gateways(settings, outbound.post_json, MailQueue(stores.mails, clock))
        if messenger is None
        else {"sms": messenger, "mail": messenger},
        {"sms": SmsLimits(stores.quotas, settings.sms, bus, clock, dev=settings.dev)},
        translator(theme_of(settings)),
        bus,
        clock,
    )
    ways = Ways(policy, prover, courier, clock)
    authenticators = AuthenticatorAdmin(
        prover,
        Bindings(stores.ephemeral, stores.sealing),
        stores.users,
        stores.authenticators,
        courier,
        ways.can_sign_in,
        ways.strongest,
        bus,
        clock,
    )
    sessions = SessionService(stores.sessions, settings.session, bus, clock)
    proof = FreshProof(
        prover, Bindings(stores.ephemeral, stores.sealing, "proof"), courier, bus, clock
    )
    management = Management(
        authenticators,
        proof,
        ways.proving,
        tuple(policy.acrs),
        policy.default_acr,
        sessions.end_all,
    )
    use(management)
    links = Links(stores.tickets, settings.issuer, bus, clock)
    passwords = Passwords(stores, prover, sessions, bus, clock)
    invitations = Invitations(
        links, passwords, courier.send, settings.registration.invitation_ttl, bus, clock
    )
    return Core(
        settings,
        stores,
        bus,
        clock,
        policy,
        factors,
        ring,
        metrics,
        prover,
        courier,
        sessions,
        authenticators,
        management,
        links,
        passwords,
        invitations,
        close,
    )
