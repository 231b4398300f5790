"""Recovery codes: what is issued, what people type, once and no more."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from idp.factors.base import Context, Rejected
from idp.factors.recovery_code import ALPHABET, CODES, RecoveryCode, issue, live, parsed, superseded
from idp.model import Authenticator, User
from tests.house import START

USER = User("u1", "eli", START, START)
FACTOR = RecoveryCode({})
DAY = timedelta(days=1)


def context(
    held: tuple[Authenticator, ...], *, once: bool = True, later: timedelta = DAY
) -> Context:
    return Context(START + later, "https://idp.example", USER, held, lambda _key, _ttl: once)


def verify(code: str, held: tuple[Authenticator, ...], **more: object) -> Authenticator:
    ctx = context(held, **more)  # type: ignore[arg-type]
    return FACTOR.verify(ctx, FACTOR.begin(ctx), {"code": code})


def test_a_set_has_ten_codes_of_a_selector_and_80_bits() -> None:
    issued = issue("u1", START)
    assert len(set(issued.codes)) == len(issued.authenticators) == CODES
    for code in issued.codes:
        groups = code.split("-")
        assert [len(group) for group in groups] == [4] * 5
        assert set("".join(groups)) <= set(ALPHABET)
    assert len({a.data["selector"] for a in issued.authenticators}) == CODES


def test_all_bits_of_the_randomness_are_in_the_code() -> None:
    (lowest,) = issue("u1", START, 1, randbits=lambda bits: 0).codes
    (highest,) = issue("u1", START, 1, randbits=lambda bits: 2**bits - 1).codes
    assert (lowest, highest) == ("0000-0000-0000-0000-0000", "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ")


def test_two_codes_of_a_set_never_share_a_selector() -> None:
    numbers: Iterator[int] = iter([1 << 80, 1 << 80, 2 << 80])
    issued = issue("u1", START, 2, randbits=lambda _bits: next(numbers))
    assert [code[:4] for code in issued.codes] == ["0001", "0002"]


def test_nothing_kept_or_shown_holds_the_code() -> None:
    issued = issue("u1", START)
    for code, kept in zip(issued.codes, issued.authenticators, strict=True):
        secret = code.replace("-", "")[4:]
        assert kept.secret.startswith(b"$argon2id$")
        assert secret not in repr(issued) + repr(kept) + kept.secret.decode() + str(kept.data)


@pytest.mark.parametrize(
    "typed",
    [
        "ABCD-0123-1111-EFGH-JKMN",
        "abcd-0123-1111-efgh-jkmn",
        "ABCDO123ILIlEFGHJKMN",
        "  abcd o123 ilil efgh jkmn\r\n",
        "ABCD\u20110123\u20131111\u2014EFGH\u00a0JKMN",
        "A_B_C_D 0 1 2 3 L L L L EFGH JKMN",
    ],
)
def test_what_people_type_is_read_as_meant(typed: str) -> None:
    assert parsed(typed) == ("ABCD", "01231111EFGHJKMN")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "ABCD",
        "ABCD-0123-1111-EFGH-JKM",
        "ABCD-0123-1111-EFGH-JKMNP",
        "ABCD-0123-1111-EFGH-JKMU",  # no U in Crockford's alphabet
        "ABCD-0123-1111-EFGH-JKM!",
        "\uff21BCD-0123-1111-EFGH-JKMN",  # a full-width A
        "ABCD-0123-1111-EFGH-JKM\u0130",
        "ABCD-0123-1111-EFGH-JKM\u00df",  # upper case of it has two letters
        "\x00" * 20,
        "ABCD-0123-1111-EFGH-JKMN".ljust(129),
        "A" * 1_000_000,
    ],
)
def test_anything_else_is_no_code(typed: str) -> None:
    with pytest.raises(Rejected, match="not a recovery code"):
        parsed(typed)


def test_a_code_is_disabled_by_its_use() -> None:
    issued = issue("u1", START)
    used = verify(issued.codes[3].lower(), issued.authenticators)
    assert used == replace(issued.authenticators[3], disabled_at=START + DAY)
    rest = tuple(used if a.id == used.id else a for a in issued.authenticators)
    assert len(live(rest, START + DAY)) == CODES - 1
    with pytest.raises(Rejected, match="wrong"):
        verify(issued.codes[3], rest)


def test_the_second_of_two_at_once_is_refused() -> None:
    issued = issue("u1", START)
    with pytest.raises(Rejected, match="used before"):
        verify(issued.codes[0], issued.authenticators, once=False)


def test_a_wrong_code_is_asked_of_nobody_else() -> None:
    """Only a right one reaches `once`, so that guessing uses up nothing."""
    issued = issue("u1", START)
    asked: list[str] = []
    ctx = replace(context(issued.authenticators), once=lambda key, _ttl: not asked.append(key))
    for code in ("0" * 20, issued.codes[0][:-1] + "0", issued.codes[0][:4] + issued.codes[1][4:]):
        if code != issued.codes[0]:
            with pytest.raises(Rejected, match="wrong"):
                FACTOR.verify(ctx, FACTOR.begin(ctx), {"code": code})
    assert asked == []
    FACTOR.verify(ctx, FACTOR.begin(ctx), {"code": issued.codes[0]})
    assert len(asked) == 1


def test_a_newer_set_puts_the_older_one_out_of_use_even_while_both_are_kept() -> None:
    old, new = issue("u1", START), issue("u1", START + timedelta(microseconds=1))
    both = (*old.authenticators, *new.authenticators)
    assert superseded(both) == old.authenticators
    with pytest.raises(Rejected):
        verify(old.codes[0], both)
    assert verify(new.codes[0], both).data["set"] == new.id


def test_of_two_sets_of_one_instant_one_lives() -> None:
    both = (*issue("u1", START).authenticators, *issue("u1", START).authenticators)
    assert len(live(both, START)) == CODES
    assert len({a.data["set"] for a in live(both, START)}) == 1


def test_a_helped_code_expires_and_leaves_the_persons_own_alone() -> None:
    own = issue("u1", START)
    helped = issue("u1", START + timedelta(hours=1), 1, expires_at=START + 2 * DAY)
    both = (*own.authenticators, *helped.authenticators)
    (code,) = helped.codes
    assert verify(code, both, later=2 * DAY - timedelta(seconds=1)).data["set"] == helped.id
    assert verify(own.codes[0], both).data["set"] == own.id
    with pytest.raises(Rejected):
        verify(code, both, later=2 * DAY)
    assert len(live(both, START + 2 * DAY)) == CODES


def test_it_is_offered_while_a_code_is_left() -> None:
    issued = issue("u1", START, 1)
    assert FACTOR.available(context(issued.authenticators))
    assert FACTOR.holds(context(issued.authenticators))
    spent = tuple(replace(a, disabled_at=START) for a in issued.authenticators)
    assert not FACTOR.available(context(spent))
    assert not FACTOR.holds(context(()))


def test_nobody_enrolls_one() -> None:
    with pytest.raises(Rejected):
        FACTOR.enroll(context(()))
    with pytest.raises(Rejected):
        FACTOR.confirm(context(()), FACTOR.begin(context(())), {"code": "0" * 20})


def test_it_has_no_settings() -> None:
    with pytest.raises(ValueError, match="no settings"):
        RecoveryCode({"count": 3})


def test_a_wrong_selector_costs_a_hash_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.factors import recovery_code

    hashes = count()
    verify_hash = recovery_code._matches
    monkeypatch.setattr(
        recovery_code, "_matches", lambda *given: (next(hashes), verify_hash(*given))[1]
    )
    issued = issue("u1", START, 1, randbits=lambda _bits: 1)
    for code in ("ZZZZ" + "0" * 16, "0" * 20):
        with pytest.raises(Rejected):
            verify(code, issued.authenticators)
    assert next(hashes) == 2
