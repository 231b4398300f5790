"""Codes by text message, NIST SP 800-63B-4 section 3.1.3."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from idp.factors.base import Challenge, Context, Further, Rejected
from idp.factors.sms import Sms, masked, parsed
from idp.model import Authenticator, User

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBER = "+4915123456789"
USER = User("u1", "cho", NOW, NOW, phone=NUMBER, phone_verified=True)
HELD = Authenticator("a1", "u1", "sms", NOW, data={"number": NUMBER}, name="•••• 89")
SMS = Sms({})


class Once:
    """The real port is tested elsewhere; this one remembers, and forgets nothing."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, key: str, ttl: timedelta) -> bool:
        fresh = key not in self.seen
        self.seen.add(key)
        return fresh


@pytest.fixture
def ctx() -> Context:
    return Context(NOW, "https://login.example.com:8443/idp", USER, (HELD,), Once())


def sent(challenge: Challenge) -> str:
    assert challenge.send is not None
    return str(challenge.send.values["code"])


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_the_code_that_was_sent_proves_the_number(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    assert asked.send is not None
    assert asked.send.to == NUMBER
    assert SMS.verify(ctx, asked, {"code": sent(asked)}) == HELD


def test_nothing_for_the_browser_or_a_log_holds_code_or_number(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    shown = f"{asked.public} {asked.form} {asked!r} {asked.send!r}"
    assert sent(asked) not in shown
    assert NUMBER not in shown
    assert asked.public == {"number": "•••• 89"}


def test_the_text_is_bound_to_the_origin(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    assert asked.send is not None
    assert asked.send.tail == f"@login.example.com #{sent(asked)}"


@pytest.mark.parametrize("spelling", ["{0} {1}", " {0}{1} ", "{0}-{1}", "{0}\t{1}"])
def test_spaces_are_dropped(ctx: Context, spelling: str) -> None:
    asked = SMS.begin(ctx)
    code = sent(asked)
    assert SMS.verify(ctx, asked, {"code": spelling.format(code[:3], code[3:])}) == HELD


FULL_WIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + n) for n in range(10)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda code: code[:5],
        lambda code: code + "0",
        lambda code: code.translate(FULL_WIDTH),
        lambda _: "abcdef",
        lambda code: code + "\0" * 10**6,
        wrong,
    ],
    ids=["nothing", "short", "long", "full width", "letters", "1 MB", "wrong"],
)
def test_what_is_not_the_code_is_refused(ctx: Context, spoil: Callable[[str], str]) -> None:
    asked = SMS.begin(ctx)
    with pytest.raises(Rejected):
        SMS.verify(ctx, asked, {"code": spoil(sent(asked))})


def test_a_code_works_once(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    SMS.verify(ctx, asked, {"code": sent(asked)})
    with pytest.raises(Rejected, match="used before"):
        SMS.verify(ctx, asked, {"code": sent(asked)})


@pytest.mark.parametrize(
    ("age", "good"),
    [(timedelta(minutes=5) - timedelta(seconds=1), True), (timedelta(minutes=5), False)],
)
def test_a_code_lives_five_minutes(ctx: Context, age: timedelta, good: bool) -> None:
    asked = SMS.begin(ctx)
    later = replace(ctx, now=NOW + age)
    if good:
        assert SMS.verify(later, asked, {"code": sent(asked)}) == HELD
        return
    with pytest.raises(Rejected) as refusal:
        SMS.verify(later, asked, {"code": sent(asked)})
    assert "too old" in refusal.value.public


def test_a_code_outlives_four_wrong_tries_and_not_five(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    for _ in range(4):
        with pytest.raises(Rejected, match="wrong code"):
            SMS.verify(ctx, asked, {"code": wrong(sent(asked))})
    assert SMS.verify(ctx, asked, {"code": sent(asked)}) == HELD
    other = SMS.begin(ctx)
    for _ in range(5):
        with pytest.raises(Rejected):
            SMS.verify(ctx, other, {"code": wrong(sent(other))})
    with pytest.raises(Rejected, match="too many tries"):
        SMS.verify(ctx, other, {"code": sent(other)})


def test_the_code_of_another_challenge_is_refused(ctx: Context) -> None:
    first, second = SMS.begin(ctx), SMS.begin(ctx)
    code = sent(first)
    if code == sent(second):
        code = wrong(code)
    with pytest.raises(Rejected):
        SMS.verify(ctx, second, {"code": code})


def test_a_number_that_was_removed_meanwhile_proves_nothing(ctx: Context) -> None:
    asked = SMS.begin(ctx)
    with pytest.raises(Rejected, match="removed"):
        SMS.verify(replace(ctx, held=()), asked, {"code": sent(asked)})


def test_the_number_used_last_gets_the_code(ctx: Context) -> None:
    newer = replace(HELD, id="a2", data={"number": "+4915199999999"}, last_used_at=NOW)
    asked = SMS.begin(replace(ctx, held=(HELD, newer)))
    assert asked.send is not None
    assert asked.send.to == "+4915199999999"


def test_binding_asks_for_the_number_and_then_for_its_code(ctx: Context) -> None:
    nothing = replace(ctx, held=())
    first = SMS.enroll(nothing)
    assert first.send is None
    assert "safer" in (first.form.text or "")
    with pytest.raises(Further) as more:
        SMS.confirm(nothing, first, {"number": "+49 1512 3456789"})
    second = more.value.challenge
    assert second.send is not None
    assert second.send.to == NUMBER
    bound = SMS.confirm(nothing, second, {"code": sent(second)})
    assert (bound.data, bound.name, bound.user_id) == ({"number": NUMBER}, "•••• 89", "u1")


def test_a_verified_number_is_filled_in(ctx: Context) -> None:
    assert SMS.enroll(ctx).form.fields[0].value == NUMBER
    unverified = replace(ctx, user=replace(USER, phone_verified=False))
    assert SMS.enroll(unverified).form.fields[0].value == ""


def test_a_number_is_bound_once(ctx: Context) -> None:
    with pytest.raises(Rejected) as refusal:
        SMS.confirm(ctx, SMS.enroll(ctx), {"number": NUMBER})
    assert "added already" in refusal.value.public


def test_a_wrong_code_binds_nothing(ctx: Context) -> None:
    nothing = replace(ctx, held=())
    with pytest.raises(Further) as more:
        SMS.confirm(nothing, SMS.enroll(nothing), {"number": NUMBER})
    second = more.value.challenge
    with pytest.raises(Rejected):
        SMS.confirm(nothing, second, {"code": wrong(sent(second)), "number": NUMBER})


def test_a_binding_can_be_sent_again(ctx: Context) -> None:
    nothing = replace(ctx, held=())
    with pytest.raises(Further) as more:
        SMS.confirm(nothing, SMS.enroll(nothing), {"number": NUMBER})
    again = SMS.resend(nothing, more.value.challenge)
    assert again.send is not None
    assert again.send.to == NUMBER
    assert SMS.resend(nothing, SMS.enroll(nothing)).send is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0151 23456789",
        "+49",
        "nonsense",
        "+4915123456789 ext. 5",
        "+" + "1" * 10**6,
        "+999123456",
    ],
)
def test_what_is_not_a_whole_number_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parsed(text)
    assert "country code" in refusal.value.public


def test_a_masked_number_keeps_two_digits() -> None:
    assert masked(NUMBER) == "•••• 89"


@pytest.mark.parametrize("section", [{"lifetime": "PT11M"}, {"tries": 0}, {"unknown": 1}])
def test_settings_that_break_the_rules_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Sms(section)
