"""/authorize and /interaction/<id>: the pages of a sign-in, as HTML or JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, current_app, g, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from idp.endpoint import Parameters
from idp.errors import PageError
from idp.flow.interactions import support_code
from idp.flow.steps import Asked
from idp.model import AuthorizationRequest
from idp.oidc.client import origin
from idp.oidc.journey import Answer, ConsentPage, Journey, Outcome, Started, StepPage
from idp.web.challenge import drawn
from idp.web.errors import wants_json
from idp.web.scopes import words
from idp.web.security import Csrf, send_to
from idp.web.theme import Theme, factor_template, page
from idp.web.visitor import Visitor, parameters

CONTROLS = frozenset(
    {
        "csrf",
        "factor",
        "decision",
        "choose",
        "restart",
        "cancel",
        "enroll",
        "defer",
        "resend",
    }
)


class Login:
    def __init__(
        self, journey: Journey, visitor: Visitor, csrf: Csrf, theme: Theme, issuer: str
    ) -> None:
        self._journey = journey
        self._visitor = visitor
        self._csrf = csrf
        self._theme = theme
        self._issuer = issuer

    def authorize(self) -> AnyResponse:
        """OIDC Core 3.1.2.1: GET and POST. A POST from another site comes without our cookies,
        so it is turned into a GET first; 303, never 307 (RFC 9700 section 4.12)."""
        given = parameters()
        if request.method == "POST":
            pairs = [(name, value) for name, values in given.items() for value in values]
            return redirect(f"{self._issuer}/authorize?{urlencode(pairs)}", 303)
        browser = self._visitor.browser(self._visitor.new_binding())
        return self._show(self._journey.begin(given, browser))

    def show(self, interaction_id: str) -> AnyResponse:
        binding = self._visitor.binding() or ""
        return self._guarded(
            interaction_id,
            lambda: self._journey.show(interaction_id, self._visitor.browser(binding)),
        )

    def submit(self, interaction_id: str) -> AnyResponse:
        binding = self._visitor.binding()
        self._csrf.check(f"interaction {interaction_id}", binding)
        browser = self._visitor.browser(binding or "")
        form = request.form
        journey = self._journey

        def act() -> Outcome:
            if form.get("cancel"):
                return journey.cancel(interaction_id, browser)
            if form.get("restart"):
                return journey.restart(interaction_id, browser)
            if form.get("choose"):
                return journey.choose(interaction_id, browser, form["choose"])
            if form.get("decision"):
                return journey.decide(interaction_id, browser, form["decision"] == "allow")
            if form.get("defer"):
                return journey.defer(interaction_id, browser)
            if form.get("resend"):
                return journey.resend(interaction_id, browser)
            fields = {name: value for name, value in form.items() if name not in CONTROLS}
            if form.get("enroll"):
                return journey.enroll(interaction_id, browser, form.get("factor", ""), fields)
            return journey.answer(interaction_id, browser, form.get("factor", ""), fields)

        def moved() -> Outcome:
            """The next page by a GET of its own: Back and reload then send no form again."""
            outcome = act()
            if isinstance(outcome, Answer) or wants_json():
                return outcome
            return Started(interaction_id)

        return self._guarded(interaction_id, moved)

    def _guarded(self, interaction_id: str, act: Any) -> AnyResponse:
        """A finished interaction of this browser gets a page that leads on, not an error."""
        try:
            return self._show(act())
        except PageError as error:
            if error.code not in {"interaction_not_found", "interaction_finished"}:
                raise
            browser = self._visitor.browser(self._visitor.binding() or "")
            done = self._journey.finished(interaction_id, browser)
            if done is None:
                raise
            if wants_json():
                raise
            return self._finished(done.parameters, interaction_id)

    def _finished(self, original: Parameters, interaction_id: str) -> Response:
        pairs = [(name, value) for name, values in original.items() for value in values]
        return page(
            self._theme,
            "finished.html",
            409,
            page_id="finished",
            support_code=support_code(interaction_id),
            message=_("This sign-in was already finished, here or in another tab."),
            link={
                "url": f"{self._issuer}/authorize?{urlencode(pairs)}",
                "label": _("Continue to the application"),
            },
        )

    def _show(self, outcome: Outcome) -> AnyResponse:
        if isinstance(outcome, Answer):
            return self._answer(outcome)
        if isinstance(outcome, Started):
            target = f"{self._issuer}/interaction/{outcome.interaction_id}"
            return redirect(target, 303)
        self._prepare(outcome.request)
        if isinstance(outcome, StepPage):
            return self._step(outcome)
        return self._consent(outcome)

    def _prepare(self, authorization: AuthorizationRequest) -> None:
        send_to(authorization.redirect_uri)
        g.ui_locales = authorization.ui_locales

    def _step(self, found: StepPage) -> AnyResponse:
        asked = found.asked
        interaction = asked.stored.interaction
        context = self._step_context(asked)
        if wants_json():
            return _json(
                {
                    "interaction": interaction.id,
                    "step": "enroll" if asked.enrolling else "factor",
                    "client": {"client_id": found.client.client_id, "name": found.client.name},
                    "public": dict(asked.challenge.public),
                    "support_code": support_code(interaction.id),
                    **context,
                },
                200,
            )
        return page(
            self._theme,
            factor_template(current_app, asked.factor, enrolling=asked.enrolling),
            429 if asked.retry_after else 200,
            page_id=f"step factor-{asked.factor}",
            client=found.client if found.client.name else None,  # the account pages have none
            support_code=support_code(interaction.id) if asked.error else None,
            public=asked.challenge.public,
            **context,
        )

    def _step_context(self, asked: Asked) -> dict[str, Any]:
        interaction = asked.stored.interaction
        return drawn(
            asked.factor,
            asked.challenge.form,
            action=f"{self._issuer}/interaction/{interaction.id}",
            csrf=self._csrf.token(f"interaction {interaction.id}", self._visitor.binding() or ""),
            username=asked.username,
            error=asked.error,
            retry_after=asked.retry_after,
            choices=asked.choices,
            beside=asked.beside,
            resendable=asked.resendable,
            enrolling=asked.enrolling,
            deferrable=asked.deferrable,
        )

    def _consent(self, found: ConsentPage) -> AnyResponse:
        interaction = found.interaction
        host = origin(found.request.redirect_uri)
        context: dict[str, Any] = {
            "action": f"{self._issuer}/interaction/{interaction.id}",
            "csrf": self._csrf.token(
                f"interaction {interaction.id}", self._visitor.binding() or ""
            ),
            "username": found.username,
            "scopes": [_scope(scope, found.wanted.new_scopes) for scope in found.wanted.scopes],
            "resources": list(found.wanted.resources),
        }
        if wants_json():
            return _json({"interaction": interaction.id, "step": "consent", **context}, 200)
        return page(
            self._theme,
            "consent.html",
            page_id="consent",
            client=found.client,
            client_more={
                "host": host.partition("://")[2] or host,
                "is_loopback": host.startswith("http://"),
            },
            **context,
        )

    def _answer(self, answer: Answer) -> AnyResponse:
        self._visitor.keep(answer.held)
        if wants_json():
            return _json({"redirect_uri": _with_query(answer), "step": "done"}, 200)
        if answer.response_mode == "form_post":
            send_to(answer.redirect_uri)
            return page(
                self._theme,
                "form_post.html",
                page_id="form-post",
                action=answer.redirect_uri,
                params=list(answer.parameters.items()),
            )
        return redirect(_with_query(answer), 303)


def _with_query(answer: Answer) -> str:
    """The redirect URI's own query stays (RFC 6749 section 3.1.2)."""
    joiner = "&" if "?" in answer.redirect_uri else "?"
    return f"{answer.redirect_uri}{joiner}{urlencode(answer.parameters)}"


def _scope(scope: str, new: tuple[str, ...]) -> Mapping[str, Any]:
    said = words(scope)
    return {
        "name": said.name,
        "title": said.title,
        "detail": said.detail,
        "already": scope not in new,
    }


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def install(
    app: Flask,
    login: Login,
    limit: Callable[[Callable[[str], AnyResponse]], Callable[..., Any]],
) -> None:
    """`limit` bounds how many answers one address may send; it keeps its count on a function."""

    def submit(interaction_id: str) -> AnyResponse:
        return login.submit(interaction_id)

    pages = Blueprint("login", __name__)
    pages.add_url_rule("/authorize", "authorize", login.authorize, methods=["GET", "POST"])
    pages.add_url_rule("/interaction/<interaction_id>", "show", login.show, methods=["GET"])
    pages.add_url_rule("/interaction/<interaction_id>", "submit", limit(submit), methods=["POST"])
    app.register_blueprint(pages)
