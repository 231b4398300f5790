"""Keep the default theme's catalogues current: extract, update every .po, compile every .mo.

    python scripts/compile_translations.py            do it
    python scripts/compile_translations.py --check    change nothing; exit 1 and name what is stale

The output depends on the texts alone: no dates, no versions, no line numbers. A new language is a
new folder `themes/default/translations/<code>/LC_MESSAGES` with an empty `messages.po`.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
MAPPING = ROOT / "scripts" / "babel.cfg"
CATALOGUES = ROOT / "themes" / "default" / "translations"
SOURCES = ("idp", "themes/default")
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)([sd])")

MessageId = str | tuple[str, ...]


class StableCatalog(Catalog):
    """A catalogue whose header says what readers need, and nothing that changes by itself."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", str(self.locale)),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", self.plural_forms),
        ]


def extract() -> list[MessageId]:
    """Every text that a person may see, each once, sorted."""
    with MAPPING.open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found: set[MessageId] = set()
    for folder in SOURCES:
        for _, _, text, _, _ in extract_from_dir(ROOT / folder, methods, options, KEYWORDS):
            found.add(text if isinstance(text, str) else tuple(text))
    return sorted(found, key=_sort_key)


def _sort_key(message: MessageId) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else message


def languages() -> Iterator[tuple[str, Path]]:
    for po in sorted(CATALOGUES.glob("*/LC_MESSAGES/messages.po")):
        yield po.parent.parent.name, po


def updated(po: Path, language: str, texts: list[MessageId]) -> StableCatalog:
    """The current texts with the translations that the .po has for them."""
    with po.open("rb") as file:
        old = read_po(file, locale=language)
    new = StableCatalog(locale=language, header_comment="", fuzzy=False)
    for text in texts:
        known = old.get(text if isinstance(text, str) else text[0])
        if known is not None and known.id == text:
            new.add(text, known.string, flags=known.flags, user_comments=known.user_comments)
        else:
            new.add(text)
    return new


def as_po(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalogue, no_location=True, sort_output=True, width=100)
    return file.getvalue().lstrip(b"\n")  # write_po leaves a line for the empty comment


def as_mo(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def problems(catalogue: Catalog) -> Iterator[str]:
    """What a translator still has to do."""
    for message in catalogue:
        if not message.id:
            continue
        shown = message.id if isinstance(message.id, str) else message.id[0]
        if message.fuzzy:
            yield f"fuzzy: {shown!r}"
        elif not complete(message, catalogue.num_plurals):
            yield f"not translated: {shown!r}"
        elif not same_placeholders(message):
            yield f"placeholders differ: {shown!r}"


def complete(message: Message, plurals: int) -> bool:
    if isinstance(message.id, str):
        return bool(message.string)
    return len(message.string) == plurals and all(message.string)


def same_placeholders(message: Message) -> bool:
    """Each form of the translation has the placeholders of the source, neither more nor fewer."""
    sources = [message.id] if isinstance(message.id, str) else message.id
    forms = [message.string] if isinstance(message.string, str) else message.string
    wanted = {tuple(sorted(PLACEHOLDER.findall(text))) for text in sources}
    return all(tuple(sorted(PLACEHOLDER.findall(form))) in wanted for form in forms)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args(arguments).check
    texts = extract()
    stale: list[str] = []
    for language, po in languages():
        catalogue = updated(po, language, texts)
        stale += [f"{po.relative_to(ROOT)}: {problem}" for problem in problems(catalogue)]
        for path, content in ((po, as_po(catalogue)), (po.with_suffix(".mo"), as_mo(catalogue))):
            if path.is_file() and path.read_bytes() == content:
                continue
            if check:
                stale.append(f"{path.relative_to(ROOT)}: not current; run `make format`")
            else:
                path.write_bytes(content)
    for line in stale:
        print(line, file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
