"""A theme's folder overrides templates, texts and colours; static files stay in their folder."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from tests.house import House, Request, build

CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}
THEME_LINK = re.compile(r'href="[^"]*(/static/theme\.css\?v=[0-9a-f]{12})"')


@pytest.fixture
def themed(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Build a house over a theme folder that the test filled."""
    built: list[House] = []

    def make(folder: Path, **more: Any) -> House:
        state = tmp_path / f"state-{len(built)}"
        state.mkdir()
        house = build(state, factors=CHEAP, web={"theme": folder, **more})
        built.append(house)
        return house

    yield make
    for house in built:
        house.app.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    theme = tmp_path / "theme"
    (theme / "static").mkdir(parents=True)
    return theme


def fetch(house: House, path: str) -> TestResponse:
    """A static file, read to its end and closed."""
    answer = WsgiClient(house.app.wsgi).get(path, base_url=house.issuer, follow_redirects=True)
    answer.get_data()
    answer.close()
    return answer


def translate(folder: Path, language: str, texts: dict[str, str]) -> None:
    catalogue = Catalog(locale=language, fuzzy=False)
    for source, text in texts.items():
        catalogue.add(source, text)
    target = folder / "translations" / language / "LC_MESSAGES"
    target.mkdir(parents=True)
    with (target / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)


def test_a_template_of_the_theme_is_used_and_the_others_stay(
    themed: Callable[..., House], folder: Path
) -> None:
    text = "{% extends 'base.html' %}{% block content %}<h1>Ours</h1>{% endblock %}"
    (folder / "error.html").write_text(text)
    browser = themed(folder).browser()

    assert "<h1>Ours</h1>" in browser.get("/nowhere").text
    assert "<h1>Your account</h1>" in browser.get("/").text


def test_a_factor_may_have_a_template(themed: Callable[..., House], folder: Path) -> None:
    (folder / "factors").mkdir()
    text = "{% extends 'step.html' %}{% block challenge %}<b>ours</b>{{ super() }}{% endblock %}"
    (folder / "factors" / "totp.html").write_text(text)
    browser = themed(folder).browser()
    browser.authorize(Request())
    first = browser.submit(username="ana", password=browser._house.users["ana"]["password"])

    assert "<b>ours</b>" in first.text
    assert 'name="code"' in first.text


def test_theme_css_is_linked_when_it_is_there(themed: Callable[..., House], folder: Path) -> None:
    (folder / "static" / "theme.css").write_text(":root { --accent: teal }")
    house = themed(folder)

    link = THEME_LINK.search(house.browser().get("/").text)

    assert link
    assert fetch(house, link[1]).text == ":root { --accent: teal }"


def test_theme_css_is_not_linked_otherwise(house: House) -> None:
    assert "theme.css" not in house.browser().get("/").text


def test_a_static_file_of_the_theme_wins(themed: Callable[..., House], folder: Path) -> None:
    (folder / "static" / "icon.svg").write_text("<svg/>")
    house = themed(folder)

    assert fetch(house, "/static/icon.svg").text == "<svg/>"
    assert "--" in fetch(house, "/static/style.css").text


def test_a_catalogue_adds_a_language(themed: Callable[..., House], folder: Path) -> None:
    translate(folder, "de", {"Your account": "Ihr Konto"})
    page = themed(folder).browser().get("/?lang=de")

    assert '<html lang="de" dir="ltr">' in page.text
    assert "<h1>Ihr Konto</h1>" in page.text
    assert 'hreflang="ar"' in page.text


def test_a_catalogue_overrides_a_text(themed: Callable[..., House], folder: Path) -> None:
    translate(folder, "ja", {"Your account": "マイページ"})
    translate(folder, "en", {"Your account": "My page"})
    browser = themed(folder).browser()

    assert "<h1>My page</h1>" in browser.get("/?lang=en").text
    assert "<h1>マイページ</h1>" in browser.get("/?lang=ja").text
    assert "サインインしていません。" in browser.get("/?lang=ja").text


def test_the_default_language_and_the_name_are_settings(
    themed: Callable[..., House], folder: Path
) -> None:
    page = themed(folder, default_locale="ja", brand="Acme").browser().get("/")

    assert '<html lang="ja"' in page.text
    assert "<bdi>Acme</bdi>" in page.text


def test_static_addresses_hold_a_hash_and_are_cached_for_good(house: House) -> None:
    page = house.browser().get("/").text
    address = re.search(r"/static/style\.css\?v=[0-9a-f]{12}", page)
    assert address

    answer = fetch(house, address[0])

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_hash_is_that_of_the_content(themed: Callable[..., House], folder: Path) -> None:
    css = folder / "static" / "theme.css"
    found = []
    for text in ("a{}", "b{}"):
        css.write_text(text)
        match = THEME_LINK.search(themed(folder).browser().get("/").text)
        assert match
        found.append(match[1])

    assert found[0] != found[1]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../base.html",
        "/static/..%2fbase.html",
        "/static/%2e%2e/base.html",
        "/static/..%5cbase.html",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/../../../../../../etc/passwd",
        "/static/style.css/../../step.html",
        "/static/style.css%00",
        "/static/",
        "/static/factors",
        "/static/" + "a" * 5000,
    ],
)
def test_static_never_leaves_its_folder(house: House, path: str) -> None:
    answer = fetch(house, path)

    assert answer.status_code == 404
    assert "{%" not in answer.text
    assert "root:" not in answer.text


def test_a_link_out_of_the_folder_is_not_followed(
    themed: Callable[..., House], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "static" / "link.txt").symlink_to(tmp_path / "secret.txt")

    answer = fetch(themed(folder), "/static/link.txt")

    assert answer.status_code == 404
