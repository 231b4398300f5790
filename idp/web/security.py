"""Headers of every page and the two checks on every form.

Flask-Talisman sets the headers; the policy is `default-src 'none'` with a fresh nonce per
response. A form is taken only from our own pages: `Sec-Fetch-Site` or `Origin`, and a token
bound to the browser's cookie (OWASP ASVS 3.5.1).
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import Flask, g, request
from flask_talisman import Talisman
from werkzeug.wrappers import Response

from idp.errors import PageError
from idp.factors.base import N_
from idp.oidc.client import origin
from idp.web.machine import HSTS

CSP = {
    "default-src": "'none'",
    "script-src": "'strict-dynamic'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
}
PERMISSIONS = {
    "camera": "()",
    "geolocation": "()",
    "microphone": "()",
    "publickey-credentials-create": "(self)",
    "publickey-credentials-get": "(self)",
}


def protect(app: Flask, issuer: str) -> None:
    """Headers on every response, errors included. Registered first, so it runs last."""
    secure = issuer.startswith("https://")
    app.after_request(_hsts if secure else _finish)
    Talisman(
        app,
        force_https=False,
        session_cookie_secure=secure,
        strict_transport_security=False,  # it would believe X-Forwarded-Proto; we know the issuer
        frame_options="DENY",
        referrer_policy="same-origin",
        content_security_policy=CSP,
        content_security_policy_nonce_in=["script-src"],
        permissions_policy=PERMISSIONS,
    )


def send_to(uri: str) -> None:
    """Let the forms of this page end at `uri`: browsers check redirects after a form too."""
    g.form_action = origin(uri)


def _hsts(response: Response) -> Response:
    response.headers["Strict-Transport-Security"] = HSTS
    return _finish(response)


def _finish(response: Response) -> Response:
    policy = response.headers.get("Content-Security-Policy", "")
    target = g.get("form_action")
    if target and policy:
        response.headers["Content-Security-Policy"] = policy.replace(
            "form-action 'self'", f"form-action 'self' {target}"
        )
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


class Csrf:
    """Tokens for forms: HMAC over what the form is for and the browser's cookie."""

    def __init__(self, key: bytes, issuer: str) -> None:
        self._key = key
        parts = urlsplit(issuer)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def token(self, purpose: str, cookie: str) -> str:
        message = f"{purpose}\0{cookie}".encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def matches(self, purpose: str, cookie: str, given: str) -> bool:
        expected = self.token(purpose, cookie)
        return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())

    def check(self, purpose: str, cookie: str | None) -> None:
        """Raises PageError unless this form came from our own page in this very browser."""
        site = request.headers.get("Sec-Fetch-Site")
        source = request.headers.get("Origin")
        foreign = (site is not None and site not in {"same-origin", "none"}) or (
            source is not None and source != self._origin
        )
        matches = self.matches(purpose, cookie or "", request.form.get("csrf", ""))
        if foreign or cookie is None or not matches:
            raise PageError(
                "csrf",
                N_("This form did not come from this page, or your browser sent no cookie."),
                action=N_("Go back, allow cookies for this site, reload the page and try again."),
                status=403,
                detail=f"Sec-Fetch-Site={site} Origin={source}",
            )
