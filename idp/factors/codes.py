"""Codes of digits that people type: one field, one spelling."""

import unicodedata

from idp.factors.base import N_, Field, Rejected

DIGITS = 6
LONGEST = 64  # characters that are looked at: a code with whatever was typed between


def digits(text: str) -> str:
    """The six ASCII digits of an answer; spaces that apps show are dropped. Raises Rejected.

    Anything else, full-width digits among it, is refused rather than folded: one code has
    one spelling, so a used code cannot come back in another.
    """
    if len(text) > LONGEST:
        raise Rejected("not a code")
    code = "".join(c for c in text if unicodedata.category(c) not in {"Zs", "Cc"} and c != "-")
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        raise Rejected("not a code")
    return code


def code_field() -> Field:
    return Field(
        "code", N_("Code"), "code", autocomplete="one-time-code", inputmode="numeric", maxlength=16
    )
