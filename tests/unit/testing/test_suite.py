"""The kit for factors: a good one passes, and each thing that can be wrong with one is found."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from idp.factors.base import (
    Answer,
    Available,
    Challenge,
    Context,
    Field,
    Form,
    Further,
    Kind,
    Rejected,
)
from idp.model import Authenticator
from idp.testing import factor_suite

ANSWERS: tuple[Answer, Answer] = ({"word": "sesame 17"}, {"word": "barley 42"})


class Good:
    """A word that is kept as it is: no example of how to keep one."""

    name = "word"
    label = "Word"
    amr: tuple[str, ...] = ("kba",)
    kind = Kind.KNOWS
    phishing_resistant = False
    identifies = True

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if settings:
            raise ValueError("it has no settings")

    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held), "" if ctx.held else "no word is set")

    def begin(self, ctx: Context) -> Challenge:
        return Challenge(Form("Say the word", (Field("word", "Word", "password"),)))

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        given = answer.get("word", "").encode("utf-8", "replace")
        for held in ctx.held:
            if hmac.compare_digest(held.secret, given):
                return replace(held, data={"uses": held.data["uses"] + 1})
        raise Rejected("wrong word")

    def enroll(self, ctx: Context) -> Challenge:
        return self.begin(ctx)

    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        word = answer.get("word", "")
        if ctx.user is None or not 4 < len(word) < 64 or not word.isascii():
            raise Rejected("a word of 5 to 63 characters")
        secret, data = word.encode(), {"uses": 0}
        return Authenticator(uuid4().hex, ctx.user.id, self.name, ctx.now, secret, data)


class TwoQuestions(Good):
    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        found = super().confirm(ctx, asked, answer)
        if not asked.private:
            raise Further(replace(self.begin(ctx), private={"again": True}))
        return found


TestGood = factor_suite(Good, answers=ANSWERS)
TestTwoQuestions = factor_suite(TwoQuestions, answers=ANSWERS)


class NoName(Good):
    name = "The Word"


class NoAmr(Good):
    amr = ()


class TakesAnySetting(Good):
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings


class TakesACsrfField(Good):
    def begin(self, ctx: Context) -> Challenge:
        return Challenge(Form("Say the word", (Field("csrf", "Word"),)))


class KeepsBytes(Good):
    def begin(self, ctx: Context) -> Challenge:
        return replace(super().begin(ctx), private={"nonce": b"\0"})


class NoReason(Good):
    def available(self, ctx: Context) -> Available:
        return Available(bool(ctx.held))


class UsesUpByLooking(Good):
    def available(self, ctx: Context) -> Available:
        return Available(ctx.once("looked", timedelta(1)), "looked before")


class BindsForNobody(Good):
    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        return replace(super().confirm(ctx, asked, answer), user_id="somebody")


class ReadsTheClock(Good):
    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        now = datetime(2020, 1, 1, tzinfo=UTC)
        return replace(super().confirm(ctx, asked, answer), created_at=now)


class ExpiresByItsOwnClock(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if ctx.now > datetime(2027, 1, 1, tzinfo=UTC):
            raise Rejected("too late")
        return super().verify(ctx, asked, answer)


class RemembersWhoIsAsking(Good):
    def begin(self, ctx: Context) -> Challenge:
        self.user = ctx.user
        return super().begin(ctx)

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        found = super().verify(ctx, asked, answer)
        return replace(found, user_id=self.user.id if self.user else "")


class ChangesWhatIsHeld(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        found = super().verify(ctx, asked, answer)
        ctx.held[0].data["uses"] += 1  # type: ignore[index]
        return found


class FoldsDigits(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        import unicodedata

        word = unicodedata.normalize("NFKC", answer.get("word", ""))
        return super().verify(ctx, asked, {"word": word})


class Truncates(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        held = ctx.held[0] if ctx.held else None
        word = answer.get("word", "").encode("utf-8", "replace")
        if held is None or len(word) < 5 or held.secret[:5] != word[:5]:
            raise Rejected("wrong word")
        return held


class NeedsAField(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        return super().verify(ctx, asked, {"word": answer["word"]})


class EncodesStrictly(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        answer.get("word", "").encode()
        return super().verify(ctx, asked, answer)


class BindsAnything(Good):
    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        word = answer.get("word", "").encode("utf-8", "replace")
        assert ctx.user is not None
        return Authenticator(uuid4().hex, ctx.user.id, self.name, ctx.now, word, {"uses": 0})


class TakesAnybodysWord(Good):
    words: tuple[bytes, ...] = tuple(a["word"].encode() for a in ANSWERS)

    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if answer.get("word", "").encode("utf-8", "replace") in self.words and ctx.held:
            return ctx.held[0]
        raise Rejected("wrong word")


class LetsAnybodyIn(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        if not ctx.held:
            return Authenticator("none", "user-0", self.name, ctx.now)
        return super().verify(ctx, asked, answer)


class TellsWhatWasTyped(Good):
    def verify(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        try:
            return super().verify(ctx, asked, answer)
        except Rejected:
            raise Rejected(f"wrong word {answer.get('word')}") from None


class TellsInItsData(Good):
    def confirm(self, ctx: Context, asked: Challenge, answer: Answer) -> Authenticator:
        found = super().confirm(ctx, asked, answer)
        return replace(found, data={"uses": 0, "word": answer["word"]})


class TellsTheBrowser(Good):
    def begin(self, ctx: Context) -> Challenge:
        words = [held.secret.decode() for held in ctx.held]
        return replace(super().begin(ctx), public={"hint": words})


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (NoName, "it_says_what_it_is"),
        (NoAmr, "it_says_what_it_is"),
        (TakesAnySetting, "it_refuses_settings_that_it_does_not_know"),
        (TakesACsrfField, "its_forms_are_plain_fields"),
        (KeepsBytes, "what_was_bound_is_what_is_proven"),
        (NoReason, "whether_it_is_available_is_only_looked_at"),
        (UsesUpByLooking, "whether_it_is_available_is_only_looked_at"),
        (BindsForNobody, "what_was_bound_is_what_is_proven"),
        (ReadsTheClock, "what_was_bound_is_what_is_proven"),
        (ExpiresByItsOwnClock, "time_is_what_it_is_told"),
        (RemembersWhoIsAsking, "people_at_the_same_time_do_not_disturb_each_other"),
        (ChangesWhatIsHeld, "what_it_is_given_stays_as_it_was"),
        (FoldsDigits, "a_wrong_answer_is_rejected"),
        (Truncates, "a_wrong_answer_is_rejected"),
        (NeedsAField, "a_wrong_answer_is_rejected"),
        (EncodesStrictly, "an_odd_answer_raises_nothing_else"),
        (BindsAnything, "nothing_is_bound_by_nothing_or_by_a_megabyte"),
        (TakesAnybodysWord, "somebody_elses_answer_is_rejected"),
        (LetsAnybodyIn, "who_has_nothing_proves_nothing"),
        (TellsWhatWasTyped, "no_secret_shows"),
        (TellsInItsData, "no_secret_shows"),
        (TellsTheBrowser, "no_secret_shows"),
    ],
)
def test_what_is_wrong_with_a_factor_is_found(
    broken: Callable[[Mapping[str, Any]], Any], found_by: str
) -> None:
    suite = factor_suite(broken, answers=ANSWERS)
    with pytest.raises(AssertionError):
        getattr(suite(), f"test_{found_by}")()
