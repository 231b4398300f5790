"""What must hold for one sign-in: the request, the client, the rules, the person, the default."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from idp.errors import ConfigError
from idp.flow.policy import AcrRule, Policy, Recipe, Requirement, Step
from idp.model import AuthorizationRequest, Client, User
from idp.settings import Acr, Settings


def requirements(
    policy: Policy,
    request: AuthorizationRequest,
    client: Client,
    user: User | None,
    started_at: datetime,
) -> tuple[Requirement, ...]:
    """The set for this request, the request's own wish first.

    `prompt=login` and `max_age` (OIDC Core 3.1.2.1) date every requirement, so that the
    reported `auth_time` is never older than what was asked. They count from `started_at`: a
    slow person is not asked twice.
    """
    since = proven_since(request, started_at)
    found: list[Requirement] = []
    if request.essential_acr:
        found.append(Requirement(request.essential_acr, "request", since))
    elif known := tuple(acr for acr in request.acr_values if acr in policy.acrs):
        found.append(Requirement(known, "request", since))
    if client.require_acr:
        found.append(Requirement((client.require_acr,), "client", since))
    found.extend(
        Requirement((acr,), "rule", since) for acr in policy.client_acr.get(client.client_id, ())
    )
    if user is not None and user.require_acr:
        found.append(Requirement((user.require_acr,), "user", since))
    found.append(Requirement((policy.default_acr,), "default", since))
    return tuple(found)


DEFERRABLE = frozenset({"rule", "default"})  # what an operator demands of everybody, with a grace


def relaxed(policy: Policy, found: Sequence[Requirement]) -> tuple[Requirement, ...]:
    """While a demanded enrolment is put off: rules wait, and the default takes the next weaker acr
    that holds. What the request, the client and the person demand stays; so does the truth about
    what was reached."""
    order = list(policy.acrs)
    kept = []
    for requirement in found:
        if requirement.source == "default":
            place = order.index(policy.default_acr)
            acrs = tuple(reversed(order[: place + 1]))
            kept.append(Requirement(acrs, "default", requirement.since))
        elif requirement.source != "rule":
            kept.append(requirement)
    return tuple(kept)


def proven_since(request: AuthorizationRequest, started_at: datetime) -> datetime | None:
    if "login" in request.prompts:
        return started_at
    if request.max_age is not None:
        return started_at - timedelta(seconds=request.max_age)
    return None


def build(settings: Settings) -> Policy:
    """The policy that the settings describe. Raises ConfigError for one that makes no sense."""
    rules: dict[str, tuple[str, ...]] = {}
    for rule in settings.rule:
        rules[rule.client] = (*rules.get(rule.client, ()), rule.require)
    return Policy(
        acrs={name: _acr(name, acr) for name, acr in settings.acr.items()},
        default_acr=settings.flow.default_acr,
        client_acr=rules,
    )


def _acr(name: str, acr: Acr) -> AcrRule:
    if not acr.any_of:
        raise ConfigError(f"acr.{name}: any_of is empty, so nobody could ever reach it")
    return AcrRule(name, tuple(_recipe(name, steps) for steps in acr.any_of), acr.max_age)


def _recipe(acr: str, steps: Sequence[str | Sequence[str]]) -> Recipe:
    if not steps:
        raise ConfigError(f"acr.{acr}: an empty recipe would let everyone in")
    recipe = tuple(_step(step) for step in steps)
    if any(not step for step in recipe):
        raise ConfigError(f"acr.{acr}: a step without a factor can never be passed")
    named = [factor for step in recipe for factor in step]
    for factor in named:
        if named.count(factor) > 1:
            raise ConfigError(
                f"acr.{acr}: one recipe names {factor!r} twice; "
                "two steps never share an authenticator"
            )
    return recipe


def _step(step: str | Sequence[str]) -> Step:
    return (step,) if isinstance(step, str) else tuple(step)


def explain_sources() -> Mapping[str, str]:
    """What each source of a requirement means, for `idp flow explain`."""
    return {
        "request": "the authorization request (acr_values or claims)",
        "client": "the client's own record (require_acr)",
        "rule": "a [[rule]] of the configuration",
        "user": "the person's own choice",
        "default": "flow.default_acr",
    }
