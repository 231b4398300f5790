"""Multi-factor authentication of one person, in four functions: enable, verify, backup codes,
disable. The same through Python, `idp mfa` and the admin API.

    use(core.management)                       # create_core and create_app have done it
    result = enable_mfa(user.id, "totp")       # result.question: provisioning_uri, qr_svg
    verify_mfa(user.id, "123456")              # binds it; from now on it is asked for

Who calls acts for the person or by an operator's authority; disabling alone takes a proof with it,
by what proves the highest level that the person holds (OWASP ASVS 7.5.1). To be asked something
first (a message, a WebAuthn challenge) `verify_mfa` and `disable_mfa` take an empty text.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, List, Literal  # noqa: UP035 - the signature as it was asked for

from idp import events
from idp.errors import Busy, ConfigError, IdpError, Refused
from idp.factors import qr, recovery_code
from idp.factors.admin import BROKEN, WAIT, WRONG, AuthenticatorAdmin
from idp.factors.base import N_, Challenge, Factor, expendable, uses
from idp.factors.binding import shown
from idp.factors.fresh import FreshProof, answer_of
from idp.factors.proving import NotProven
from idp.model import Authenticator, Pending, User

ACTOR = "python"
DISABLED = N_("This account is disabled.")
NO_SECOND_FACTOR = N_("This starts a sign-in by itself; it is no second factor.")
NOT_ENABLED = N_("There is no second factor to verify or to disable.")
REQUIRED = N_("A second factor is required here, so it cannot be disabled.")
TYPE_IT = N_("Type a code, or a recovery code.")


@dataclass(frozen=True, slots=True)
class Question:
    """What the next call has to answer: `asks` is code, number or credential (WebAuthn: `options`
    are for the browser, and the answer is the credential as JSON)."""

    asks: Literal["code", "number", "credential"]
    text: str
    provisioning_uri: str = field(repr=False, default="")
    qr_svg: str = field(repr=False, default="")
    masked_number: str = ""
    options: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class MfaResult:
    """`pending`: answer the question with verify_mfa. `refused`: `reason` is stable, for programs;
    `public` says it to a person; `retry_at` when waiting helps."""

    status: Literal["enabled", "pending", "refused"]
    method: str
    question: Question | None = None
    codes: tuple[str, ...] = field(repr=False, default=())
    codes_left: int = 0
    reason: str = ""
    public: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """`confirmed`: the method was bound, and `acr` is what every sign-in asks from now on.
    `verified`: the code was right. `pending`: there is (another) question."""

    status: Literal["confirmed", "verified", "pending", "refused"]
    method: str = ""
    acr: str | None = None
    question: Question | None = None
    codes_left: int = 0
    reason: str = ""
    public: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DisableResult:
    """`disabled`: `removed` names what is gone, and every session has ended."""

    status: Literal["disabled", "pending", "refused"]
    removed: tuple[str, ...] = ()
    question: Question | None = None
    reason: str = ""
    public: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Management:
    """`proving` names the factors that prove the highest level somebody holds; `acrs` are the
    policy's, weakest first; `end_sessions` takes a user and a reason."""

    authenticators: AuthenticatorAdmin
    proof: FreshProof
    proving: Callable[[User, Sequence[Authenticator]], Collection[str]]
    acrs: Sequence[str]
    default_acr: str
    end_sessions: Callable[[str, str], object]

    def enable(self, user_id: str, method: str, *, actor: str = ACTOR) -> MfaResult:
        try:
            return self._enable(self._active(user_id), method, actor)
        except IdpError as error:
            return MfaResult("refused", method, **self._why(error))

    def verify(self, user_id: str, code: str, *, actor: str = ACTOR) -> VerificationResult:
        try:
            user = self._active(user_id)
            under_way = self._under_way(user)
            if under_way is not None:
                return self._confirm(user, under_way, code, actor)
            return self._prove(user, code)
        except IdpError as error:
            return VerificationResult("refused", **self._why(error))

    def backup_codes(self, user_id: str, *, actor: str = ACTOR) -> tuple[str, ...]:
        """Raises NotFound, Refused."""
        return self.authenticators.issue_codes(self._active(user_id).id, actor=actor)

    def disable(self, user_id: str, verification: str, *, actor: str = ACTOR) -> DisableResult:
        try:
            return self._disable(self._active(user_id), verification, actor)
        except IdpError as error:
            return DisableResult("refused", **self._why(error))

    def choose(self, user_id: str, *, actor: str = ACTOR) -> str | None:
        """Enabling a second factor is the choice to be asked for it: the strongest acr that is
        reached from now on, unless a stronger one was chosen already. Raises NotFound."""
        user = self.authenticators.user(user_id)
        acr = self.authenticators.strongest(user, self.authenticators.of(user_id))
        ranks = {name: rank for rank, name in enumerate(self.acrs)}
        now = max(ranks.get(user.require_acr or "", -1), ranks[self.default_acr])
        if acr is None or ranks[acr] <= now:
            return user.require_acr
        self._demand(user.id, acr, "mfa enabled", actor)
        return acr

    def _enable(self, user: User, method: str, actor: str) -> MfaResult:
        factor = self.authenticators.prover.factors.get(method)
        if factor is not None and starts(factor):
            raise Refused(NO_SECOND_FACTOR, "not_a_second_factor")
        if method == recovery_code.NAME:
            codes = self.backup_codes(user.id, actor=actor)
            return MfaResult("enabled", method, codes=codes, codes_left=len(codes))
        challenge = self.authenticators.begin(user.id, method)
        if _asks(challenge) == "number" and user.phone and user.phone_verified:
            answer = answer_of(challenge.form, user.phone)
            further = self.authenticators.confirm(user.id, method, answer, actor=actor)
            if isinstance(further, Authenticator):
                return MfaResult("enabled", method)
            challenge = further
        return MfaResult("pending", method, _question(challenge))

    def _confirm(self, user: User, under_way: Pending, code: str, actor: str) -> VerificationResult:
        method, asked = under_way.factor, shown(under_way)
        if not code.strip():
            return VerificationResult("pending", method, question=_question(asked))
        first = all(self._spent(name) for name in self._names(user))
        answer = answer_of(asked.form, code)
        bound = self.authenticators.confirm(user.id, method, answer, actor=actor)
        if isinstance(bound, Challenge):
            return VerificationResult("pending", method, question=_question(bound))
        acr = self.choose(user.id, actor=actor) if first else user.require_acr
        left = self.authenticators.codes_left(user.id)
        return VerificationResult("confirmed", method, acr, codes_left=left)

    def _prove(self, user: User, code: str) -> VerificationResult:
        names = self._names(user)
        if not names:
            raise Refused(NOT_ENABLED, "not_enabled")
        if not code.strip():
            method, question = self._ask(user, names)
            return VerificationResult("pending", method, question=question)
        verdict = self.proof.take(user, names, code)
        if isinstance(verdict, NotProven):
            return VerificationResult("refused", **_because(verdict))
        left = self.authenticators.codes_left(user.id)
        method = verdict.authenticator.factor
        return VerificationResult("verified", method, user.require_acr, codes_left=left)

    def _disable(self, user: User, verification: str, actor: str) -> DisableResult:
        """What cannot be is said before the proof is taken: it would be used up for nothing."""
        gone = {a.factor for a in self._seconds(user)}
        if not gone:
            raise Refused(NOT_ENABLED, "not_enabled")
        held = self.authenticators.of(user.id)
        rest = [a for a in held if a.factor not in gone]
        if not self.authenticators.can_sign_in(replace(user, require_acr=None), rest):
            raise Refused(REQUIRED, "required")
        counting, every = self.proving(user, held), self._names(user)
        names = [name for name in every if name in counting] or every
        if not verification.strip():
            _, question = self._ask(user, names)
            return DisableResult("pending", question=question)
        verdict = self.proof.take(user, names, verification)
        if isinstance(verdict, NotProven):
            return DisableResult("refused", **_because(verdict))
        removed = self.authenticators.remove_all(user.id, sorted(gone), actor=actor)
        self._demand(user.id, None, "mfa disabled", actor)
        self.end_sessions(user.id, "mfa disabled")
        return DisableResult("disabled", removed)

    def _ask(self, user: User, names: Iterable[str]) -> tuple[str, Question]:
        asked = self.proof.ask(user, names)
        if asked is None:
            raise Refused(TYPE_IT, "code_needed")
        factor, challenge = asked
        return factor.name, _question(challenge)

    def _active(self, user_id: str) -> User:
        user = self.authenticators.user(user_id)
        if user.disabled_at is not None:
            raise Refused(DISABLED, "disabled")
        return user

    def _seconds(self, user: User) -> list[Authenticator]:
        """What the person holds besides what starts a sign-in."""
        factors = self.authenticators.prover.factors.values()
        second = {uses(factor) for factor in factors if not starts(factor)}
        return [a for a in self.authenticators.of(user.id) if a.factor in second]

    def _names(self, user: User) -> list[str]:
        """The factors that work with these, the one used last first."""
        held = {a.factor: a.last_used_at or a.created_at for a in self._seconds(user)}
        factors = self.authenticators.prover.factors
        names = [name for name, factor in factors.items() if uses(factor) in held]
        return sorted(names, key=lambda name: held[uses(factors[name])], reverse=True)

    def _spent(self, name: str) -> bool:
        return expendable(self.authenticators.prover.factors[name])

    def _under_way(self, user: User) -> Pending | None:
        """The binding of a second factor that was begun last."""
        bindings, factors = self.authenticators.bindings, self.authenticators.prover.factors
        found = [bindings.get(user.id, name) for name in factors if not starts(factors[name])]
        return max((p for p in found if p is not None), key=lambda p: p.asked_at, default=None)

    def _demand(self, user_id: str, acr: str | None, change: str, actor: str) -> None:
        now = self.authenticators.clock()
        self.authenticators.users.change(
            user_id, lambda user: replace(user, require_acr=acr, updated_at=now)
        )
        self.authenticators.bus.emit(
            events.UserChanged(at=now, user_id=user_id, change=change, actor=actor)
        )

    def _why(self, error: IdpError) -> dict[str, Any]:
        retry_at = getattr(error, "retry_at", None)
        if isinstance(error, Busy):
            retry_at = self.authenticators.clock() + error.retry_after
        return {"reason": error.code, "public": error.public, "retry_at": retry_at}


