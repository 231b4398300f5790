"""From an authorization request to its answer: interaction, sign-in, consent, code.

Everything is a value: the adapter shows a `Page` or sends an `Answer`. On completion the
interaction is used up by one atomic take, and the request is judged again from its stored
parameters: nothing from before the login page is trusted.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

from idp import events
from idp.endpoint import Parameters
from idp.errors import PageError
from idp.factors.base import N_
from idp.flow.engine import Engine
from idp.flow.interactions import Interactions, Stored, support_code
from idp.flow.steps import Asked, Done, Refused, Step, Visit
from idp.model import AuthorizationRequest, Client, Code, Grant, Interaction, Session
from idp.oidc.authorize import AuthorizeError, RequestRules
from idp.oidc.consent import ConsentService, Wanted
from idp.oidc.grants.mint import token_hash
from idp.ports import Clock, Grants
from idp.sessions.service import Held, SessionService

UNMET = "The sign-in cannot reach what the application demands."
START_AGAIN = N_("Go back to the application and sign in again.")


@dataclass(frozen=True, slots=True)
class Browser:
    """What the adapter knows of the one who asks. `binding` is the hash of the flow cookie."""

    binding: str
    session: Session | None
    ip: str = ""
    user_agent: str = ""
    peer: bytes | None = None


@dataclass(frozen=True, slots=True)
class StepPage:
    asked: Asked
    request: AuthorizationRequest
    client: Client


@dataclass(frozen=True, slots=True)
class ConsentPage:
    interaction: Interaction
    wanted: Wanted
    username: str
    request: AuthorizationRequest
    client: Client


@dataclass(frozen=True, slots=True)
class Started:
    """A new interaction waits under this id."""

    interaction_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client, and the session's new cookie where there is one."""

    redirect_uri: str
    response_mode: str
    parameters: Mapping[str, str] = field(repr=False)
    held: Held | None = None


Outcome = StepPage | ConsentPage | Started | Answer


