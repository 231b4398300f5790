"""Dates as the person writes them, in their own time zone."""

from datetime import UTC, datetime

import pytest
from babel import Locale
from flask import Flask
from flask_babel import Babel

from idp.model import User
from idp.web.account.dates import calendar_of, zone_of, zones

AT = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)


def person(zoneinfo: object = None, locale: str | None = None) -> User:
    return User("u", "u", AT, AT, locale=locale, claims={"zoneinfo": zoneinfo})


def read(user: User, language: str = "en") -> str:
    app = Flask("page")
    Babel(app, locale_selector=lambda: language)
    with app.test_request_context():
        return calendar_of(user).moment(AT).replace("\u202f", " ")


@pytest.mark.parametrize(
    ("zone", "locale", "language", "moment"),
    [
        (None, None, "en", "November 26, 2026, 11:30 PM UTC"),
        ("Europe/Berlin", "en-GB", "en", "27 November 2026, 00:30 CET"),
        ("Asia/Tokyo", "en", "en", "November 27, 2026, 8:30 AM GMT+09:00"),
        ("Europe/Berlin", "de", "en", "November 27, 2026, 12:30 AM GMT+01:00"),
        ("Asia/Tokyo", "ja", "ja", "2026年11月27日 8:30 JST"),
    ],
)
def test_an_instant_is_read_where_the_person_is(
    zone: str | None, locale: str | None, language: str, moment: str
) -> None:
    assert read(person(zone, locale), language) == moment


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "/etc/passwd", 7, None])
def test_a_zone_that_is_none_is_utc(zone: object) -> None:
    assert str(zone_of(person(zone))) == "UTC"


@pytest.mark.parametrize("locale", ["", "x", "en_", "zz-ZZ", "en-GB-x-odd", "-", None])
def test_an_odd_locale_is_no_error(locale: str | None) -> None:
    assert read(person(locale=locale)).startswith(("November 26", "26 November"))


def test_every_zone_that_is_offered_is_one() -> None:
    assert "Europe/Berlin" in zones()
    assert len(zones()) > 300
    assert all(str(zone_of(person(zone))) == zone for zone in zones())


def test_every_language_of_the_theme_has_dates() -> None:
    for language in ("en", "ar", "ja"):
        assert Locale.parse(language)
        assert "2026" in read(person(), language) or "٢٠٢٦" in read(person(), language)
