"""A person changes the password: the old one proves it is theirs, the new one ends every other
session (OWASP ASVS 6.2.3, 7.4.3)."""

from dataclasses import dataclass
from datetime import timedelta

from idp import events
from idp.errors import Conflict, NotConfirmed, NotFound, Refused
from idp.factors.admin import BROKEN, WAIT
from idp.factors.base import N_, Challenge, Factor, Form, Rejected
from idp.factors.proving import NotProven, Prover
from idp.model import Authenticator, Session, User
from idp.ports import Authenticators, Clock, Ephemeral, Tickets
from idp.sessions.service import SessionService

NAME = "password"
ONE_CHANGE = timedelta(minutes=1)  # in which no second one of the same password can win
NOT_YOURS = N_("That is not your current password.")
WEAK = N_("Choose another password: this one is too short or too long.")
MEANWHILE = N_("Your password was changed meanwhile. Reload the page and try again.")


@dataclass(frozen=True, slots=True)
class PasswordChange:
    prover: Prover
    authenticators: Authenticators
    ephemeral: Ephemeral
    tickets: Tickets
    sessions: SessionService
    bus: events.Bus
    clock: Clock

    def change(self, user: User, session: Session, current: str, new: str) -> int:
        """How many other sessions ended. Raises NotFound for a person without a password,
        NotConfirmed for a wrong current one, Refused for a new one that will not do, Conflict when
        another request was faster."""
        factor = self.prover.factors.get(NAME)
        before = self._held(user)
        if factor is None or not before:
            raise NotFound("there is no password to change")
        self._prove(factor, user, current)
        fresh = self._made(factor, user, new)
        if not self.ephemeral.once(f"password:{before[0].id}", ONE_CHANGE):
            raise Conflict(MEANWHILE)
        self.authenticators.add(fresh)  # first: there is no moment without a password
        for old in before:
            self.authenticators.remove(old.id)
        self.tickets.revoke(user.id, self.clock())  # a link to reset it, sent before, is void
        ended = self.sessions.end_others(user.id, session.id, "password changed")
        self.bus.emit(events.PasswordChanged(at=self.clock(), user_id=user.id, by=user.id))
        return ended

    def _held(self, user: User) -> list[Authenticator]:
        return [a for a in self.prover.held(user) if a.factor == NAME]

    def _prove(self, factor: Factor, user: User, current: str) -> None:
        ctx = self.prover.context(factor, user, self.prover.held(user), self.clock())
        verdict = self.prover.verify(factor, ctx, _asked(), {"password": current})
        if not isinstance(verdict, NotProven):
            return
        self.bus.emit(
            events.ProofRefused(
                at=self.clock(), user_id=user.id, factor=NAME, reason=verdict.detail
            )
        )
        public = {"wrong": NOT_YOURS, "wait": WAIT, "broken": BROKEN}[verdict.kind]
        raise NotConfirmed(verdict.kind, public, verdict.retry_at, verdict.detail)

    def _made(self, factor: Factor, user: User, new: str) -> Authenticator:
        ctx = self.prover.context(factor, user, (), self.clock())
        try:
            return factor.confirm(ctx, _asked(), {"password": new})
        except Rejected as rejected:
            raise Refused(rejected.public or WEAK) from None


def _asked() -> Challenge:
    return Challenge(Form("", ()))
