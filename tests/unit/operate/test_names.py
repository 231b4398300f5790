"""Names of people: one check, one spelling, nobody's double."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.errors import Refused
from idp.model import fold
from idp.operate import names

KEPT = [  # what is typed, what is kept, what is compared
    ("ana", "ana", "ana"),
    ("Ana", "Ana", "ana"),
    ("  ana  lee ", "ana lee", "ana lee"),
    ("Ka\u0308the", "Käthe", "käthe"),
    ("\uff41\uff4e\uff41", "ana", "ana"),
    ("ｱﾅ", "アナ", "アナ"),
    ("Straße", "Straße", "strasse"),
    ("İnci", "İnci", "i\u0307nci"),
    ("аня", "аня", "аня"),
    ("أحمد", "أحمد", "أحمد"),
    ("אבג", "אבג", "אבג"),
    ("क्\u200dष", "क्\u200dष", "क्\u200dष"),
    ("日本語カナ", "日本語カナ", "日本語カナ"),
    ("l·l", "l·l", "l·l"),
    ("O'Neil", "O'Neil", "o'neil"),
    ("a.b_c-d+e#1", "a.b_c-d+e#1", "a.b_c-d+e#1"),
    ("<b>", "<b>", "<b>"),  # shown as text, like any other
    ("x" * 256, "x" * 256, "x" * 256),
]
REFUSED = {
    "nothing": "",
    "spaces": "   ",
    "a tab": "a\tb",
    "a line break": "a\r\nb",
    "NUL": "a\0b",
    "half a surrogate pair": "\ud800",
    "too long": "x" * 257,
    "too long to be compared": "ΐ" * 200,
    "right to left, forced": "\u202eana",
    "right to left, isolated": "ana\u2067",
    "no width": "ana\u200b",
    "joined to nothing": "a\u200db",
    "not joined to nothing": "a\u200cb",
    "a soft hyphen": "an\u00ada",
    "a word joiner": "an\u2060a",
    "a tag": "a\U000e0041",
    "a variation selector": "a\ufe0f",
    "a space that does not break": "ana\u00a0lee",
    "a space that fills": "ana\u3164",
    "a ligature": "ﬁn",
    "mathematics": "\U0001d41ana",
    "a number in a circle": "①",
    "a Roman numeral": "Ⅳ",
    "a smiley": "ana🙂",
    "a mark alone": "\u05bf\u05d0",
    "Hebrew that ends in Latin": "אa",
    "two kinds of Arabic digits": "أ٠۰",
    "an o of another script": "b\u043eb",
    "a Greek omicron": "b\u03bfb",
    "a Cherokee letter": "a\u13aa",
    "an Armenian letter": "a\u0585",
    "somebody's address": "ben@example.com",
    "an address in full width": "ben\uff20example.com",
    "what looks like one": "ben\ufe6bexample.com",
}


@pytest.mark.parametrize(("typed", "kept", "compared"), KEPT)
def test_a_good_name(typed: str, kept: str, compared: str) -> None:
    assert names.username(typed) == kept
    assert fold(kept) == compared
    assert names.username(kept) == kept  # a second time changes nothing


@pytest.mark.parametrize("typed", REFUSED.values(), ids=REFUSED.keys())
def test_a_name_that_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as refusal:
        names.username(typed)
    assert refusal.value.code == "bad_username"
    assert typed == "" or typed.strip() == "" or typed not in refusal.value.public


@pytest.mark.parametrize("own", ["ana@example.com", "Ana@Example.COM", "ana@EXAMPLE.com"])
def test_the_own_address_is_a_name(own: str) -> None:
    assert names.username("ana@example.com", own) == "ana@example.com"
    with pytest.raises(Refused):
        names.username("ben@example.com", own)


@given(st.text(max_size=40))
def test_every_name_that_is_kept_is_compared_alike_forever(typed: str) -> None:
    try:
        kept = names.username(typed)
    except Refused:
        return
    assert fold(fold(kept)) == fold(kept)
    assert names.username(kept) == kept
    for spelling in (kept.upper(), unicodedata.normalize("NFD", kept), f" {kept} "):
        assert fold(spelling) == fold(fold(spelling))
    assert fold(unicodedata.normalize("NFD", kept)) == fold(kept)


def test_fold_is_its_own_fold_for_every_character() -> None:
    for code in range(sys.maxunicode + 1):
        folded = fold(chr(code))
        assert fold(folded) == folded, hex(code)


ADDRESSES = [
    ("ana@example.com", "ana@example.com"),
    (" Ana.Lee@Example.COM ", "Ana.Lee@example.com"),
    ("a+tag@example.com", "a+tag@example.com"),
    ("o'neil@example.com", "o'neil@example.com"),
    ("a/b=c|d!e#f@example.com", "a/b=c|d!e#f@example.com"),
    ("käthe@example.com", "käthe@example.com"),
    ("Ka\u0308the@example.com", "Käthe@example.com"),
    ("ana@bücher.example", "ana@xn--bcher-kva.example"),
    ("ana@BÜCHER.example", "ana@xn--bcher-kva.example"),
    ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
    ("ana@straße.example", "ana@xn--strae-oqa.example"),
    ("ana@例え。テスト", "ana@xn--r8jz45g.xn--zckzah"),
    ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
]
NO_ADDRESSES = {
    "nothing": "",
    "no domain": "ana",
    "an empty domain": "ana@",
    "nobody": "@example.com",
    "a host alone": "ana@localhost",
    "two of them": "ana@example.com,ben@example.com",
    "two signs": "ana@ben@example.com",
    "a header": "ana@example.com\r\nBcc: ben@example.com",
    "a header in the local part": "ana\nBcc: ben@example.com",
    "a name beside it": "Ana <ana@example.com>",
    "brackets": "<ana@example.com>",
    "a comment": "ana(x)@example.com",
    "a group": "x:ana@example.com;",
    "quotes": '"a b"@example.com',
    "an encoded word": "=?utf-8?q?a=0d=0aBcc=3a_x?=@example.com",
    "a space": "a na@example.com",
    "no width": "an\u200ba@example.com",
    "right to left": "an\u202ea@example.com",
    "NUL": "a\0na@example.com",
    "half a surrogate pair": "\ud800@example.com",
    "half a pair in the domain": "ana@\ud800.example",
    "dots": "a..na@example.com",
    "a dot in front": ".ana@example.com",
    "a dot behind": "ana.@example.com",
    "a root": "ana@example.com.",
    "an empty label": "ana@example..com",
    "a hyphen in front": "ana@-example.com",
    "an underscore": "ana@my_host.example",
    "a number": "ana@[192.0.2.1]",
    "a long local part": "a" * 65 + "@example.com",
    "a long local part in bytes": "ü" * 33 + "@example.com",
    "a long label": "ana@" + "b" * 64 + ".example",
    "a long domain": "ana@" + ".".join(["b" * 60] * 5),
    "too long to be compared": "\ufdfa" * 21 + "@example.com",
    "a forged label": "ana@xn--a.example",
}


@pytest.mark.parametrize(("typed", "kept"), ADDRESSES)
def test_a_good_address(typed: str, kept: str) -> None:
    assert names.address(typed) == kept
    assert names.address(kept) == kept
    assert fold(typed) == fold(kept)  # whoever signs in by it may type it either way


@pytest.mark.parametrize("typed", NO_ADDRESSES.values(), ids=NO_ADDRESSES.keys())
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(Refused) as refusal:
        names.address(typed)
    assert refusal.value.code == "bad_address"


@given(st.text(max_size=80))
def test_no_text_breaks_the_check(typed: str) -> None:
    for text in (typed, f"a@{typed}", f"{typed}@example.com", f"a@{typed}.example"):
        try:
            kept = names.address(text)
        except Refused:
            continue
        assert kept.isprintable()
        assert " " not in kept
        assert names.address(kept) == kept
        assert fold(kept) == fold(text)
