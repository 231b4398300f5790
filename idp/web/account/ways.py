"""What a person signs in with, as the pages name it: kinds of authenticators and those held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from idp.factors.base import N_, Factor, Kind, expendable, uses
from idp.model import Authenticator

PASSWORD = "password"
SMS = "sms"
# Name, icon, what it is, in words for people; a factor from elsewhere has its label alone.
_TEXTS = {
    PASSWORD: ("lock", N_("Something that only you know.")),
    "totp": ("phone", N_("An app on your phone that shows a new code every 30 seconds.")),
    "webauthn": (
        "key",
        N_("Your fingerprint, face, screen lock or a security key. Nobody can phish it."),
    ),
    SMS: (
        "message",
        N_("A code in a text message. Easy, but weaker: messages can be intercepted."),
    ),
    "client_certificate": ("badge", N_("A certificate in your browser or on a card.")),
}


@dataclass(frozen=True, slots=True)
class Held:
    id: str
    name: str
    kind: str
    added: str
    used: str | None


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of authenticator, those of it that are held, and whether one may be added."""

    factor: str
    label: str
    icon: str
    about: str
    held: tuple[Held, ...]
    offered: bool


def ways(
    factors: Mapping[str, Factor],
    held: Sequence[Authenticator],
    offered: Sequence[str],
    shown: Mapping[str, Held],
) -> list[Way]:
    """Every kind that is held or may be added, in the order of the policy; passwords first. What is
    used up by proving it is no such kind: it has a page of its own."""
    found = []
    for name, factor in factors.items():
        if expendable(factor) or (uses(factor) != name and uses(factor) in factors):
            continue
        mine = tuple(shown[a.id] for a in held if a.factor == uses(factor))
        if mine or name in offered:
            icon, about = _TEXTS.get(uses(factor), ("key", ""))
            text = _(about) if about else ""
            found.append(Way(name, _(factor.label), icon, text, mine, name in offered))
    return sorted(found, key=lambda way: way.factor != PASSWORD)


def factor_of(authenticator: Authenticator, factors: Mapping[str, Factor]) -> Factor | None:
    """What it was bound as, or whatever in use here works with it."""
    alike = (factor for factor in factors.values() if uses(factor) == authenticator.factor)
    return factors.get(authenticator.factor) or next(alike, None)


def name_of(authenticator: Authenticator, factors: Mapping[str, Factor]) -> str:
    """What the person called it; what was never named is called by its kind, in their language."""
    factor = factor_of(authenticator, factors)
    label = authenticator.factor if factor is None else factor.label
    return _(label) if authenticator.name in ("", label) else authenticator.name


def second_factors(factors: Mapping[str, Factor], held: Sequence[Authenticator]) -> frozenset[str]:
    """The kinds held that prove more than knowledge, and can be relied on again and again."""
    return frozenset(
        a.factor
        for a in held
        if (f := factor_of(a, factors)) is not None
        and f.kind is not Kind.KNOWS
        and not expendable(f)
    )
