"""The Flask application: every page, its headers, its language, its limits."""

import time
from dataclasses import dataclass

from flask import Flask, g, request
from flask_limiter import Limiter
from werkzeug.wrappers import Response

from idp import events
from idp.oidc.journey import Journey
from idp.oidc.logout import Logout
from idp.ports import Clock, Users
from idp.sessions.service import SessionService
from idp.settings import Settings
from idp.web import dev as dev_pages
from idp.web import errors, home, links, login, logout, security, theme
from idp.web.account import pages as account
from idp.web.account.pages import AccountServices
from idp.web.cookies import Cookies
from idp.web.machine import Observe
from idp.web.visitor import Visitor


@dataclass(frozen=True, slots=True)
class PageServices:
    journey: Journey
    logout: Logout
    sessions: SessionService
    users: Users
    csrf_key: bytes
    bus: events.Bus
    clock: Clock
    observe: Observe
    limits_storage: str
    account: AccountServices
    links: links.LinkServices
    dev: dev_pages.DevTools | None = None


def create_pages(settings: Settings, services: PageServices) -> Flask:
    app = Flask("idp", static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False  # the router's redirects are made from the Host header
    app.config["MAX_CONTENT_LENGTH"] = settings.server.max_body
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.server.max_body
    app.config["MAX_FORM_PARTS"] = 100
    looks = theme.theme_of(settings)
    cookies = Cookies(settings.secure)
    visitor = Visitor(settings, services.sessions, cookies)
    csrf = security.Csrf(services.csrf_key, settings.issuer)
    app.config["FACTOR_TEMPLATES"] = theme.factor_templates(looks)

    app.after_request(visitor.finish)
    _measure(app, services.observe)
    security.protect(app, settings.issuer)
    theme.install(app, looks, cookies)
    errors.install(app, looks, services.bus, services.clock)
    limiter = Limiter(
        lambda: visitor.address() or "unknown",
        app=app,
        storage_uri=services.limits_storage,
        strategy="fixed-window",
    )
    login.install(
        app,
        login.Login(services.journey, visitor, csrf, looks, settings.issuer),
        limiter.limit(settings.web.sign_in_rate),
    )
    logout.install(
        app,
        logout.LogoutPages(
            services.logout, visitor, services.sessions, csrf, looks, settings.issuer
        ),
    )
    home.install(app, home.Home(visitor, services.users, looks, settings.issuer))
    account.install(
        app,
        services.account,
        visitor,
        csrf,
        looks,
        settings.issuer,
        limiter.limit(settings.web.sign_in_rate),
    )
    links.install(
        app,
        links.LinkPages(services.links, visitor, csrf, looks, settings.issuer),
        services.links,
        settings.issuer,
        limiter.limit(settings.web.sign_in_rate),
    )
    if services.dev is not None:
        dev_pages.install(app, looks, services.dev)
    return app


def _measure(app: Flask, observe: Observe) -> None:
    """Seconds and status per endpoint; names come from the routes, never from the path."""

    @app.before_request
    def began() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def measured(response: Response) -> Response:
        elapsed = time.perf_counter() - g.get("began", time.perf_counter())
        observe(request.endpoint or "unknown", response.status_code, elapsed)
        return response
