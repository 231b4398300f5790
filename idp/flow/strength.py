"""Whether a session has proven enough, and lately, to change what a person signs in with.

Changing a password, an authenticator or an address needs proofs at the highest level that the
person holds, no older than `flow.fresh_for` (OWASP ASVS 7.5.1): who left a browser open, or knows
the password alone, changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from idp.flow.policy import Policy, Reached, Requirement, outstanding
from idp.model import Authenticator, Session, User
from idp.ports import Clock


@dataclass(frozen=True, slots=True)
class SessionStrength:
    """`held` is what a user may use; `strongest` the highest acr that it reaches, if it does."""

    policy: Policy
    held: Callable[[User], Sequence[Authenticator]]
    strongest: Callable[[User, Sequence[Authenticator]], str | None]
    fresh_for: timedelta
    clock: Clock

    def demanded(self, user: User) -> str | None:
        """The acr to be proven. None: what the user holds reaches none, so nothing can be."""
        return self.strongest(user, self.held(user))

    def shown(self, user: User, session: Session) -> bool:
        level, now = self.demanded(user), self.clock()
        if level is None:
            return False
        wanted = Requirement((level,), "account", now - self.fresh_for)
        found = outstanding(self.policy, (wanted,), session.achieved, _nothing, now)
        return isinstance(found, Reached)


def _nothing(_factor: str) -> bool:
    """Nothing is asked here, so it does not matter what could be."""
    return False
