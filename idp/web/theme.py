"""Themes: templates, texts and colours from a folder, over those of the default theme.

A theme's folder has templates at its root, `static/` and `translations/`; what it lacks comes
from the default. Languages are those that have a catalogue.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from babel.support import Translations
from flask import Flask, Response, abort, g, render_template, request, send_from_directory
from flask_babel import Babel, get_locale
from jinja2 import FileSystemLoader
from markupsafe import Markup

from idp.factors.qr import svg
from idp.model import Client
from idp.settings import Settings
from idp.web.cookies import Cookies

SOURCE_LANGUAGE = "en"
YEAR = 31536000


@dataclass(frozen=True)
class Theme:
    """The folders in order of precedence."""

    folders: tuple[Path, ...]
    default_locale: str
    brand: str
    base: str  # the issuer, before every path
    _hashes: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def locales(self) -> tuple[str, ...]:
        found = {SOURCE_LANGUAGE}
        for folder in self.folders:
            found.update(mo.parent.parent.name for mo in folder.glob("translations/*/*/*.mo"))
        return tuple(sorted(found))

    def static_folder(self, path: str) -> Path | None:
        """The first `static` folder that has this file, never outside it."""
        for folder in self.folders:
            root = (folder / "static").resolve()
            with suppress(OSError, ValueError):  # a name too long, or with a NUL, is no file
                if (root / path).resolve().is_relative_to(root) and (root / path).is_file():
                    return root
        return None

    def static_url(self, path: str) -> str:
        if path not in self._hashes:
            folder = self.static_folder(path)
            body = (folder / path).read_bytes() if folder else b""
            self._hashes[path] = hashlib.sha256(body).hexdigest()[:12]
        return f"{self.base}/static/{path}?v={self._hashes[path]}"


def default_folder() -> Path:
    """Where the default theme is: inside the wheel, or beside the package in a checkout."""
    inside = Path(__file__).parents[1] / "_data" / "themes" / "default"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "themes" / "default"


def theme_of(settings: Settings) -> Theme:
    own = () if settings.web.theme is None else (settings.web.theme.resolve(),)
    return Theme(
        (*own, default_folder()),
        settings.web.default_locale,
        settings.web.brand,
        settings.issuer,
    )


def install(app: Flask, theme: Theme, cookies: Cookies) -> None:
    """Templates, translations and static files of the theme."""
    app.jinja_env.loader = FileSystemLoader([str(folder) for folder in theme.folders])
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.auto_reload = False
    app.jinja_env.globals["qr"] = lambda text: Markup(svg(text))  # noqa: S704 - our own markup
    app.jinja_env.filters["grouped"] = grouped
    Babel(
        app,
        default_locale=theme.default_locale,
        default_translation_directories=os.pathsep.join(
            str(folder / "translations")
            for folder in reversed(theme.folders)  # later ones win
        ).replace(os.pathsep, ";"),
        locale_selector=lambda: _select(theme, cookies),
    )

    @app.get("/static/<path:path>")
    def static_file(path: str) -> Response:
        folder = theme.static_folder(path)
        if folder is None:
            abort(404)
        answer = send_from_directory(folder, path, max_age=YEAR)
        answer.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
        return answer


def page(
    theme: Theme,
    template: str,
    status: int = 200,
    *,
    page_id: str,
    client: Client | None = None,
    client_more: Mapping[str, Any] | None = None,
    support_code: str | None = None,
    **context: Any,
) -> Response:
    """Render one page with what every page knows."""
    locale = get_locale() or Locale.parse(SOURCE_LANGUAGE)
    language = str(locale).replace("_", "-")
    body = render_template(
        template,
        page_id=page_id,
        lang=language,
        dir=locale.text_direction,
        brand=theme.brand,
        static=theme.static_url,
        theme_css=theme.static_folder("theme.css") is not None,
        support_code=support_code,
        languages=_languages(theme, language),
        client=None if client is None else {**shown(client), **(client_more or {})},
        **context,
    )
    response = Response(body, status, mimetype="text/html")
    response.headers["Content-Language"] = language
    return response


def shown(client: Client) -> Mapping[str, Any]:
    """What a page may say of a client. Logos are never hot-linked (the CSP would refuse)."""
    logo = client.logo_uri if (client.logo_uri or "").startswith("data:image/") else None
    return {
        "name": client.name,
        "client_id": client.client_id,
        "logo": logo,
        "policy_uri": _web_link(client.policy_uri),
        "tos_uri": _web_link(client.tos_uri),
    }


def translator(theme: Theme) -> Callable[[str | None, str], str]:
    """Texts in a person's language, outside of any request: for messages that are sent."""
    catalogues: dict[str, NullTranslations] = {}

    def translate(locale: str | None, text: str) -> str:
        language = (locale or theme.default_locale).replace("_", "-").split("-")[0].lower()
        if language not in theme.locales:
            language = theme.default_locale
        if language not in catalogues:
            found = NullTranslations()
            for folder in theme.folders:  # the first of them has the first word
                found.add_fallback(Translations.load(str(folder / "translations"), [language]))
            catalogues[language] = found
        return catalogues[language].gettext(text)

    return translate


def grouped(text: str) -> str:
    """In groups of four, as people read a key out to themselves."""
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _web_link(uri: str | None) -> str | None:
    """Only what a browser opens as a page: never `javascript:` or `data:`."""
    return uri if (uri or "").startswith(("https://", "http://")) else None


def factor_template(app: Flask, factor: str, *, enrolling: bool = False) -> str:
    """The theme's own template for a factor, where it has one: `totp.html` asks for an answer,
    `totp.enroll.html` binds a new authenticator."""
    name = f"factors/{factor}.enroll.html" if enrolling else f"factors/{factor}.html"
    return name if name in app.config["FACTOR_TEMPLATES"] else "step.html"


def factor_templates(theme: Theme) -> frozenset[str]:
    return frozenset(
        f"factors/{path.name}" for folder in theme.folders for path in folder.glob("factors/*.html")
    )


def _select(theme: Theme, cookies: Cookies) -> str:
    """The person's choice, then the request's `ui_locales`, then the browser's."""
    wanted = [request.args.get("lang", ""), cookies.read(request, cookies.language) or ""]
    wanted += list(g.get("ui_locales", ()))
    wanted += [tag for tag, quality in request.accept_languages if quality > 0]
    for tag in wanted:
        language = tag.replace("_", "-").split("-")[0].lower()
        if language in theme.locales:
            return language
    return theme.default_locale


def _languages(theme: Theme, current: str) -> list[dict[str, Any]]:
    others = [pair for pair in request.args.items(multi=True) if pair[0] != "lang"]
    return [
        {
            "code": code,
            "name": (Locale.parse(code).get_display_name(code) or code).capitalize(),
            "url": "?" + urlencode([*others, ("lang", code)]),
            "current": code == current,
        }
        for code in theme.locales
    ]
