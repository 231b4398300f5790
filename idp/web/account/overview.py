"""/account: what is on, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from idp.factors import recovery_code
from idp.factors.admin import AuthenticatorAdmin
from idp.factors.base import N_, Factor
from idp.model import User
from idp.oidc.consent import ConsentService
from idp.operate.profiles import Profiles
from idp.sessions.service import SessionService
from idp.web.account.room import Here, Room
from idp.web.account.ways import SMS, second_factors

FEW = 3  # recovery codes left, from which on new ones are recommended


@dataclass(frozen=True, slots=True)
class Standing:
    """What the recommendations follow from."""

    second_factors: frozenset[str]
    may_add: bool
    has_codes: bool  # whether recovery codes are in use here at all
    codes_left: int
    always_asked: bool
    may_always_ask: bool
    email: str | None
    email_verified: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """Title, reason and the page that does it. Texts are marked with N_."""

    title: str
    text: str
    path: str
    act: str


def advice(at: Standing) -> Sequence[Advice]:
    """What would make the account safer, the most useful first."""
    found = []
    if not at.second_factors and at.may_add:
        found.append(
            Advice(
                N_("Add a second step"),
                N_("A password alone can be guessed or stolen. A second step stops that."),
                "/account/authenticators",
                N_("Choose one"),
            )
        )
    if at.second_factors and at.has_codes and not at.codes_left:
        found.append(
            Advice(
                N_("Get recovery codes"),
                N_("With them you get back in if you lose your phone or your key."),
                "/account/recovery-codes",
                N_("Get codes"),
            )
        )
    if 0 < at.codes_left <= FEW:
        found.append(
            Advice(
                N_("Get new recovery codes"),
                N_("Only a few of yours are left."),
                "/account/recovery-codes",
                N_("Get new codes"),
            )
        )
    if at.second_factors == {SMS} and at.may_add:
        found.append(
            Advice(
                N_("Add something safer than text messages"),
                N_("Text messages can be intercepted. An app or a passkey cannot."),
                "/account/authenticators",
                N_("Choose one"),
            )
        )
    if at.second_factors and at.may_always_ask and not at.always_asked:
        found.append(
            Advice(
                N_("Be asked for your second step every time"),
                N_("So far it is asked for only where an app demands it."),
                "/account/second-factor",
                N_("Switch it on"),
            )
        )
    if at.email and not at.email_verified:
        found.append(
            Advice(
                N_("Confirm your email address"),
                N_("Then we can reach you if something happens to your account."),
                "/account/contact",
                N_("Confirm it"),
            )
        )
    return found


class Overview:
    def __init__(
        self,
        room: Room,
        authenticators: AuthenticatorAdmin,
        factors: Mapping[str, Factor],
        profiles: Profiles,
        sessions: SessionService,
        consents: ConsentService,
    ) -> None:
        self._room = room
        self._authenticators = authenticators
        self._factors = factors
        self._profiles = profiles
        self._sessions = sessions
        self._consents = consents

    def show(self) -> Response:
        here = self._room.enter()
        at = self._standing(here.user)
        found = [
            {
                "title": _(a.title),
                "text": _(a.text),
                "url": self._room.url(a.path),
                "act": _(a.act),
            }
            for a in advice(at)
        ]
        return self._room.show(
            here,
            "overview",
            full_name=here.user.claims.get("name"),
            advice=found[:1],
            rows=self._rows(here, at),
        )

    def _standing(self, user: User) -> Standing:
        held = self._authenticators.of(user.id)
        return Standing(
            second_factors=second_factors(self._factors, held),
            may_add=bool(self._authenticators.offers(user.id)),
            has_codes=recovery_code.NAME in self._factors,
            codes_left=self._authenticators.codes_left(user.id),
            always_asked=user.require_acr is not None or self._profiles.always_demanded(),
            may_always_ask=self._profiles.may_demand(user) is not None,
            email=user.email,
            email_verified=user.email_verified,
        )

    def _rows(self, here: Here, at: Standing) -> list[dict[str, str]]:
        """The way to every section, each with what is on there."""
        apps, devices = (
            len(self._consents.of(here.user.id)),
            len(self._sessions.of(here.user.id)),
        )
        known = [here.user.email, here.user.phone]
        told = {
            "/profile": str(here.user.claims.get("name") or here.user.username),
            "/authenticators": self._signing_in(at),
            "/contact": " · ".join(text for text in known if text) or _("Nothing on file"),
            "/applications": ngettext("%(num)d app has access", "%(num)d apps have access", apps)
            if apps
            else _("No app has access"),
            "/sessions": ngettext("%(num)d device", "%(num)d devices", devices),
            "/history": _("What happened in your account lately"),
        }
        return [
            {**section, "summary": told[path]}
            for path, section in zip(told, self._room.sections()[1:], strict=True)
        ]

    def _signing_in(self, at: Standing) -> str:
        if not at.second_factors:
            return str(_("No second step yet"))
        labels = [_(f.label) for n, f in self._factors.items() if n in at.second_factors]
        asked = (
            _("asked for every time") if at.always_asked else _("asked for where an app demands it")
        )
        return f"{' · '.join(labels)}, {asked}"
