"""Dates as the person writes them, in the time zone of their profile, else in UTC."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_time,
    get_datetime_format,
    get_timezone_gmt,
    get_timezone_name,
)
from flask_babel import get_locale

from idp.model import User


@dataclass(frozen=True, slots=True)
class Calendar:
    """How one person reads an instant on the page that is being drawn."""

    zone: tzinfo
    locale: Locale

    def day(self, at: datetime) -> str:
        return format_date(at.astimezone(self.zone), "long", locale=self.locale)

    def moment(self, at: datetime) -> str:
        """Day, time and time zone: 26 November 2026, 14:05 CET."""
        there = at.astimezone(self.zone)
        time = f"{format_time(there, 'short', locale=self.locale)} {self.zone_name(at)}"
        pattern = str(get_datetime_format("long", self.locale))
        return pattern.replace("'", "").replace("{1}", self.day(at)).replace("{0}", time)

    def zone_name(self, at: datetime) -> str:
        """An abbreviation where the locale has one, else the distance from UTC."""
        there = at.astimezone(self.zone)
        name = get_timezone_name(there, "short", locale=self.locale)
        return get_timezone_gmt(there, locale=self.locale) if name[:1] in "+-" else name


def calendar_of(user: User) -> Calendar:
    """The page has a language; the person's own locale says which country's dates go with it."""
    shown = get_locale() or Locale("en")
    return Calendar(zone_of(user), _regional(shown, user.locale))


def zone_of(user: User) -> tzinfo:
    named = user.claims.get("zoneinfo")
    try:
        return ZoneInfo(named if isinstance(named, str) and named else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@cache
def zones() -> tuple[str, ...]:
    """Time zones that people know by a place."""
    known = {name for name in available_timezones() if "/" in name}
    odd = ("Etc/", "SystemV/", "US/", "Canada/", "Mexico/", "Chile/", "Brazil/", "posix/", "right/")
    return tuple(sorted(name for name in known if not name.startswith(odd)))


def _regional(shown: Locale, wanted: str | None) -> Locale:
    try:
        own = Locale.parse((wanted or "").replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        return shown
    return own if own.language == shown.language else shown
