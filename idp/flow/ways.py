"""What somebody reaches with what they hold, apart from any sign-in: for whoever changes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from idp.factors.base import expendable, holds, sends
from idp.factors.proving import Prover
from idp.flow.courier import Courier
from idp.flow.policy import Policy, reachable, serving, strongest
from idp.model import Authenticator, User
from idp.ports import Clock


@dataclass(frozen=True, slots=True)
class Ways:
    policy: Policy
    prover: Prover
    courier: Courier
    clock: Clock

    def can_sign_in(self, user: User, held: Sequence[Authenticator]) -> bool:
        """With this and nothing more: to the default acr and to what the person chose, without
        enrolment, again and again. What is used up by proving it, or needs messages that cannot be
        sent, is no way to rely on."""

        def lasting(name: str) -> bool:
            factor = self.prover.factors[name]
            sent = not sends(factor) or self.courier.delivers(sends(factor))
            return sent and not expendable(factor) and self.holds(user, held, name)

        wanted = {self.policy.default_acr, user.require_acr or self.policy.default_acr}
        return all(reachable(self.policy, acr, lasting) for acr in wanted)

    def strongest(self, user: User, held: Sequence[Authenticator]) -> str | None:
        """The highest acr that is reached with this, available right now or not."""
        return strongest(self.policy, lambda name: self.holds(user, held, name))

    def proving(self, user: User, held: Sequence[Authenticator]) -> tuple[str, ...]:
        """The factors by which the highest acr that is reached with this is proven, the one used
        last first; of no acr at all, whatever is held."""
        acr = self.strongest(user, held)
        factors = {a.factor: a.last_used_at or a.created_at for a in held}
        named = serving(self.policy, acr, lambda name: self.holds(user, held, name)) if acr else ()
        found = [name for name in factors if name in self.prover.factors]
        counted = [name for name in found if not named or name in named]
        return tuple(sorted(counted, key=lambda name: factors[name], reverse=True))

    def holds(self, user: User, held: Sequence[Authenticator], name: str) -> bool:
        factor = self.prover.factors[name]
        return holds(factor, self.prover.context(factor, user, held, self.clock()))
