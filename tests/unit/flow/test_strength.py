"""How fresh and how strong a proof must be to change what one signs in with."""

from datetime import UTC, datetime, timedelta

import pytest

from idp.flow.policy import AcrRule, Policy
from idp.flow.strength import SessionStrength
from idp.model import Achieved, Session, User

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
POLICY = Policy(
    {
        "aal1": AcrRule("aal1", ((("password",),),)),
        "aal2": AcrRule("aal2", ((("password",), ("totp", "sms")), (("passkey",),))),
    },
    "aal1",
    {},
)
ANA = User("u", "ana", NOW, NOW)


def fresh(level: str | None) -> SessionStrength:
    return SessionStrength(
        POLICY, lambda _user: (), lambda _user, _held: level, timedelta(minutes=5), lambda: NOW
    )


def session(**ages: float) -> Session:
    """Proofs by factor, so many minutes old."""
    proofs = tuple(
        Achieved(factor, (factor,), NOW - timedelta(minutes=age), factor)
        for factor, age in ages.items()
    )
    return Session("s", ANA.id, NOW, NOW, NOW, NOW, proofs)


@pytest.mark.parametrize(
    ("level", "proofs", "enough"),
    [
        ("aal1", {"password": 0}, True),
        ("aal1", {"password": 5}, True),
        ("aal1", {"password": 5.1}, False),
        ("aal1", {}, False),
        ("aal1", {"totp": 0}, False),
        ("aal2", {"password": 0}, False),
        ("aal2", {"password": 0, "totp": 0}, True),
        ("aal2", {"password": 0, "sms": 4}, True),
        ("aal2", {"password": 60, "totp": 0}, False),
        ("aal2", {"password": 0, "totp": 60}, False),
        ("aal2", {"passkey": 1}, True),
        ("aal2", {"passkey": -1}, False),  # of the future: a clock went back
        (None, {"password": 0, "totp": 0}, False),
    ],
)
def test_every_proof_of_the_highest_level_is_fresh(
    level: str | None, proofs: dict[str, float], enough: bool
) -> None:
    assert fresh(level).shown(ANA, session(**proofs)) is enough
    assert fresh(level).demanded(ANA) == level
