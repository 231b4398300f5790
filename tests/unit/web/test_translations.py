"""Catalogues are complete, and the right one is shown."""

import ast
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask import Flask

from idp.errors import Busy
from idp.web import theme
from idp.web.cookies import Cookies
from tests.house import House, Request

ROOT = Path(__file__).parents[3]
CATALOGUES = ROOT / "themes" / "default" / "translations"
LANGUAGES = ("ar", "ja")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
SHOWN_TO_PEOPLE = {"PageError", "_page"}


def catalogue(language: str) -> Catalog:
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def compiled(language: str) -> Catalog:
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        return read_mo(file)


def check() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/compile_translations.py", "--check"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_committed_catalogues_are_current() -> None:
    done = check()

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    for message in catalogue(language):
        strings = [message.string] if isinstance(message.string, str) else message.string
        assert all(strings), message.id
        assert not message.fuzzy, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same_in_source_and_translation(language: str) -> None:
    for message in catalogue(language):
        if not message.id:
            continue
        source = message.id if isinstance(message.id, str) else message.id[1]
        forms = [message.string] if isinstance(message.string, str) else message.string
        for form in forms:
            assert sorted(PLACEHOLDER.findall(form)) == sorted(PLACEHOLDER.findall(source))


@pytest.mark.parametrize(("language", "forms"), [("ar", 6), ("ja", 1)])
def test_every_plural_form_is_there(language: str, forms: int) -> None:
    plurals = [m for m in catalogue(language) if not isinstance(m.id, str)]

    assert plurals
    assert all(len(message.string) == forms for message in plurals)


def _literals(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    if isinstance(node, ast.Name) and node.id in constants:
        node = constants[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_":
        node = node.args[0]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _refusals(path: Path) -> list[str]:
    """Public text and action of every PageError that this file raises."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in SHOWN_TO_PEOPLE:
            shown = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "action")]
            found += [text for value in shown for text in _literals(value, constants)]
    return found


def test_every_refusal_that_a_person_reads_is_in_the_catalogues() -> None:
    refusals = {text for path in (ROOT / "idp").rglob("*.py") for text in _refusals(path)}
    known = {m.id for m in catalogue("ar")}

    assert len(refusals) > 10
    assert refusals - known == set()


def test_the_text_of_a_busy_server_is_in_the_catalogues() -> None:
    assert catalogue("ja").get(Busy(timedelta(seconds=1)).public) is not None


def test_the_compiled_catalogue_says_what_the_source_says() -> None:
    for language in LANGUAGES:
        binary = compiled(language)
        for message in catalogue(language):
            if message.id:
                key = message.id if isinstance(message.id, str) else message.id[0]
                assert list(binary.get(key).string) == list(message.string)


def test_arabic_runs_from_right_to_left(house: House) -> None:
    page = house.browser().get("/?lang=ar")

    assert '<html lang="ar" dir="rtl">' in page.text
    assert "<h1>حسابك</h1>" in page.text
    assert page.headers["Content-Language"] == "ar"


def test_a_choice_of_language_stays(house: House) -> None:
    browser = house.browser()
    browser.get("/?lang=ar")

    assert 'lang="ar"' in browser.get("/").text


def test_a_request_may_ask_for_a_language(house: House) -> None:
    page = house.browser().authorize(Request(more={"ui_locales": "tlh ja"}))

    assert '<html lang="ja" dir="ltr">' in page.text
    assert "サインイン" in page.text
    assert "ユーザー名" in page.text


def test_a_wrong_answer_is_refused_in_the_language_of_the_page(house: House) -> None:
    browser = house.browser()
    browser.authorize(Request(more={"ui_locales": "ja"}))
    page = browser.submit(username="ben", password="wrong")

    assert "一致しませんでした。" in page.text


def test_a_refusal_of_the_protocol_is_translated(house: House) -> None:
    page = house.browser().get("/authorize", headers={"Accept-Language": "ar"})

    assert page.status_code == 400
    assert "لم يعرّف التطبيق بنفسه." in page.text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ja", "ja"),
        ("ar-EG", "ar"),
        ("tlh, ja;q=0.5, en;q=0.4", "ja"),
        ("en-GB, ja;q=0.5", "en"),
        ("tlh", "en"),
        ("*", "en"),
        ("", "en"),
        (";;q=x,\x7f", "en"),
    ],
)
def test_the_browsers_languages_are_heard(house: House, header: str, language: str) -> None:
    page = house.browser().get("/", headers={"Accept-Language": header})

    assert f'<html lang="{language}"' in page.text


@pytest.mark.parametrize("wanted", ["tlh", "../../etc", "", "ar%00", "x" * 300])
def test_an_unknown_language_falls_back(house: House, wanted: str) -> None:
    page = house.browser().get(f"/?lang={wanted}")

    assert page.status_code == 200
    assert '<html lang="en" dir="ltr">' in page.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "ثانية واحدة"), (2, "ثانيتين"), (5, "5 ثوانٍ"), (30, "30 ثانية"), (600, "10 دقائق")],
)
def test_arabic_counts_in_its_own_way(house: House, seconds: int, text: str) -> None:
    app = Flask("pages", static_folder=None)
    theme.install(app, theme.theme_of(house.app.settings), Cookies(secure=False))

    with app.test_request_context("/?lang=ar"):
        wait = app.jinja_env.get_template("_parts.html").module.wait
        assert text in wait(seconds)
