"""A relying party: Flask and Authlib's client, and nothing of this provider's own code.

    RP_ISSUER=http://localhost:8000 RP_CLIENT_ID=web RP_CLIENT_SECRET=... \
        flask --app examples.relying_party.app run --port 8001

It trusts nothing that a browser brings along: the answer must belong to a sign-in that started in
this browser (`state`) and come from this provider (`iss`), the code is bound to a secret that never
left this server (PKCE), and who signed in, and how, is read from a verified ID token alone.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, abort, flash, g, redirect, render_template, request, session, url_for
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from examples.relying_party import words

SCOPE = "openid profile email offline_access"
TRANSFER_NEEDS = "aal2"
Page = Response | str | tuple[str, int]


def create_app(
    issuer: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
    base_url: str | None = None,
) -> Flask:
    """Build the application; what is not given comes from RP_ISSUER, RP_CLIENT_ID and so on."""
    issuer = issuer or os.environ["RP_ISSUER"]
    client_id = client_id or os.environ["RP_CLIENT_ID"]
    client_secret = client_secret or os.environ.get("RP_CLIENT_SECRET")
    base_url = (base_url or os.environ.get("RP_BASE_URL", "http://localhost:8001")).rstrip("/")

    app = Flask(__name__, root_path=str(Path(__file__).parent))
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        SESSION_COOKIE_NAME="rp_session",  # cookies of localhost are shared by all of its ports
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=base_url.startswith("https://"),
    )
    app.jinja_env.globals.update(issuer=issuer, client_id=client_id, words=words)

    party = RelyingParty(app, issuer, client_id, client_secret, base_url)
    app.before_request(party.load_sign_in)
    app.after_request(add_headers)
    app.get("/")(party.home)
    app.get("/login")(party.login)
    app.get("/callback")(party.callback)
    app.post("/transfer")(party.transfer)
    app.post("/refresh")(party.refresh)
    app.post("/logout")(party.logout)
    app.register_error_handler(AuthlibBaseError, oauth_error)
    app.register_error_handler(JoseError, bad_id_token)
    app.register_error_handler(requests.RequestException, provider_unreachable)
    return app


@dataclass
class SignIn:
    """What this server keeps about one signed-in browser; the cookie holds only the key to it."""

    claims: dict[str, Any]
    token: dict[str, Any]
    csrf: str


class RelyingParty:
    def __init__(
        self, app: Flask, issuer: str, client_id: str, client_secret: str | None, base_url: str
    ) -> None:
        self.issuer, self.client_id, self.base_url = issuer, client_id, base_url
        self.signed_in: dict[str, SignIn] = {}  # a real application keeps these in its database
        self.id_token_must_hold = {  # beside what Authlib checks: signature, nonce, expiry, at_hash
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": client_id},
        }
        self.provider = OAuth(app).register(
            "provider",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": SCOPE,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if client_secret else "none",
                "default_timeout": 10,
            },
        )

    # Pages

    def home(self) -> Page:
        if request.args.get("state"):
            self.provider.validate_logout_response()
            flash("You are signed out, here and at the provider.")
            return go_home()
        userinfo = self.fetch_userinfo(g.user) if g.user else {}
        return render_template("home.html", user=g.user, userinfo=userinfo)

    def login(self) -> Page:
        if request.host != urlsplit(self.base_url).netloc:  # 127.0.0.1 has not localhost's cookies
            return redirect(f"{self.base_url}/login", code=303)
        return self.start("sign-in")

    def callback(self) -> Page:
        """Take the provider's answer, once; then go on with what it was asked for."""
        state = request.args.get("state")
        began = self.provider.framework.get_state_data(session, state)
        if began is None and g.user:  # Back, or a second tab: nothing is taken from the answer
            flash("You were signed in already.")
            return go_home()
        if began is None:
            raise OAuthError("mismatching_state", "The answer carries an unknown state.")
        try:
            self.check_answers_issuer()
            token = self.provider.authorize_access_token(claims_options=self.id_token_must_hold)
        finally:
            self.provider.framework.clear_state_data(session, state)
        claims = token.pop("userinfo", None)
        if claims is None:
            raise OAuthError("missing_id_token", "The token response held no ID token.")
        if began["subject"] not in (None, claims["sub"]):
            raise OAuthError("wrong_subject", "Somebody else answered than was asked.")
        self.remember(claims, token)
        return transfer_money(claims) if began["purpose"] == "transfer" else go_home()

    def transfer(self) -> Page:
        """Move money if the sign-in was strong enough, else ask the provider for more first."""
        if g.user.claims.get("acr") == TRANSFER_NEEDS:
            return transfer_money(g.user.claims)
        return self.start("transfer", subject=g.user.claims["sub"], acr_values=TRANSFER_NEEDS)

    def refresh(self) -> Page:
        """Renew the tokens; each refresh token works once, and the answer holds the next."""
        user = g.user
        token = self.provider.fetch_access_token(
            grant_type="refresh_token", refresh_token=user.token.get("refresh_token"), scope=None
        )
        user.token = {**user.token, **token}
        if "id_token" in token:
            claims = self.provider.parse_id_token(
                token, nonce=None, claims_options=self.id_token_must_hold
            )
            if claims["sub"] != user.claims["sub"]:
                raise OAuthError("wrong_subject", "The new tokens belong to another user.")
            user.claims = claims
        flash(f"Refreshed at {words.moment(time.time())}.")
        return go_home()

    def logout(self) -> Page:
        """Forget the user here, then let the provider end its own session (RP-initiated logout)."""
        self.signed_in.pop(session.pop("key"), None)
        to_provider: Response = self.provider.logout_redirect(
            post_logout_redirect_uri=self.base_url, id_token_hint=g.user.token["id_token"]
        )
        to_provider.status_code = 303
        return to_provider

    # What the pages stand on

    def load_sign_in(self) -> Page | None:
        """Find who is signed in; let a form through only if it was drawn for this sign-in."""
        g.user = self.signed_in.get(session.get("key", ""))
        if request.method != "POST":
            return None
        if g.user is None:
            flash("You are signed out. Sign in first.")
            return go_home()
        if not hmac.compare_digest(request.form.get("csrf", "").encode(), g.user.csrf.encode()):
            abort(400, "This form is out of date. Go back, reload the page and try again.")
        return None

    def remember(self, claims: dict[str, Any], token: dict[str, Any]) -> None:
        self.signed_in.pop(session.pop("key", ""), None)
        session["key"] = secrets.token_urlsafe()
        self.signed_in[session["key"]] = SignIn(claims, dict(token), secrets.token_urlsafe())

    def start(self, purpose: str, subject: str | None = None, **parameters: str) -> Response:
        """Send the browser to the provider; remember state, nonce, PKCE verifier and purpose."""
        self.check_issuer(self.provider.load_server_metadata().get("issuer"))
        callback_url = f"{self.base_url}/callback"
        began = self.provider.create_authorization_url(callback_url, **parameters)
        self.provider.save_authorize_data(
            redirect_uri=callback_url, purpose=purpose, subject=subject, **began
        )
        return redirect(began["url"], code=303)

    def check_issuer(self, told: str | None) -> None:
        if told != self.issuer:
            raise OAuthError("wrong_issuer", f"Expected {self.issuer}, but was told {told}.")

    def check_answers_issuer(self) -> None:
        """RFC 9207: a provider that says it names itself in its answers must do so."""
        metadata = self.provider.load_server_metadata()
        told = request.args.get("iss")
        if told is not None or metadata.get("authorization_response_iss_parameter_supported"):
            self.check_issuer(told)

    def fetch_userinfo(self, user: SignIn) -> dict[str, Any]:
        """Ask with the access token alone; given the refresh token, Authlib would renew unseen."""
        bearer = {"token_type": "Bearer", "access_token": user.token["access_token"]}
        endpoint = self.provider.load_server_metadata()["userinfo_endpoint"]
        answer = self.provider.get(endpoint, token=bearer)
        if answer.status_code == 401:
            flash("The access token has expired or was revoked. Refresh it, or sign in again.")
            return {}
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        if told.get("sub") != user.claims["sub"]:
            raise OAuthError("wrong_subject", "Userinfo speaks of another user than the ID token.")
        return told


def transfer_money(claims: dict[str, Any]) -> Response:
    """Move the money if the ID token says so; `acr_values` was a wish, not a promise."""
    if claims.get("acr") != TRANSFER_NEEDS:
        raise OAuthError("unmet_authentication_requirements", "The sign-in was too weak.")
    flash(f"Transfer done, authorised with {claims['acr']}.")
    return go_home()


def go_home() -> Response:
    return redirect(url_for("home"), code=303)


def oauth_error(error: AuthlibBaseError) -> Page:
    advice = words.ADVICE.get(error.error, words.ADVICE["other"])
    return error_page(error.error, error.description, advice), 400


def bad_id_token(error: JoseError) -> Page:
    return error_page("bad_id_token", str(error), words.ADVICE["bad_id_token"]), 400


def provider_unreachable(error: requests.RequestException) -> Page:
    return error_page(
        "provider_unreachable", type(error).__name__, words.ADVICE["unreachable"]
    ), 502


def error_page(code: str, detail: str, advice: str) -> str:
    return render_template("error.html", code=code, detail=detail, advice=advice)


def add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
