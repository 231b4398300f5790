"""Names that people may have: one check for usernames and for mail addresses.

Usernames follow PRECIS, UsernameCasePreserved (RFC 8265 section 3.4), word by word; what is
compared is `model.fold` of it. Letters of scripts that look alike are not mixed in one name (UTS 39
section 5.1). Addresses are `local@domain` (RFC 5321), also with letters beyond ASCII before the `@`
(RFC 6531); the domain is kept as every mail server knows it (IDNA 2008, RFC 5891).
"""

import re
import unicodedata

from idp.errors import Refused
from idp.factors.base import N_
from idp.model import fold

LONGEST_USERNAME = 256
LONGEST_ADDRESS = 254
LONGEST_LOCAL = 64
NOT_IN_LOCAL = frozenset('"(),:;<>@[\\]')  # RFC 5322 section 3.2.3; nobody has them quoted
ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")

BAD_USERNAME = N_("A username has 1 to 256 letters, digits and signs; no control characters.")
MIXED = N_("A username keeps to letters of one script.")
FOREIGN = N_("A username that is a mail address must be the account's own address.")
BAD_ADDRESS = N_("This is not a mail address, such as name@example.com.")


def username(text: str, address: str | None = None) -> str:
    """The name as it is kept. `address` is the account's own. Raises Refused."""
    from precis_i18n import get_profile  # its tables are for whoever adds names

    if len(text) > LONGEST_USERNAME:
        raise Refused(BAD_USERNAME, "bad_username")
    profile = get_profile("UsernameCasePreserved")
    try:
        name = " ".join(profile.enforce(word) for word in text.split(" ") if word)
    except (UnicodeEncodeError, ValueError):
        raise Refused(BAD_USERNAME, "bad_username") from None
    if not 0 < len(fold(name)) <= LONGEST_USERNAME or len(name) > LONGEST_USERNAME:
        raise Refused(BAD_USERNAME, "bad_username")
    if len(_scripts(name) & ALIKE) > 1:
        raise Refused(MIXED, "bad_username")
    if "@" in name and fold(name) != fold(address or ""):
        raise Refused(FOREIGN, "bad_username")
    return name


def address(text: str) -> str:
    """The address as it is kept. Raises Refused."""
    local, _, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    kept = f"{local}@{_ascii(domain)}"
    if not _is_local(local) or not 0 < len(fold(kept)) <= LONGEST_ADDRESS >= len(kept):
        raise Refused(BAD_ADDRESS, "bad_address")
    return kept


def _is_local(local: str) -> bool:
    """What stands before the `@`, as real mail has it. No `=?`: in a header it would be read as an
    encoded word (RFC 2047), and something else than was sent to would stand there."""
    legible = local.isprintable() and not any(c.isspace() or c in NOT_IN_LOCAL for c in local)
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    return legible and not dots and "=?" not in local and 0 < len(local.encode()) <= LONGEST_LOCAL


def _ascii(domain: str) -> str:
    import idna  # its tables, too

    try:
        found = idna.encode(domain.lower(), uts46=True, std3_rules=True).decode()
    except UnicodeError:
        raise Refused(BAD_ADDRESS, "bad_address") from None
    if not DOMAIN.fullmatch(found):
        raise Refused(BAD_ADDRESS, "bad_address")
    return found


def _scripts(name: str) -> set[str]:
    return {unicodedata.name(c, "?").partition(" ")[0] for c in name if c.isalpha()}