class Journey:
    def __init__(
        self,
        rules: RequestRules,
        engine: Engine,
        interactions: Interactions,
        consents: ConsentService,
        sessions: SessionService,
        grants: Grants,
        bus: events.Bus,
        clock: Clock,
        issuer: str,
        code_ttl: timedelta,
    ) -> None:
        self._rules = rules
        self._engine = engine
        self._interactions = interactions
        self._consents = consents
        self._sessions = sessions
        self._grants = grants
        self._bus = bus
        self._clock = clock
        self._issuer = issuer
        self._code_ttl = code_ttl

    def begin(self, parameters: Parameters, browser: Browser) -> Outcome:
        """A request of `/authorize`. Raises PageError; errors for the client are an Answer."""
        try:
            request, client = self._rules.validate(parameters)
        except AuthorizeError as error:
            return self._error(error)
        interaction = Interaction(
            id=uuid4().hex,
            browser=browser.binding,
            created_at=self._clock(),
            parameters=request.parameters,
            client_id=client.client_id,
            identifier=(request.login_hint or "")[:256] or None,
            fresh_user="select_account" in request.prompts,
        )
        visit = Visit(
            Stored(interaction, b""),
            request,
            client,
            browser.session,
            browser.peer,
            browser.ip,
        )
        done = self._engine.reached(visit)
        if done is not None and self._consents.wanted(done.user, client, request) is None:
            return self._complete(visit, done, browser)
        if "none" in request.prompts:
            return self._silent(visit, done)
        self._interactions.add(self._engine.opening(visit))
        self._bus.emit(
            events.InteractionStarted(
                at=interaction.created_at,
                interaction=interaction.id,
                support_code=support_code(interaction.id),
                client_id=client.client_id,
            )
        )
        return Started(interaction.id)

    def show(self, interaction_id: str, browser: Browser) -> Outcome:
        return self._move(interaction_id, browser, self._engine.step)

    def answer(
        self, interaction_id: str, browser: Browser, factor: str, form: Mapping[str, str]
    ) -> Outcome:
        return self._move(
            interaction_id, browser, lambda visit: self._engine.answer(visit, factor, form)
        )

    def enroll(
        self, interaction_id: str, browser: Browser, factor: str, form: Mapping[str, str]
    ) -> Outcome:
        return self._move(
            interaction_id, browser, lambda visit: self._engine.enroll(visit, factor, form)
        )

    def defer(self, interaction_id: str, browser: Browser) -> Outcome:
        return self._move(interaction_id, browser, self._engine.defer)

    def resend(self, interaction_id: str, browser: Browser) -> Outcome:
        return self._move(interaction_id, browser, self._engine.resend)

    def choose(self, interaction_id: str, browser: Browser, factor: str) -> Outcome:
        return self._move(interaction_id, browser, lambda visit: self._engine.choose(visit, factor))

    def restart(self, interaction_id: str, browser: Browser) -> Outcome:
        return self._move(interaction_id, browser, self._engine.restart)

    def decide(self, interaction_id: str, browser: Browser, allowed: bool) -> Outcome:
        """The consent page's answer. It counts only where the sign-in is complete."""
        visit = self._visit(interaction_id, browser)
        if isinstance(visit, Answer):
            return visit
        step = self._engine.step(visit)
        if not isinstance(step, Done):
            return self._outcome(visit, step, browser)
        if not allowed:
            return self._refuse(visit, "access_denied", "The request was denied.", "consent denied")
        if self._consents.wanted(step.user, visit.client, visit.request) is not None:
            self._consents.allow(step.user, visit.client, visit.request)
        return self._complete(visit, step, browser)

    def cancel(self, interaction_id: str, browser: Browser) -> Outcome:
        visit = self._visit(interaction_id, browser)
        if isinstance(visit, Answer):
            return visit
        return self._refuse(visit, "access_denied", "The sign-in was cancelled.", "cancelled")

    def finished(self, interaction_id: str, browser: Browser) -> Interaction | None:
        """The interaction that this browser already finished, for a page that says so."""
        found = self._interactions.finished(interaction_id)
        return found if found is not None and _bound(found, browser) else None

    def _move(self, interaction_id: str, browser: Browser, act: Callable[[Visit], Step]) -> Outcome:
        visit = self._visit(interaction_id, browser)
        if isinstance(visit, Answer):
            return visit
        return self._outcome(visit, act(visit), browser)

    def _visit(self, interaction_id: str, browser: Browser) -> Visit | Answer:
        """The stored interaction of this very browser, its request judged anew."""
        stored = self._interactions.get(interaction_id)
        if stored is None or not _bound(stored.interaction, browser):
            raise PageError(
                "interaction_not_found",
                N_("This sign-in has expired, was finished, or belongs to another browser."),
                action=START_AGAIN,
                status=404,
            )
        try:
            request, client = self._rules.validate(stored.interaction.parameters)
        except AuthorizeError as error:
            self._interactions.take(interaction_id)
            return self._error(error)
        return Visit(stored, request, client, browser.session, browser.peer, browser.ip)

    def _outcome(self, visit: Visit, step: Step, browser: Browser) -> Outcome:
        if isinstance(step, Asked):
            return StepPage(step, visit.request, visit.client)
        if isinstance(step, Refused):
            return self._refuse(replace(visit, stored=step.stored), step.error, UNMET, step.reason)
        wanted = self._consents.wanted(step.user, visit.client, visit.request)
        if wanted is not None:
            return ConsentPage(
                step.stored.interaction, wanted, step.user.username, visit.request, visit.client
            )
        return self._complete(replace(visit, stored=step.stored), step, browser)

    def _complete(self, visit: Visit, done: Done, browser: Browser) -> Outcome:
        stored = visit.stored
        if stored.raw and self._interactions.take(visit.interaction.id) is None:
            raise PageError(
                "interaction_finished",
                N_("This sign-in was already finished."),
                action=START_AGAIN,
                status=409,
            )
        held = self._sessions.establish(
            done.user,
            done.stored.interaction.achieved,
            browser.session,
            ip=browser.ip,
            user_agent=browser.user_agent,
        )
        parameters = {}
        if visit.request.response_type == "code":
            parameters["code"] = self._code(visit, done, held.session)
        self._bus.emit(
            events.SignInCompleted(
                at=self._clock(),
                interaction=visit.interaction.id,
                support_code=support_code(visit.interaction.id),
                client_id=visit.client.client_id,
                user_id=done.user.id,
                acr=done.reached.acr,
                amr=done.reached.amr,
                session_id=held.session.id,
            )
        )
        return self._answered(visit.request, parameters, held)

    def _code(self, visit: Visit, done: Done, session: Session) -> str:
        now, request = self._clock(), visit.request
        code = secrets.token_urlsafe(32)
        grant = Grant(
            id=uuid4().hex,
            client_id=visit.client.client_id,
            user_id=done.user.id,
            session_id=None if "offline_access" in request.scopes else session.id,
            scopes=request.scopes,
            resources=request.resources,
            acr=done.reached.acr,
            amr=done.reached.amr,
            auth_time=done.reached.auth_time,
            created_at=now,
            claims=request.claims,
        )
        self._grants.add(
            grant,
            Code(
                hash=token_hash(code),
                grant_id=grant.id,
                client_id=grant.client_id,
                redirect_uri=request.redirect_uri,
                code_challenge=request.code_challenge,
                nonce=request.nonce,
                expires_at=now + self._code_ttl,
            ),
        )
        return code

    def _silent(self, visit: Visit, done: Done | None) -> Answer:
        """`prompt=none` (OIDC Core 3.1.2.6): which page would have been shown."""
        if done is not None:
            return self._refuse(visit, "consent_required", "Consent is needed.", "prompt=none")
        if visit.session is None:
            return self._refuse(visit, "login_required", "A sign-in is needed.", "prompt=none")
        error = "login_required" if visit.request.hint_sub else "interaction_required"
        if visit.request.max_age is not None:
            error = "login_required"
        return self._refuse(visit, error, "A sign-in is needed.", "prompt=none")

    def _refuse(self, visit: Visit, error: str, public: str, reason: str) -> Answer:
        if visit.stored.raw:
            self._interactions.take(visit.interaction.id)
        self._bus.emit(
            events.AuthorizationRefused(
                at=self._clock(),
                interaction=visit.interaction.id,
                support_code=support_code(visit.interaction.id),
                client_id=visit.client.client_id,
                user_id=visit.interaction.user_id,
                error=error,
                reason=reason,
            )
        )
        return self._answered(
            visit.request,
            {"error": error, "error_description": public},
            None,
        )

    def _error(self, error: AuthorizeError) -> Answer:
        parameters = {"error": error.code, "error_description": error.public, "iss": self._issuer}
        if error.state is not None:
            parameters["state"] = error.state
        return Answer(error.redirect_uri, error.response_mode, parameters)

    def _answered(
        self, request: AuthorizationRequest, parameters: Mapping[str, str], held: Held | None
    ) -> Answer:
        """`state` exactly as sent and only when sent; `iss` always (RFC 9207)."""
        state = {} if request.state is None else {"state": request.state}
        return Answer(
            request.redirect_uri,
            request.response_mode,
            {**parameters, **state, "iss": self._issuer},
            held,
        )


def _bound(interaction: Interaction, browser: Browser) -> bool:
    return hmac.compare_digest(interaction.browser, browser.binding)
