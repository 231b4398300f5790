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

    def proving(self, user: User, held: Sequence[Authenticator]) -> frozenset[str]:
        """The factors by which the highest acr is proven that is reached with this; where none is,
        all that work with it."""

        def has(name: str) -> bool:
            return self.holds(user, held, name)

        acr = self.strongest(user, held)
        if acr is None:
            return frozenset(filter(has, self.prover.factors))
        return serving(self.policy, acr, has)

    def holds(self, user: User, held: Sequence[Authenticator], name: str) -> bool:
        factor = self.prover.factors[name]
        return holds(factor, self.prover.context(factor, user, held, self.clock()))
