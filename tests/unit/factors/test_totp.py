"""TOTP: RFC 6238's own numbers, its window, and that one code opens once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from pydantic import ValidationError

from idp.factors.base import Challenge, Context, Form, Rejected
from idp.factors.totp import PERIOD, Totp, digits
from idp.model import Authenticator, User

NOW = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30
SEED = b"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", RFC 6238 appendix B
OTHER = b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
USER = User("u1", "alice", NOW, NOW)
HELD = Authenticator("a1", "u1", "totp", NOW, SEED, {"note": "kept"})
FORM = Challenge(Form("", ()))
TOTP = Totp({})


def context(
    *held: Authenticator,
    now: datetime = NOW,
    user: User | None = USER,
    once: Callable[[str, timedelta], bool] = lambda key, ttl: True,
) -> Context:
    return Context(now, "https://login.example", user, held, once)


def code(step: int, seed: bytes = SEED) -> str:
    return pyotp.HOTP(seed.decode()).at(step)


def verify(ctx: Context, given: str) -> Authenticator:
    return TOTP.verify(ctx, FORM, {"code": given})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc6238_appendix_b(seconds: int, expected: str) -> None:
    """The SHA-1 column, of which six digits are the last six."""
    ctx = context(HELD, now=datetime.fromtimestamp(seconds, UTC))
    assert verify(ctx, expected[-6:]).data["last_step"] == seconds // 30


@pytest.mark.parametrize("offset", range(-2, 3))
@pytest.mark.parametrize("second", [0, 29])
def test_only_this_step_and_the_one_before(offset: int, second: int) -> None:
    ctx = context(HELD, now=datetime.fromtimestamp(STEP * 30 + second, UTC))
    if offset in (0, -1):
        assert verify(ctx, code(STEP + offset)).data["last_step"] == STEP + offset
    else:
        with pytest.raises(Rejected, match="wrong code"):
            verify(ctx, code(STEP + offset))


@pytest.mark.parametrize("shape", ["{}", " {}", "{} ", "{:.3} {}", "{}\u00a0", "{}\t", "-{}"])
def test_a_used_code_is_refused_in_every_spelling(shape: str) -> None:
    used = verify(context(HELD), code(STEP))
    spelled = code(STEP)[:3] + " " + code(STEP)[3:] if "." in shape else shape.format(code(STEP))
    assert verify(context(HELD), spelled).data["last_step"] == STEP
    with pytest.raises(Rejected, match="used before"):
        verify(context(used), spelled)


def test_steps_only_increase() -> None:
    used = verify(context(HELD), code(STEP))
    assert used == replace(HELD, data={"note": "kept", "last_step": STEP})
    with pytest.raises(Rejected, match="used before"):
        verify(context(used), code(STEP - 1))
    later = verify(context(used, now=NOW + PERIOD), code(STEP + 1))
    assert later.data["last_step"] == STEP + 1


def test_two_processes_at_once() -> None:
    asked: list[tuple[str, timedelta]] = []

    def second(key: str, ttl: timedelta) -> bool:
        asked.append((key, ttl))
        return False

    with pytest.raises(Rejected, match="used before"):
        verify(context(HELD, once=second), code(STEP))
    assert asked == [(f"totp:a1:{STEP}", PERIOD * 4)]


def test_each_of_several_authenticators() -> None:
    mine = replace(HELD, id="a2", secret=OTHER)
    assert verify(context(HELD, mine), code(STEP, OTHER)).id == "a2"
    assert verify(context(HELD, mine), code(STEP)).id == "a1"
    with pytest.raises(Rejected, match="wrong code"):
        verify(context(HELD), code(STEP, OTHER))
    with pytest.raises(Rejected, match="wrong code"):
        verify(context(), code(STEP))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        "１２３４５６",  # noqa: RUF001 - full-width on purpose
        "١٢٣٤٥٦",
        "12345²",
        "+12345",
        "123.456",
        "123\u2028456",
        "123456" + " " * 59,
    ],
)
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(Rejected, match="not a code"):
        digits(text)


def test_a_missing_field_is_no_code() -> None:
    with pytest.raises(Rejected, match="not a code"):
        TOTP.verify(context(HELD), FORM, {})


def test_what_is_a_code() -> None:
    assert {digits(t) for t in ("012 345", "012-345", "012345" + " " * 58, "\t012345\r\n")} == {
        "012345"
    }


def test_enrolling_by_the_uri() -> None:
    totp = Totp({"issuer_name": "Example & Co"})
    asked = totp.enroll(context())
    uri = urlsplit(asked.public["provisioning_uri"])
    query = parse_qs(uri.query)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert query["issuer"] == ["Example & Co"]
    assert uri.path.endswith(":alice")
    seed = query["secret"][0].encode()
    assert len(seed) == 32
    assert "seed" not in asked.public
    assert f"'seed': '{asked.private['seed']}'" not in repr(asked)
    assert asked.private["seed"] != totp.enroll(context()).private["seed"]
    made = totp.confirm(context(), asked, {"code": code(STEP, seed)})
    assert (made.user_id, made.factor, made.secret, made.created_at) == ("u1", "totp", seed, NOW)
    assert made.data == {"last_step": STEP}
    with pytest.raises(Rejected, match="used before"):
        verify(context(made), code(STEP, seed))
    later = context(made, now=NOW + PERIOD)
    assert totp.verify(later, FORM, {"code": code(STEP + 1, seed)}).id == made.id
    with pytest.raises(Rejected, match="wrong code"):
        totp.confirm(context(), asked, {"code": code(STEP + 1, seed)})


def test_nobody_to_enroll() -> None:
    asked = TOTP.enroll(context())
    with pytest.raises(Rejected, match="nobody"):
        TOTP.enroll(context(user=None))
    with pytest.raises(Rejected, match="nobody"):
        TOTP.confirm(context(user=None), asked, {"code": code(STEP)})


def test_availability_form_and_settings() -> None:
    assert TOTP.available(context(HELD))
    assert not TOTP.available(context())
    assert TOTP.available(context()).reason == "no authenticator app is enrolled"
    (field,) = TOTP.begin(context(HELD)).form.fields
    assert (field.name, field.autocomplete, field.inputmode) == ("code", "one-time-code", "numeric")
    assert (TOTP.amr, TOTP.identifies, TOTP.phishing_resistant) == (("otp",), False, False)
    with pytest.raises(ValidationError):
        Totp({"window": 5})
