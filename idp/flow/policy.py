"""Policy as data: what must hold for a sign-in, and what is outstanding.

`outstanding` is a pure function over requirements, proofs and what the user holds. It drops
what is proven and fresh and answers with what may be asked next, with nothing left, or with
the requirement that cannot be met. An acr is its own set of methods, not a rung of a ladder.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.model import Achieved

Step = tuple[str, ...]  # alternatives: any one of these factors
Recipe = tuple[Step, ...]  # in order, each step by an authenticator of its own
SKEW = timedelta(seconds=5)  # between the clocks of two machines

Holds = Callable[[str], bool]  # may this factor be asked of this user?


@dataclass(frozen=True, slots=True)
class AcrRule:
    """One authentication context class: any recipe reaches it, while its proofs are fresh."""

    name: str
    recipes: tuple[Recipe, ...]
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Every acr, weakest first, and the demands on single clients."""

    acrs: Mapping[str, AcrRule]
    default_acr: str
    client_acr: Mapping[str, tuple[str, ...]]

    @property
    def factors(self) -> frozenset[str]:
        """Every factor that some recipe names."""
        return frozenset(
            factor
            for rule in self.acrs.values()
            for recipe in rule.recipes
            for step in recipe
            for factor in step
        )


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that must hold: one of `acrs` (most wanted first), proven after `since`."""

    acrs: tuple[str, ...]
    source: str  # who demands it: request | client | rule | user | default
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """All requirements hold. `auth_time` is that of the oldest proof that counts."""

    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
    proofs: tuple[Achieved, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Something is missing: any of `factors` may be asked, the most useful first."""

    factors: tuple[str, ...]
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No recipe of this requirement can be completed by this user."""

    requirement: Requirement


Outstanding = Reached | Ask | Unreachable


def outstanding(
    policy: Policy,
    requirements: Sequence[Requirement],
    achieved: Iterable[Achieved],
    holds: Holds,
    now: datetime,
) -> Outstanding:
    """What is left of `requirements` after the proofs in `achieved`.

    A requirement that can never hold is said at once, before anything is asked; else the first
    that does not hold decides what is asked. With no requirement at all there is nothing to
    reach, and that is a mistake of the caller: raises ValueError.
    """
    if not requirements:
        raise ValueError("no requirement: every sign-in needs at least the default acr")
    proofs = tuple(sorted(achieved, key=lambda proof: proof.at, reverse=True))
    judged = [_judge(policy, requirement, proofs, holds, now) for requirement in requirements]
    for verdict in judged:
        if isinstance(verdict, Unreachable):
            return verdict
    for verdict in judged:
        if isinstance(verdict, Ask):
            return verdict
    held = [verdict for verdict in judged if isinstance(verdict, Reached)]
    return _report(policy, requirements, held)


def reached(
    policy: Policy, requirement: Requirement, proofs: Sequence[Achieved], now: datetime
) -> Reached | None:
    """The first wanted acr whose recipe the fresh proofs complete, if any does."""
    for rule in _wanted(policy, requirement):
        found = _completed(rule, requirement, proofs, now)
        if found is not None:
            return found
    return None


def strongest(policy: Policy, holds: Holds) -> str | None:
    """The last acr of the policy that somebody can reach who holds these factors."""
    found = None
    for rule in policy.acrs.values():
        if reachable(policy, rule.name, holds):
            found = rule.name
    return found


def reachable(policy: Policy, acr: str, holds: Holds) -> bool:
    """Whether somebody who holds these factors can reach this acr."""
    rule = policy.acrs.get(acr)
    return rule is not None and any(
        _leftover_steps(recipe, holds) == () for recipe in rule.recipes if recipe
    )


def serving(policy: Policy, acr: str, holds: Holds) -> frozenset[str]:
    """Of the factors held, those that a recipe asks by which they reach this acr."""
    return frozenset(
        factor
        for recipe in policy.acrs[acr].recipes
        if recipe and _leftover_steps(recipe, holds) == ()
        for step in recipe
        for factor in filter(holds, step)
    )


def to_enroll(
    policy: Policy,
    requirement: Requirement,
    proofs: Iterable[Achieved],
    holds: Holds,
    may_enroll: Holds,
    now: datetime,
) -> tuple[str, ...]:
    """Factors of which binding any one leads towards an unreachable requirement, the way that
    takes fewest first. Empty when no way leads there."""
    newest = tuple(sorted(proofs, key=lambda proof: proof.at, reverse=True))
    ways: list[tuple[int, tuple[str, ...]]] = []
    for rule in _wanted(policy, requirement):
        fresh = _fresh(rule, requirement, newest, now)
        for recipe in rule.recipes:
            lacking = [
                step for step in _leftover(recipe, fresh, ()) if not any(holds(f) for f in step)
            ]
            offers = [tuple(f for f in step if may_enroll(f)) for step in lacking]
            if offers and all(offers):
                ways.append((len(offers), offers[0]))
    ways.sort(key=lambda way: way[0])
    return _unique(factor for _, offer in ways for factor in offer)


def _leftover_steps(recipe: Recipe, holds: Holds) -> tuple[Step, ...]:
    """The steps for which nothing is held, each held factor serving one step."""
    if not recipe:
        return ()
    step, rest = recipe[0], recipe[1:]
    best = (step, *_leftover_steps(rest, holds))
    for factor in filter(holds, step):
        best = min(best, _leftover_steps(rest, _without(holds, factor)), key=len)
    return best


def _without(holds: Holds, factor: str) -> Holds:
    return lambda name: name != factor and holds(name)


def _judge(
    policy: Policy,
    requirement: Requirement,
    proofs: Sequence[Achieved],
    holds: Holds,
    now: datetime,
) -> Outstanding:
    """The most wanted acr that holds or that this user can still reach decides: a request for
    `aal2 aal1` does not stop at aal1 while aal2 is possible."""
    for rule in _wanted(policy, requirement):
        found = _completed(rule, requirement, proofs, now)
        if found is not None:
            return found
        fresh = _fresh(rule, requirement, proofs, now)
        ways = [
            missing
            for recipe in rule.recipes
            if (missing := _missing(recipe, fresh, holds)) is not None
        ]
        if ways:
            ways.sort(key=len)
            return Ask(_unique(factor for way in ways for factor in way[0]), requirement)
    return Unreachable(requirement)


def _wanted(policy: Policy, requirement: Requirement) -> Iterable[AcrRule]:
    return (policy.acrs[name] for name in requirement.acrs if name in policy.acrs)


def _completed(
    rule: AcrRule, requirement: Requirement, proofs: Sequence[Achieved], now: datetime
) -> Reached | None:
    fresh = _fresh(rule, requirement, proofs, now)
    for recipe in rule.recipes:
        used = _match(recipe, fresh, ()) if recipe else None
        if used is not None:
            return Reached(
                acr=rule.name,
                amr=_unique(method for proof in used for method in proof.amr),
                auth_time=min(proof.at for proof in used),
                proofs=used,
            )
    return None


def _report(
    policy: Policy, requirements: Sequence[Requirement], held: Sequence[Reached]
) -> Reached:
    """What to say was reached: what the request wanted, else the strongest demand that holds."""
    for requirement, result in zip(requirements, held, strict=True):
        if requirement.source == "request":
            return result
    order = list(policy.acrs)
    return max(held, key=lambda result: order.index(result.acr))


def _fresh(
    rule: AcrRule, requirement: Requirement, proofs: Sequence[Achieved], now: datetime
) -> tuple[Achieved, ...]:
    def counts(proof: Achieved) -> bool:
        if proof.at > now + SKEW:  # a clock went back: it cannot be dated, so it is no proof
            return False
        if rule.max_age is not None and proof.at < now - rule.max_age:
            return False
        return requirement.since is None or proof.at >= requirement.since

    return tuple(proof for proof in proofs if counts(proof))


def _match(
    recipe: Recipe, proofs: Sequence[Achieved], used: tuple[Achieved, ...]
) -> tuple[Achieved, ...] | None:
    if not recipe:
        return used
    taken = {proof.authenticator_id for proof in used}
    for proof in proofs:
        if proof.factor in recipe[0] and proof.authenticator_id not in taken:
            whole = _match(recipe[1:], proofs, (*used, proof))
            if whole is not None:
                return whole
    return None


def _missing(
    recipe: Recipe, proofs: Sequence[Achieved], holds: Holds
) -> tuple[tuple[str, ...], ...] | None:
    """What may be asked for each step that is missing, the fewest steps that leave some.

    None when nothing is missing, or when some missing step has no factor that the user could
    answer: a dead end is never entered.
    """
    best = _leftover(recipe, proofs, ())
    if not best:
        return None
    possible = tuple(tuple(factor for factor in step if holds(factor)) for step in best)
    return possible if all(possible) else None


def _leftover(
    recipe: Recipe, proofs: Sequence[Achieved], used: tuple[str, ...]
) -> tuple[Step, ...]:
    """The steps without a proof, over the assignment of proofs to steps that leaves fewest."""
    if not recipe:
        return ()
    step, rest = recipe[0], recipe[1:]
    ways = [
        _leftover(rest, proofs, (*used, proof.authenticator_id))
        for proof in proofs
        if proof.factor in step and proof.authenticator_id not in used
    ]
    return min([*ways, (step, *_leftover(rest, proofs, used))], key=len)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
