"""`idp flow`: what is wrong with the sign-in policy, and what a sign-in would ask."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.db import opened
from idp.cli.output import PROBLEMS, clean, document, json_option, note, pages, say

if TYPE_CHECKING:
    from idp.core import Core
    from idp.flow.check import Finding
    from idp.flow.explain import Explanation
    from idp.model import AuthorizationRequest, Client, User


@click.group("flow")
def command() -> None:
    """Check the sign-in policy; explain what a sign-in would ask.

    \b
    Example:
      idp flow check
      idp flow explain --user ana --client shop --acr aal2
    """


@command.command("check")
@json_option
@click.pass_obj
def check_command(config_file: Path | None, as_json: bool) -> None:
    """Look for sign-ins that cannot work or are not what the policy seems to mean.

    Exit code 4 when there is an error; warnings alone are 0.

    \b
    Example:
      idp --config idp.toml flow check
    """
    with opened(config_file) as core:
        found = findings(core)
    report(found, as_json)


def findings(core: "Core") -> "tuple[Finding, ...]":
    from idp.flow.check import check

    clients, _ = pages(core.stores.clients.list, lambda c: c.client_id, everything=True)
    users, _ = pages(core.stores.users.list, lambda u: u.id, everything=True)
    settings = core.settings
    by_mail = settings.recovery.password_by_mail and bool(settings.mail.host)
    return check(core.policy, core.factors, clients, users, reset_by_mail=by_mail)


def report(found: "Iterable[Finding]", as_json: bool, **extra: Any) -> None:
    """Print findings; exit code 4 when one is an error."""
    found = tuple(found)
    failed = any(finding.severity == "error" for finding in found)
    if as_json:
        listed = [
            {"severity": f.severity, "where": f.where, "message": f.message, "advice": f.advice}
            for f in found
        ]
        document({**extra, "ok": not failed, "findings": listed})
    else:
        for finding in found:
            say(f"{finding.severity}: {clean(finding.where)}: {clean(finding.message)}")
            say(f"  {clean(finding.advice)}")
        if not found:
            say("no problems found")
    if failed:
        raise SystemExit(PROBLEMS)


@command.command("explain")
@click.option("--user", "username", required=True, help="Who signs in: a name or sub.")
@click.option("--client", "client_id", required=True, help="Where.")
@click.option("--acr", "acrs", multiple=True, help="What the request asks for. May be repeated.")
@json_option
@click.pass_obj
def explain_command(
    config_file: Path | None, username: str, client_id: str, acrs: tuple[str, ...], as_json: bool
) -> None:
    """Print what a sign-in from scratch would ask, in order, and why.

    \b
    Example:
      idp flow explain --user ana --client shop
      idp flow explain --user ana --client shop --acr aal2 --json
    """
    from idp.flow.explain import explain
    from idp.flow.requirements import requirements
    from idp.operate.clients import ClientAdmin

    with opened(config_file) as core:
        now = core.clock()
        known = tuple(core.policy.acrs)
        user = _user(core, username)
        client = ClientAdmin(core.stores.clients, core.bus, core.clock, known).get(client_id)
        for acr in acrs:
            if acr not in known:
                raise click.BadParameter(
                    f"no acr {acr!r}; there are: {', '.join(known)}", param_hint="--acr"
                )
        wanted = requirements(core.policy, _request(client, acrs), client, user, now)
        answer = explain(
            core.policy, wanted, (), _answerable(core, user, now), now, _enrollable(core)
        )
    refusals = [
        f"the {kind} is disabled: nothing is asked, the sign-in is refused"
        for kind, record in (("user", user), ("client", client))
        if record.disabled_at is not None
    ]
    if as_json:
        document(_described(answer, user, client, refusals))
        return
    for refusal in refusals:
        note(refusal)
    for line in str(answer).splitlines():
        say(clean(line))


def _user(core: "Core", name: str) -> "User":
    from idp.errors import NotFound

    found = core.stores.users.find(name) or core.stores.users.get(name)
    if found is None:
        raise NotFound(f"no user {name!r}; `idp user list` shows them")
    return found


def _answerable(core: "Core", user: "User", now: datetime) -> frozenset[str]:
    """The factors that this user could answer, as the factors themselves say."""
    from idp.factors.base import Context, uses

    held = [a for a in core.stores.authenticators.of(user.id) if a.disabled_at is None]
    return frozenset(
        name
        for name, factor in core.factors.items()
        if factor.available(
            Context(
                now,
                core.settings.issuer,
                user,
                tuple(a for a in held if a.factor == uses(factor)),
                lambda _key, _ttl: True,
            )
        )
    )


def _enrollable(core: "Core") -> frozenset[str]:
    """The factors that a person may bind on the way."""
    from idp.factors.base import enrollable

    return frozenset(name for name, factor in core.factors.items() if enrollable(factor))


def _request(client: "Client", acrs: tuple[str, ...]) -> "AuthorizationRequest":
    from idp.model import AuthorizationRequest

    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=next(iter(client.redirect_uris), ""),
        response_mode="query",
        scopes=("openid",),
        resources=(),
        state=None,
        nonce=None,
        code_challenge=None,
        prompts=frozenset(),
        max_age=None,
        login_hint=None,
        hint_sub=None,
        ui_locales=(),
        acr_values=acrs,
        essential_acr=(),
        claims={},
        parameters={},
    )


def _described(
    answer: "Explanation", user: "User", client: "Client", refusals: list[str]
) -> dict[str, Any]:
    from idp.flow.policy import Reached

    end = answer.end
    reached = end if isinstance(end, Reached) and not refusals else None
    return {
        "user": user.username,
        "client": client.client_id,
        "asked": [] if refusals else list(answer.asked),
        "enrolled": [] if refusals else list(answer.enrolled),
        "acr": reached.acr if reached else None,
        "refused": "; ".join(refusals) or answer.dead_end or None,
        "requirements": [
            {
                "acrs": list(report.requirement.acrs),
                "source": report.requirement.source,
                "why": report.source,
                "acr": [
                    {
                        "name": acr.name,
                        "recipes": [
                            [
                                {"step": list(s.step), "state": s.state.value, "reason": s.reason}
                                for s in recipe.steps
                            ]
                            for recipe in acr.recipes
                        ],
                    }
                    for acr in report.acrs
                ],
            }
            for report in answer.requirements
        ],
    }
