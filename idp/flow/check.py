"""`idp flow check`: what is wrong with an operator's policy before anybody meets it.

An error is a sign-in that cannot work, or a recovery that is weaker than the level it restores; a
warning is one that works otherwise than the policy seems to mean. Pure: nothing is asked of a user
or a store.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from idp.factors.base import Factor, expendable
from idp.flow.policy import AcrRule, Policy, Recipe
from idp.model import Client, User


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` names the setting or record, `advice` what would do."""

    severity: Literal["error", "warning"]
    where: str
    message: str
    advice: str


def check(
    policy: Policy,
    factors: Mapping[str, Factor],
    clients: Iterable[Client] = (),
    users: Iterable[User] = (),
    *,
    reset_by_mail: bool = False,
) -> tuple[Finding, ...]:
    """Every finding, errors first. Disabled clients and users are left out. `reset_by_mail`:
    whoever reads a person's mail can set the password."""
    active = tuple(client for client in clients if client.disabled_at is None)
    people = tuple(user for user in users if user.disabled_at is None)
    found = [
        *_unknown(policy, active, people),
        *_unreachable(policy, factors),
        *_nobody_known(policy, factors),
        *_no_fallback(policy, factors),
        *_no_stronger(policy, factors),
        *_weak_recovery(policy, factors),
        *(_weak_reset(policy, factors) if reset_by_mail else ()),
        *_without_pkce(active),
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def show(recipe: Recipe) -> str:
    """A recipe as people write it down: `password + (totp or webauthn)`."""
    steps = (" or ".join(step) if step else "nothing" for step in recipe)
    return " + ".join(
        f"({text})" if len(step) > 1 < len(recipe) else text
        for step, text in zip(recipe, steps, strict=True)
    )


def _unknown(policy: Policy, clients: Iterable[Client], users: Iterable[User]) -> Iterator[Finding]:
    demands = [
        ("flow.default_acr", policy.default_acr),
        *((f"rule for client {c}", acr) for c, acrs in policy.client_acr.items() for acr in acrs),
        *((f"client {c.client_id}", c.require_acr) for c in clients if c.require_acr),
        *((f"user {u.username}", u.require_acr) for u in users if u.require_acr),
    ]
    for where, acr in demands:
        if acr not in policy.acrs:
            yield Finding(
                "error",
                where,
                f"requires the acr {acr!r}, which is not defined: no such sign-in can succeed",
                f"define [acr.{acr}], or require one of: {', '.join(policy.acrs)}",
            )


def _unreachable(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    for rule in policy.acrs.values():
        dead = [recipe for recipe in rule.recipes if not _alive(recipe, factors)]
        if len(dead) == len(rule.recipes):
            why = "; ".join(_cause(recipe, factors) for recipe in dead)
            yield Finding(
                "error",
                f"acr.{rule.name}",
                f"nobody can ever reach it: {why or 'it has no recipe'}",
                "install what is missing, or add a recipe of factors that are loaded",
            )
            continue
        for recipe in dead:
            yield Finding(
                "warning",
                f"acr.{rule.name}",
                f"the recipe {show(recipe)} can never be used: {_cause(recipe, factors)}",
                "install what is missing, or remove the recipe",
            )


def _nobody_known(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    for rule, recipe in _live(policy, factors):
        first = [factors[name] for name in recipe[0] if name in factors]
        if not any(factor.identifies for factor in first):
            yield Finding(
                "error",
                f"acr.{rule.name}",
                f"the recipe {show(recipe)} starts without saying who signs in",
                f"begin it with a factor that identifies: {_identifying(factors)}",
            )


def _no_fallback(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    for rule in policy.acrs.values():
        recipes = [recipe for recipe in rule.recipes if _alive(recipe, factors)]
        if len(recipes) != 1:
            continue
        for step in recipes[0][1:]:
            loaded = [name for name in step if name in factors]
            if len(loaded) == 1:
                yield Finding(
                    "warning",
                    f"acr.{rule.name}",
                    f"{loaded[0]} is the only way through its step: who loses it is locked out",
                    "allow an alternative in that step, or add a second recipe",
                )


def _no_stronger(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    """A later acr that the methods of an earlier one reach already.

    A recipe of phishing-resistant factors may well serve both; that is no mistake.
    """
    live = list(_live(policy, factors))
    order = list(policy.acrs)
    for rule, recipe in live:
        for weaker, easier in live:
            if order.index(weaker.name) >= order.index(rule.name):
                continue
            if not _satisfies(easier, recipe) or _resistant(easier, factors):
                continue
            yield Finding(
                "warning",
                f"acr.{rule.name}",
                f"its recipe {show(recipe)} asks no more than {show(easier)} of the weaker "
                f"acr.{weaker.name}" + _freshness(rule, weaker),
                "add a step to the recipe, or list the acr before the weaker one",
            )


def _weak_recovery(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    """A recovery code stands in for one lost factor, and for no more than one like itself.

    Of the ways to an acr, those with a factor that is used up by proving it are recovery; the
    others say what the acr is worth. A recovery way is refused when it proves nothing else beside
    the code; when it proves fewer kinds (knows, has, is) than every other way to that acr; or when
    all the others resist phishing and it does not.
    """
    for rule in policy.acrs.values():
        ways = [way for r in rule.recipes if _alive(r, factors) for way in _ways(r, factors)]
        recovery = [way for way in ways if any(expendable(factors[name]) for name in way)]
        usual = [way for way in ways if way not in recovery]
        for way in recovery:
            weaker = _weaker(way, usual, factors)
            if weaker:
                yield Finding(
                    "error",
                    f"acr.{rule.name}",
                    f"recovery by {' + '.join(way)} is weaker than the level it restores: {weaker}",
                    "let the code replace one factor only, beside those that are asked otherwise",
                )


def _weaker(
    way: tuple[str, ...], usual: Iterable[tuple[str, ...]], factors: Mapping[str, Factor]
) -> str:
    if all(expendable(factors[name]) for name in way):
        return "the code alone is enough"
    others = list(usual)
    if others and _kinds(way, factors) < min(_kinds(other, factors) for other in others):
        return "it proves fewer kinds of factor than every other way"
    if others and all(_resists(other, factors) for other in others) and not _resists(way, factors):
        return "every other way resists phishing"
    return ""


def _weak_reset(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[Finding]:
    """A link in a mail proves a mailbox, which is no factor at all, and sets the password: so a
    password alone must not reach more than the weakest acr."""
    for rule in list(policy.acrs.values())[1:]:
        if any(("password",) in _ways(r, factors) for r in rule.recipes if _alive(r, factors)):
            yield Finding(
                "error",
                "recovery.password_by_mail",
                f"whoever reads a person's mail reaches acr.{rule.name}, which the password alone "
                "reaches and which counts as more than the weakest",
                f"add a step to that recipe of acr.{rule.name}, or switch the reset by mail off",
            )


def _ways(recipe: Recipe, factors: Mapping[str, Factor]) -> list[tuple[str, ...]]:
    """Each choice of loaded alternatives that completes it."""
    return list(product(*(tuple(name for name in step if name in factors) for step in recipe)))


def _kinds(way: Iterable[str], factors: Mapping[str, Factor]) -> int:
    """How many kinds it proves. What identifies and resists phishing by itself is had and unlocked:
    a passkey, a certificate whose key asks for a PIN."""
    proven = [factors[name] for name in way]
    alone = any(factor.identifies and factor.phishing_resistant for factor in proven)
    return max(len({factor.kind for factor in proven}), 2 if alone else 0)


def _resists(way: Iterable[str], factors: Mapping[str, Factor]) -> bool:
    return any(factors[name].phishing_resistant for name in way)


def _without_pkce(clients: Iterable[Client]) -> Iterator[Finding]:
    for client in clients:
        if not client.require_pkce and "authorization_code" in client.grant_types:
            yield Finding(
                "warning",
                f"client {client.client_id}",
                "is exempt from PKCE: a stolen authorization code can be used by its thief",
                "switch require_pkce on as soon as the client sends a code_challenge",
            )


def _live(policy: Policy, factors: Mapping[str, Factor]) -> Iterator[tuple[AcrRule, Recipe]]:
    for rule in policy.acrs.values():
        for recipe in rule.recipes:
            if _alive(recipe, factors):
                yield rule, recipe


def _alive(recipe: Recipe, factors: Mapping[str, Factor]) -> bool:
    return bool(recipe) and all(any(name in factors for name in step) for step in recipe)


def _cause(recipe: Recipe, factors: Mapping[str, Factor]) -> str:
    if not recipe:
        return "an empty recipe proves nothing"
    for step in recipe:
        if not step:
            return f"a step of {show(recipe)} has no factor"
        if not any(name in factors for name in step):
            return f"{' or '.join(step)} is not loaded"
    return ""


def _satisfies(easier: Recipe, harder: Recipe) -> bool:
    """Whoever completes `easier`, by whichever alternatives, has completed `harder` too."""
    return all(
        all(any(name in way for name in step) for step in harder) for way in product(*easier)
    )


def _resistant(recipe: Recipe, factors: Mapping[str, Factor]) -> bool:
    return any(
        all(name in factors and factors[name].phishing_resistant for name in step)
        for step in recipe
    )


def _freshness(rule: AcrRule, weaker: AcrRule) -> str:
    return "" if rule.max_age == weaker.max_age else "; only max_age tells them apart"


def _identifying(factors: Mapping[str, Factor]) -> str:
    names = sorted(name for name, factor in factors.items() if factor.identifies)
    return ", ".join(names) or "none is loaded"
