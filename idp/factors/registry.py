"""Factors by entry point (group `idp.factors`), constructed from their section of the settings.

A factor that cannot be constructed stops the start with its name and reason: a policy that
names it could otherwise lock people out quietly.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from idp.errors import ConfigError
from idp.factors.base import Factor

GROUP = "idp.factors"


def installed() -> Mapping[str, EntryPoint]:
    """Every factor that some installed package offers, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(
    names: Iterable[str], sections: Mapping[str, Mapping[str, Any]], issuer: str = ""
) -> Mapping[str, Factor]:
    """Construct the named factors. Raises ConfigError for one that is missing or refuses, be it its
    settings or, by an optional `check(issuer)` that raises ValueError, the issuer."""
    offered = installed()
    return {name: _construct(name, offered, sections, issuer) for name in sorted(set(names))}


def _construct(
    name: str,
    offered: Mapping[str, EntryPoint],
    sections: Mapping[str, Mapping[str, Any]],
    issuer: str,
) -> Factor:
    if name not in offered:
        raise ConfigError(
            f"the policy names the factor {name!r}, which no installed package offers; "
            f"installed: {', '.join(sorted(offered))}"
        )
    try:
        made = offered[name].load()
        factor = cast(Factor, made(_section(name, getattr(made, "uses", name), sections)))
        if issuer and hasattr(factor, "check"):
            factor.check(issuer)
    except Exception as problem:
        raise ConfigError(f"the factor {name!r} cannot be used: {problem}") from problem
    if factor.name != name:
        raise ConfigError(
            f"the entry point {name!r} gives a factor that calls itself {factor.name!r}"
        )
    return factor


def _section(name: str, owner: str, sections: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Its own; of one that works with another's authenticators that other's, so that the two never
    disagree."""
    if owner != name and name in sections:
        raise ValueError(f"its settings are those of {owner}: write [factors.{owner}]")
    return sections.get(owner, {})
