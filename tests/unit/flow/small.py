"""Small policies in full, and an oracle that is written otherwise than the code it judges."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations

from idp.flow.policy import SKEW, AcrRule, Ask, Policy, Reached, Recipe, Requirement, outstanding
from idp.model import Achieved

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def proof(factor: str, age: timedelta = timedelta(0), authenticator: str = "") -> Achieved:
    return Achieved(factor, (f"m-{factor}",), NOW - age, authenticator or f"{factor}1")


def policy_of(
    acrs: Mapping[str, Sequence[Recipe]], max_age: timedelta | None = None, default: str = ""
) -> Policy:
    rules = {name: AcrRule(name, tuple(recipes), max_age) for name, recipes in acrs.items()}
    return Policy(rules, default or next(iter(rules), ""), {})


def wants(*acrs: str, since: datetime | None = None, source: str = "default") -> Requirement:
    return Requirement(acrs, source, since)


def holds(held: Collection[str]) -> Callable[[str], bool]:
    return lambda name: name in held


def subsets(values: str) -> Iterator[tuple[str, ...]]:
    for size in range(len(values) + 1):
        yield from combinations(values, size)


def recipes_over(values: str) -> tuple[Recipe, ...]:
    """Every recipe of one or two steps, each step one factor or two alternatives."""
    steps = [s for s in subsets(values) if 1 <= len(s) <= 2]
    pairs = [(s, t) for s, t in permutations(steps, 2) if not set(s) & set(t)]
    return (*((s,) for s in steps), *pairs)


def oracle(
    policy: Policy, requirement: Requirement, proofs: Iterable[Achieved], now: datetime = NOW
) -> set[str]:
    """The acrs of `requirement` that the proofs complete: all orders of all proofs are tried."""
    proofs = list(proofs)
    complete = set()
    for name in set(requirement.acrs) & set(policy.acrs):
        rule = policy.acrs[name]
        for recipe in rule.recipes:
            for row in permutations(proofs, len(recipe)):
                if row and _legal(row, recipe, rule, requirement, now):
                    complete.add(name)
    return complete


def _legal(
    row: Sequence[Achieved],
    recipe: Recipe,
    rule: AcrRule,
    requirement: Requirement,
    now: datetime,
) -> bool:
    if len({p.authenticator_id for p in row}) != len(recipe):
        return False
    for p, step in zip(row, recipe, strict=True):
        age = now - p.at
        if p.factor not in step or age < -SKEW:
            return False
        if rule.max_age is not None and age > rule.max_age:
            return False
        if requirement.since is not None and not requirement.since <= p.at:
            return False
    return True


def every_walk_ends(
    policy: Policy,
    requirements: Sequence[Requirement],
    proofs: Iterable[Achieved],
    held: Collection[str],
    bound: int = 4,
) -> bool:
    """Whatever is chosen of what is offered, at most `bound` answers lead to Reached."""
    proofs = tuple(proofs)
    result = outstanding(policy, requirements, proofs, holds(held), NOW)
    if isinstance(result, Ask):
        return bound > 0 and all(
            factor in held
            and every_walk_ends(policy, requirements, (*proofs, proof(factor)), held, bound - 1)
            for factor in result.factors
        )
    return isinstance(result, Reached)
