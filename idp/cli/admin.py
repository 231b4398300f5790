"""The services that commands call, built over an opened core."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from idp.app import Core
    from idp.operate.users import UserAdmin


def user_admin(core: "Core") -> "UserAdmin":
    from idp.operate.users import UserAdmin
    from idp.sessions.service import SessionService

    return UserAdmin(
        core.stores,
        core.factors,
        SessionService(core.stores.sessions, core.settings.session, core.bus, core.clock),
        core.bus,
        core.clock,
        core.settings.issuer,
        tuple(core.policy.acrs),
    )
