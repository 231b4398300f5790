"""How people get to their account pages: through our own `/authorize`, as everybody's clients do.

The account pages are the client `idp-account` (`idp/oidc/first_party.py`); a step-up is the same
request with `acr_values` and `max_age` (RFC 9470 section 5). `state` carries the page to go on to
and a MAC over it and this browser's cookie: an answer made for another browser leads nowhere, and
no address but one of ours ever comes back (RFC 9700 sections 4.7 and 4.11).
"""

from datetime import timedelta
from urllib.parse import urlencode

from flask import redirect, request
from werkzeug.wrappers import Response

from idp.errors import PageError
from idp.factors.base import N_
from idp.oidc.first_party import ACCOUNT, RETURN
from idp.web.security import Csrf
from idp.web.visitor import Visitor

HOME = "/account"
MAC = 64  # hexadecimal digits of SHA-256


class WayIn:
    def __init__(self, visitor: Visitor, csrf: Csrf, issuer: str) -> None:
        self._visitor = visitor
        self._csrf = csrf
        self._issuer = issuer

    def sign_in(self, back: str) -> Response:
        """Off to sign in, and back to the page `back`."""
        return self._ask(back, {})

    def step_up(self, back: str, level: str, fresh_for: timedelta) -> Response:
        """Off to prove `level` anew, and back to the page `back`."""
        return self._ask(
            back, {"acr_values": level, "max_age": str(int(fresh_for.total_seconds()))}
        )

    def returned(self) -> Response:
        """The answer of `/authorize`. Raises PageError for one not asked for by this browser."""
        state = request.args.get("state", "")
        mac, back = state[:MAC], state[MAC:]
        binding = self._visitor.binding()
        if binding is None or not self._csrf.matches(_purpose(back), binding, mac):
            raise PageError(
                "state_mismatch",
                N_("This sign-in was not started in this browser, or the browser sent no cookie."),
                action=N_("Allow cookies for this site, then open your account page again."),
                status=403,
                detail="the state is not of this browser",
            )
        error = request.args.get("error")
        session = self._visitor.session()
        if error == "access_denied":  # the person cancelled
            return redirect(f"{self._issuer}{'/' if session is None else HOME}", 303)
        if error is not None:
            raise _refused(error)
        if session is None:
            raise PageError(
                "no_session",
                N_("Your browser did not keep the cookie of this sign-in."),
                action=N_("Allow cookies for this site, then open your account page again."),
                status=403,
            )
        return redirect(f"{self._issuer}{back}", 303)

    def _ask(self, back: str, more: dict[str, str]) -> Response:
        mac = self._csrf.token(_purpose(back), self._visitor.new_binding())
        asked = {
            "client_id": ACCOUNT,
            "response_type": "none",
            "redirect_uri": self._issuer + RETURN,
            "state": mac + back,
            **more,
        }
        return redirect(f"{self._issuer}/authorize?{urlencode(asked)}", 303)


def _purpose(back: str) -> str:
    return f"account return {back}"


def _refused(error: str) -> PageError:
    if error == "unmet_authentication_requirements":
        return PageError(
            error,
            N_("Changing this needs a stronger sign-in than is possible here right now."),
            action=N_(
                "Try again with the device that you usually sign in with. "
                "If you lost it, ask your administrator for help."
            ),
            status=403,
        )
    return PageError(
        error,
        N_("You could not be signed in."),
        action=N_("Open your account page again. If it happens again, ask for help."),
        status=403,
    )
