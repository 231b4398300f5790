"""`idp flow explain`: what would be asked of one user, step by step, and why.

It asks `policy` itself, on smaller questions, so the explanation cannot drift from the
decision. Pure: nothing is sent, counted or stored.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from idp.flow.policy import (
    AcrRule,
    Ask,
    Policy,
    Reached,
    Recipe,
    Requirement,
    Step,
    Unreachable,
    outstanding,
    reached,
    strongest,
    to_enroll,
)
from idp.flow.requirements import explain_sources
from idp.model import Achieved


class State(Enum):
    PROVEN = "proven"
    ASKED = "would be asked"
    MISSING = "not available"


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step: `by` is the factor that proved it, or those that may be asked."""

    step: Step
    state: State
    by: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecipeReport:
    steps: tuple[StepReport, ...]

    @property
    def possible(self) -> bool:
        return bool(self.steps) and all(step.state is not State.MISSING for step in self.steps)

    @property
    def complete(self) -> bool:
        return bool(self.steps) and all(step.state is State.PROVEN for step in self.steps)


@dataclass(frozen=True, slots=True)
class AcrReport:
    """One acr considered; no recipes when the policy does not define it."""

    name: str
    defined: bool
    recipes: tuple[RecipeReport, ...]


@dataclass(frozen=True, slots=True)
class RequirementReport:
    requirement: Requirement
    source: str
    holds: bool
    acrs: tuple[AcrReport, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`asked` is what would be asked in turn, first choice first; `end` is where that leads.
    `enrolled` of them would be bound on the way."""

    requirements: tuple[RequirementReport, ...]
    asked: tuple[str, ...]
    end: Reached | Unreachable
    dead_end: str = ""
    enrolled: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [line for report in self.requirements for line in _requirement_lines(report)]
        named = [f"enroll {n}" if n in self.enrolled else n for n in self.asked]
        lines.append(f"would ask: {', then '.join(named) or 'nothing'}")
        if isinstance(self.end, Reached):
            methods = ", ".join(proof.factor for proof in self.end.proofs)
            lines.append(f"result: acr {self.end.acr} by {methods}")
        else:
            lines.append(f"result: refused, {self.dead_end}")
        return "\n".join(lines)


def explain(
    policy: Policy,
    requirements: Sequence[Requirement],
    achieved: Iterable[Achieved],
    held_factor_names: Collection[str],
    now: datetime,
    may_enroll: Collection[str] = (),
) -> Explanation:
    """What the engine would ask of a user who holds these factors, may bind those, and passes each
    of them."""
    proofs = tuple(sorted(achieved, key=lambda proof: proof.at, reverse=True))
    walk = _walk(policy, requirements, _At(proofs, tuple(held_factor_names)), may_enroll, now)
    return Explanation(
        requirements=tuple(
            RequirementReport(
                requirement,
                explain_sources().get(requirement.source, requirement.source),
                reached(policy, requirement, proofs, now) is not None,
                tuple(
                    _acr(policy.acrs.get(name), name, requirement, proofs, held_factor_names, now)
                    for name in requirement.acrs
                ),
            )
            for requirement in requirements
        ),
        asked=walk.at.asked,
        end=walk.end,
        dead_end=walk.dead_end,
        enrolled=walk.at.enrolled,
    )


@dataclass(frozen=True, slots=True)
class _At:
    """Where the imagined sign-in stands."""

    proofs: tuple[Achieved, ...]
    held: tuple[str, ...]
    asked: tuple[str, ...] = ()
    enrolled: tuple[str, ...] = ()

    def passed(self, factor: str, now: datetime) -> "_At":
        proof = Achieved(factor, (factor,), now, f"assumed:{factor}")
        return replace(self, proofs=(proof, *self.proofs), asked=(*self.asked, factor))

    def bound(self, factor: str, now: datetime) -> "_At":
        after = self.passed(factor, now)
        return replace(after, held=(*self.held, factor), enrolled=(*self.enrolled, factor))


@dataclass(frozen=True, slots=True)
class _Walk:
    at: _At
    end: Reached | Unreachable
    dead_end: str = ""


def _walk(
    policy: Policy,
    requirements: Sequence[Requirement],
    at: _At,
    may_enroll: Collection[str],
    now: datetime,
) -> _Walk:
    while True:
        result = outstanding(policy, requirements, at.proofs, at.held.__contains__, now)
        if isinstance(result, Reached):
            return _Walk(at, result)
        wanted = " or ".join(result.requirement.acrs)
        if isinstance(result, Unreachable):
            after = _enroll(policy, result.requirement, at, may_enroll, now)
            if after is None:
                return _Walk(at, result, f"no recipe of {wanted} can be completed by this user")
            at = after
            continue
        factor = result.factors[0]
        if factor in at.asked:
            reason = f"{factor} would be asked again and again for {wanted}"
            return _Walk(at, Unreachable(result.requirement), reason)
        at = at.passed(factor, now)


def _enroll(
    policy: Policy, demand: Requirement, at: _At, may_enroll: Collection[str], now: datetime
) -> _At | None:
    """The next step towards binding what is missing: a proof of the strongest level that is held,
    then the binding itself. None when no way leads there."""
    held = at.held.__contains__
    names = to_enroll(policy, demand, at.proofs, held, may_enroll.__contains__, now)
    level = strongest(policy, held)
    if not names or level is None:
        return None
    first = outstanding(policy, [Requirement((level,), "enrollment")], at.proofs, held, now)
    if isinstance(first, Unreachable):
        return None
    if isinstance(first, Ask):
        return None if first.factors[0] in at.asked else at.passed(first.factors[0], now)
    return None if names[0] in at.asked else at.bound(names[0], now)


def _acr(
    rule: AcrRule | None,
    name: str,
    requirement: Requirement,
    proofs: Sequence[Achieved],
    held: Collection[str],
    now: datetime,
) -> AcrReport:
    if rule is None:
        return AcrReport(name, False, ())
    return AcrReport(
        name,
        True,
        tuple(_recipe(rule, recipe, requirement, proofs, held, now) for recipe in rule.recipes),
    )


def _recipe(
    rule: AcrRule,
    recipe: Recipe,
    requirement: Requirement,
    proofs: Sequence[Achieved],
    held: Collection[str],
    now: datetime,
) -> RecipeReport:
    """Whole if the policy says so; else each step in turn, by an authenticator of its own."""
    whole = _prove(rule, recipe, requirement, proofs, now)
    if whole is not None:
        pairs = zip(recipe, whole.proofs, strict=True)
        return RecipeReport(tuple(StepReport(s, State.PROVEN, (p.factor,)) for s, p in pairs))
    steps: list[StepReport] = []
    for step in recipe:
        proven = _prove(rule, (step,), requirement, proofs, now)
        if proven is not None:
            used = proven.proofs[0]
            proofs = tuple(p for p in proofs if p.authenticator_id != used.authenticator_id)
            steps.append(StepReport(step, State.PROVEN, (used.factor,)))
        elif possible := tuple(factor for factor in step if factor in held):
            stale = any(proof.factor in step for proof in proofs)
            reason = (
                "the proof at hand does not count: too old, or of another time" if stale else ""
            )
            steps.append(StepReport(step, State.ASKED, possible, reason))
        else:
            reason = f"the user has no {' and no '.join(step)}" if step else "no factor is named"
            steps.append(StepReport(step, State.MISSING, (), reason))
    return RecipeReport(tuple(steps))


def _prove(
    rule: AcrRule,
    recipe: Recipe,
    requirement: Requirement,
    proofs: Sequence[Achieved],
    now: datetime,
) -> Reached | None:
    """What the policy says of this recipe alone."""
    alone: Mapping[str, AcrRule] = {rule.name: replace(rule, recipes=(recipe,))}
    question = replace(requirement, acrs=(rule.name,))
    return reached(Policy(alone, rule.name, {}), question, proofs, now)


def _requirement_lines(report: RequirementReport) -> list[str]:
    wanted = " or ".join(report.requirement.acrs)
    since = report.requirement.since
    dated = f", proven since {since.isoformat()}" if since is not None else ""
    lines = [f"{wanted}{dated}: {'holds' if report.holds else 'open'} - from {report.source}"]
    for acr in report.acrs:
        if not acr.defined:
            lines.append(f"  {acr.name}: not defined")
            continue
        for recipe in acr.recipes:
            steps = "; ".join(_step_text(step) for step in recipe.steps)
            lines.append(f"  {acr.name}: {steps or 'an empty recipe, never reached'}")
    return lines


def _step_text(step: StepReport) -> str:
    named = " or ".join(step.by or step.step) or "nothing"
    return f"{named} {step.state.value}" + (f" ({step.reason})" if step.reason else "")