def starts(factor: Factor) -> bool:
    """Whether it is what a sign-in begins with, rather than what a person adds to it. A passkey is
    both: bound as a second factor, it signs in alone as well."""
    return factor.identifies and uses(factor) == factor.name


def _because(verdict: NotProven) -> dict[str, Any]:
    public = {"wrong": verdict.public or WRONG, "wait": WAIT, "broken": BROKEN}[verdict.kind]
    return {"reason": verdict.kind, "public": public, "retry_at": verdict.retry_at}


def _asks(challenge: Challenge) -> Literal["code", "number", "credential"]:
    kind = challenge.form.fields[0].type if challenge.form.fields else "hidden"
    return "number" if kind == "tel" else "credential" if kind == "hidden" else "code"


def _question(challenge: Challenge) -> Question:
    asks, form = _asks(challenge), challenge.form
    uri = str(challenge.public.get("provisioning_uri", ""))
    return Question(
        asks,
        form.text % form.values if form.text else form.title,
        provisioning_uri=uri,
        qr_svg=qr.svg(uri) if uri else "",
        masked_number=str(challenge.public.get("number", "")),
        options=challenge.public if asks == "credential" else {},
    )


_in_use: list[Management] = []


def use(management: Management) -> None:
    """Have the four functions speak to this one."""
    _in_use[:] = [management]


def _management() -> Management:
    if not _in_use:
        raise ConfigError("no management is in use: call create_core or create_app, or use() first")
    return _in_use[0]


def enable_mfa(user_id: str, method: str) -> MfaResult:
    """Begin to bind a second factor; `recovery_code` is issued at once."""
    return _management().enable(user_id, method)


def verify_mfa(user_id: str, code: str) -> VerificationResult:
    """Answer the binding under way; without one, check a code against what the person holds."""
    return _management().verify(user_id, code)


def generate_backup_codes(user_id: str) -> List[str]:  # noqa: UP006
    """Ten recovery codes, seen this once; the ones before die. Raises NotFound, Refused."""
    return list(_management().backup_codes(user_id))


def disable_mfa(user_id: str, verification: str) -> DisableResult:
    """Remove every second factor and recovery code, by a fresh proof of one that counts most."""
    return _management().disable(user_id, verification)
