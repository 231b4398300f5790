"""The services that commands call, built over an opened core."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from idp.core import Core
    from idp.operate.users import UserAdmin


def user_admin(core: "Core") -> "UserAdmin":
    from idp.operate.users import UserAdmin

    return UserAdmin(
        core.stores,
        core.factors,
        core.sessions,
        core.bus,
        core.clock,
        core.settings.issuer,
        tuple(core.policy.acrs),
    )
