"""What the conformance kit puts to a factor: wrong answers, odd ones, and how they are taken."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from threading import Lock

from idp.factors.base import Answer, Challenge, Context, Form, Further, Rejected
from idp.model import Authenticator

Answering = Callable[[Context, Challenge], Answer]
MEGABYTE = "7" * 1_000_000
FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}


class Once:
    """As the provider's: True for the first caller, in however many threads."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = Lock()

    def __call__(self, key: str, ttl: timedelta) -> bool:
        with self._lock:
            first = key not in self._seen
            self._seen.add(key)
            return first


def by_person(answers: Sequence[Answer]) -> Answering:
    def answer(ctx: Context, asked: Challenge) -> Answer:
        number = int(ctx.user.id.rpartition("-")[2]) if ctx.user is not None else 0
        return answers[number % len(answers)]

    return answer


def variants(right: Answer) -> Iterator[tuple[str, Answer]]:
    """What nobody may get in with, by what is wrong with it."""
    for name, value in right.items():
        other = "0" if value[:1] != "0" else "1"
        yield "an empty answer", {**right, name: ""}
        yield "an answer without its last character", {**right, name: value[:-1]}
        yield "an answer that is wrong in its first character", {**right, name: other + value[1:]}
        yield "a NUL in an answer", {**right, name: value[:-1] + "\0"}
        yield "a megabyte", {**right, name: MEGABYTE}
        if value.translate(FULL_WIDTH) != value:
            yield "full-width digits", {**right, name: value.translate(FULL_WIDTH)}


def odd(right: Answer) -> Iterator[Answer]:
    """What may or may not be taken for the right one."""
    yield {"no_such_field": "x"}
    for name, value in right.items():
        yield {**right, name: f" {value}\t"}
        yield {**right, name: f"{value}\0"}
        yield {**right, name: f"{value}\ud800"}
        yield {**right, name: f"\u202e{value}"}
        yield {**right, name: "\U0010ffff"}


def rejection(
    take: Callable[[Context, Challenge, Answer], Authenticator],
    ctx: Context,
    asked: Challenge,
    answer: Answer,
) -> Rejected | None:
    """Why it was refused; None for what was taken. Whatever else is raised fails the test."""
    try:
        take(ctx, asked, answer)
    except Further:
        raise
    except Rejected as refused:
        return refused
    except Exception as problem:
        raise AssertionError(
            f"{type(problem).__name__} instead of Rejected for {short(answer)}"
        ) from problem
    return None


def stored(asked: Challenge) -> Challenge:
    """As it comes back: the form is not kept, the values went through JSON."""
    try:
        public, private = json.loads(json.dumps([dict(asked.public), dict(asked.private)]))
    except TypeError as problem:
        raise AssertionError(f"Challenge: public and private are plain values; {problem}") from None
    return Challenge(Form("", ()), public, private)


def hidden(text: str, secrets: Iterable[str], where: str) -> None:
    for secret in secrets:
        assert len(secret) < 4 or secret not in text, f"{where} shows a secret"


def not_now(key: str, ttl: timedelta) -> bool:
    raise AssertionError("available: calls ctx.once")


def short(answer: Answer) -> str:
    return str({name: value[:20] for name, value in answer.items()})
