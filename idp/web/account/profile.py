"""/account/profile: the name, language and time zone that a person may set."""

from collections.abc import Mapping
from typing import Any

from babel import Locale
from flask import request
from werkzeug.wrappers import Response

from idp.errors import Refused
from idp.factors.base import N_
from idp.operate.profiles import Profiles
from idp.web.account.dates import zones
from idp.web.account.room import Room

NAMES = (
    ("name", N_("Full name"), "name"),
    ("given_name", N_("First name"), "given-name"),
    ("family_name", N_("Last name"), "family-name"),
    ("nickname", N_("What friends call you"), "nickname"),
)


class Profile:
    def __init__(self, room: Room, profiles: Profiles, locales: tuple[str, ...]) -> None:
        self._room = room
        self._profiles = profiles
        self._locales = locales

    def show(self) -> Response:
        here = self._room.enter()
        return self._room.show(
            here,
            "profile",
            names=NAMES,
            known=here.user.claims,
            locales=[{"code": code, "name": _language(code)} for code in self._locales],
            locale=_offered(here.user.locale, self._locales),
            zones=_by_region(),
            zone=here.user.claims.get("zoneinfo"),
        )

    def submit(self) -> Response:
        here = self._room.take()
        form = request.form
        claims = {name: form.get(name, "") for name, *_ in NAMES if name in form}
        if form.get("zoneinfo", "") in ("", *zones()):
            claims["zoneinfo"] = form.get("zoneinfo", "")
        wanted = form.get("locale", "")
        locale = wanted if wanted in self._locales else None
        if wanted and wanted == _offered(here.user.locale, self._locales):
            locale = here.user.locale  # `de-AT` stays what it is, though we speak only `de`
        try:
            self._profiles.describe(here.user.id, claims, locale)
        except Refused as refused:
            return self._room.refuse(here, refused.public, typed=_typed(form))
        path = "/account/profile" + (f"?lang={locale.split('-')[0]}" if locale else "")
        return self._room.done(here, path, N_("Your profile was saved."))


def _typed(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(form.get(name, ""))[:256] for name, *_ in NAMES}


def _language(code: str) -> str:
    return (Locale.parse(code).get_display_name(code) or code).capitalize()


def _offered(locale: str | None, locales: tuple[str, ...]) -> str:
    """The language of ours that this locale is of."""
    language = (locale or "").replace("_", "-").split("-")[0].lower()
    return language if language in locales else ""


def _by_region() -> list[tuple[str, list[tuple[str, str]]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for zone in zones():
        region, _, place = zone.partition("/")
        found.setdefault(region, []).append((zone, place.replace("_", " ").replace("/", ", ")))
    return list(found.items())
