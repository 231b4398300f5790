"""What the overview recommends next."""

from dataclasses import replace

import pytest

from idp.web.account.overview import Standing, advice

BARE = Standing(
    second_factors=frozenset(),
    may_add=True,
    has_codes=True,
    codes_left=0,
    always_asked=False,
    may_always_ask=False,
    email="a@example.com",
    email_verified=True,
)
SAFE = replace(
    BARE,
    second_factors=frozenset({"webauthn"}),
    codes_left=10,
    always_asked=True,
    may_always_ask=True,
)


@pytest.mark.parametrize(
    ("at", "first"),
    [
        (BARE, "Add a second step"),
        (replace(SAFE, codes_left=0), "Get recovery codes"),
        (replace(SAFE, codes_left=3), "Get new recovery codes"),
        (replace(SAFE, second_factors=frozenset({"sms"})), "Add something safer"),
        (replace(SAFE, always_asked=False), "Be asked for your second step"),
        (replace(SAFE, email_verified=False), "Confirm your email address"),
    ],
)
def test_the_most_useful_comes_first(at: Standing, first: str) -> None:
    assert advice(at)[0].title.startswith(first)


@pytest.mark.parametrize(
    "at",
    [
        SAFE,
        replace(SAFE, codes_left=0, has_codes=False),
        replace(SAFE, always_asked=False, may_always_ask=False),
        replace(SAFE, email=None, email_verified=False),
        replace(BARE, may_add=False),
        replace(SAFE, second_factors=frozenset({"sms", "totp"})),
    ],
)
def test_what_cannot_be_done_is_not_recommended(at: Standing) -> None:
    assert advice(at) == []
