"""What links are good for, as the settings say: recovery, verification, coming in."""

from collections.abc import Mapping
from dataclasses import dataclass

from idp.core import Core
from idp.later import Later
from idp.operate.joining import INVITE, REGISTER, Registrations
from idp.operate.recovery import RESET, Recovery
from idp.operate.tickets import Purpose
from idp.operate.verification import VERIFY, MailVerification
from idp.web.links import LinkServices


@dataclass(frozen=True, slots=True)
class Arrivals:
    links: LinkServices
    mails: MailVerification


def arrivals(core: Core, later: Later) -> Arrivals:
    """A link works only while what it is for is switched on and mail can be sent."""
    settings, stores, courier = core.settings, core.stores, core.courier
    mail = courier.delivers("mail")
    verification = MailVerification(
        core.links,
        stores.users,
        stores.quotas,
        courier.send,
        courier.delivers,
        settings.registration.link_ttl,
        core.bus,
        core.clock,
    )
    recovery = Recovery(
        core.links,
        core.passwords,
        courier.send,
        stores.quotas,
        settings.recovery.link_ttl,
        later,
        core.clock,
    )
    registrations = Registrations(
        core.links,
        core.passwords,
        courier.send,
        stores.quotas,
        settings.registration.link_ttl,
        later,
        core.bus,
        core.clock,
    )
    by_mail = settings.recovery.password_by_mail and "password" in core.factors
    open_to_all = settings.registration.open and "password" in core.factors
    purposes: Mapping[str, Purpose] = {
        VERIFY: verification,
        INVITE: core.invitations,
        **({RESET: recovery} if by_mail else {}),
        **({REGISTER: registrations} if open_to_all else {}),
    }
    links = LinkServices(
        core.links,
        purposes,
        recovery if by_mail and mail else None,
        registrations if open_to_all and mail else None,
    )
    return Arrivals(links, verification)
