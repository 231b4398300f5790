"""What a person holds, and changing it: the last way in, bindings, names, codes."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pyotp
import pytest

from idp.errors import IdpError, LastWayIn, NotConfirmed, NotFound, NotSent, Refused
from idp.factors.admin import AuthenticatorAdmin
from idp.model import Authenticator, Message
from tests.house import House, build

SECOND = ["totp", "sms", "webauthn", "recovery_code"]
ACR = {"aal1": {"any_of": [["password"]]}, "aal2": {"any_of": [["password", SECOND]]}}
CHEAP = {"password": {"memory_kib": 8192, "iterations": 1}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from housed(tmp_path)


def housed(folder: Path, **settings: Any) -> Iterator[House]:
    built = build(folder, factors=CHEAP, **{"acr": ACR, **settings})
    yield built
    built.app.close()


@pytest.fixture
def admin(house: House) -> AuthenticatorAdmin:
    return house.app.authenticators


def sub(house: House, name: str) -> str:
    return str(house.users[name]["sub"])


def one(admin: AuthenticatorAdmin, user_id: str, factor: str) -> Authenticator:
    (found,) = [a for a in admin.of(user_id) if a.factor == factor]
    return found


def bind_totp(house: House, user_id: str, name: str = "") -> Authenticator:
    admin = house.app.authenticators
    seed = admin.begin(user_id, "totp").public["secret"]
    code = pyotp.TOTP(seed).at(house.clock())
    bound = admin.confirm(user_id, "totp", {"code": code}, actor=user_id, name=name)
    assert isinstance(bound, Authenticator)
    return bound


def choose(house: House, user_id: str, acr: str | None) -> None:
    user = house.app.authenticators.user(user_id)
    house.app.stores.users.save(replace(user, require_acr=acr))


def emitted(house: House, event: str) -> list[tuple[str, str]]:
    rows = [row for _, row in house.app.stores.audit.read(limit=1000)]
    return [(r.detail["factor"], r.detail["actor"]) for r in rows if r.event == event]


# The last way in


@pytest.mark.parametrize(
    ("held", "require_acr", "removed", "kept"),
    [
        (("password", "totp"), None, "totp", False),  # a password alone reaches aal1
        (("password", "totp"), None, "password", True),
        (("password", "totp"), "aal2", "totp", True),  # the person's own choice
        (("password", "totp", "webauthn"), "aal2", "totp", False),
        (("password", "totp", "webauthn"), "aal2", "password", True),
        (("password", "totp", "recovery_code"), "aal2", "totp", True),  # codes run out
        (("password", "totp", "recovery_code"), "aal2", "recovery_code", False),
        (("password", "totp", "sms"), "aal2", "totp", False),
        (("password",), None, "password", True),
    ],
)
def test_what_remains_must_reach_what_the_person_has_to(
    house: House,
    admin: AuthenticatorAdmin,
    held: tuple[str, ...],
    require_acr: str | None,
    removed: str,
    kept: bool,
) -> None:
    ben = sub(house, "ben")
    for factor in held[1:]:
        house.app.stores.authenticators.add(
            Authenticator(f"{factor}1", ben, factor, house.clock(), data={"set": "s"})
        )
    choose(house, ben, require_acr)
    before, gone = admin.of(ben), one(admin, ben, removed)
    if kept:
        with pytest.raises(LastWayIn):
            admin.remove(ben, gone.id, actor=ben)
        assert admin.of(ben) == before
        assert emitted(house, "authenticator_removed") == []
    else:
        admin.remove(ben, gone.id, actor=ben)
        assert gone not in admin.of(ben)
        assert emitted(house, "authenticator_removed") == [(removed, ben)]


def test_the_default_level_counts_as_well(tmp_path: Path) -> None:
    for house in housed(tmp_path, flow={"default_acr": "aal2"}):
        admin, amy = house.app.authenticators, sub(house, "amy")
        with pytest.raises(LastWayIn):
            admin.remove(amy, one(admin, amy, "totp").id, actor=amy)


def test_what_needs_messages_is_no_way_in_while_none_can_be_sent(
    house: House, admin: AuthenticatorAdmin
) -> None:
    class Silent:
        def delivers(self, kind: str) -> bool:
            return False

    amy = sub(house, "amy")
    house.app.stores.authenticators.add(Authenticator("s1", amy, "sms", house.clock()))
    choose(house, amy, "aal2")
    ways = admin.can_sign_in.__self__  # type: ignore[attr-defined]
    mute = replace(admin, can_sign_in=replace(ways, courier=Silent()).can_sign_in)
    with pytest.raises(LastWayIn):
        mute.remove(amy, one(admin, amy, "totp").id, actor=amy)
    admin.remove(amy, one(admin, amy, "totp").id, actor=amy)


def test_two_that_are_removed_at_once_are_not_both_gone(
    house: House, admin: AuthenticatorAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was checked while the other was still there."""
    ben = sub(house, "ben")
    first = bind_totp(house, ben)
    second = Authenticator("k1", ben, "webauthn", house.clock())
    house.app.stores.authenticators.add(second)
    choose(house, ben, "aal2")
    gate, remove = Barrier(2), house.app.stores.authenticators.remove

    def together(authenticator_id: str) -> None:
        gate.wait(10)
        remove(authenticator_id)
        gate.wait(10)

    monkeypatch.setattr(house.app.stores.authenticators, "remove", together)

    def attempt(authenticator_id: str) -> str:
        try:
            admin.remove(ben, authenticator_id, actor=ben)
        except LastWayIn:
            return "kept"
        return "gone"

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(attempt, (first.id, second.id)))
    user = admin.user(ben)
    assert "kept" in done
    assert admin.can_sign_in(user, admin.of(ben))


def test_nobody_removes_or_names_what_is_another_persons(
    house: House, admin: AuthenticatorAdmin
) -> None:
    amys = one(admin, sub(house, "amy"), "totp")
    for change in (
        lambda: admin.remove(sub(house, "ben"), amys.id, actor="x"),
        lambda: admin.rename(sub(house, "ben"), amys.id, "mine", actor="x"),
    ):
        with pytest.raises(NotFound):
            change()
    assert one(admin, sub(house, "amy"), "totp") == amys


# Bindings


def test_what_is_bound_has_its_name_and_is_told(house: House, admin: AuthenticatorAdmin) -> None:
    ben = sub(house, "ben")
    bound = bind_totp(house, ben, " Work phone ")
    assert one(admin, ben, "totp") == bound
    assert bound.name == "Work phone"
    assert admin.under_way(ben, "totp") is None
    assert emitted(house, "authenticator_added")[-1] == ("totp", ben)


def test_a_page_that_is_loaded_again_shows_the_same_key_and_another_person_sees_none(
    house: House, admin: AuthenticatorAdmin
) -> None:
    ben = sub(house, "ben")
    begun = admin.begin(ben, "totp")
    assert admin.under_way(ben, "totp") == begun
    assert admin.under_way(sub(house, "cyd"), "totp") is None
    assert admin.begin(ben, "totp") != begun  # beginning again is a new key


def test_a_wrong_code_binds_nothing_and_keeps_the_key(
    house: House, admin: AuthenticatorAdmin
) -> None:
    ben = sub(house, "ben")
    begun = admin.begin(ben, "totp")
    with pytest.raises(NotConfirmed) as refused:
        admin.confirm(ben, "totp", {"code": "000000"}, actor=ben)
    assert refused.value.code == "wrong"
    assert admin.under_way(ben, "totp") == begun
    assert [a.factor for a in admin.of(ben)] == ["password"]


def test_too_many_wrong_codes_have_to_wait(house: House, admin: AuthenticatorAdmin) -> None:
    ben = sub(house, "ben")
    seed = admin.begin(ben, "totp").public["secret"]
    for _ in range(5):
        with pytest.raises(NotConfirmed):
            admin.confirm(ben, "totp", {"code": "000000"}, actor=ben)
    right = {"code": pyotp.TOTP(seed).at(house.clock())}
    with pytest.raises(NotConfirmed) as refused:
        admin.confirm(ben, "totp", right, actor=ben)
    assert refused.value.code == "wait"
    assert refused.value.retry_at == house.clock() + timedelta(seconds=30)


def test_beginning_again_does_not_reset_the_count(house: House, admin: AuthenticatorAdmin) -> None:
    ben, codes = sub(house, "ben"), []
    for _ in range(6):
        admin.begin(ben, "totp")
        with pytest.raises(NotConfirmed) as refused:
            admin.confirm(ben, "totp", {"code": "000000"}, actor=ben)
        codes.append(refused.value.code)
    assert codes == ["wrong"] * 5 + ["wait"]


def test_what_is_not_under_way_binds_nothing(house: House, admin: AuthenticatorAdmin) -> None:
    ben = sub(house, "ben")
    with pytest.raises(NotConfirmed) as refused:
        admin.confirm(ben, "totp", {"code": "000000"}, actor=ben)
    assert refused.value.code == "stale"
    with pytest.raises(Refused):
        admin.resend(ben, "sms")


def test_one_binding_makes_one_authenticator_however_often_it_is_confirmed(
    house: House, admin: AuthenticatorAdmin
) -> None:
    ben = sub(house, "ben")
    seed = admin.begin(ben, "totp").public["secret"]
    right = {"code": pyotp.TOTP(seed).at(house.clock())}
    gate = Barrier(4)

    def confirm(_: int) -> str:
        gate.wait(10)
        try:
            admin.confirm(ben, "totp", right, actor=ben)
        except IdpError as error:
            return error.code
        return "bound"

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(confirm, range(4)))
    assert done.count("bound") == 1
    assert len([a for a in admin.of(ben) if a.factor == "totp"]) == 1


def test_a_number_then_the_code_that_went_to_it_then_another_one(
    house: House, admin: AuthenticatorAdmin
) -> None:
    ben = sub(house, "ben")
    asked = admin.begin(ben, "sms")
    number = {asked.form.fields[0].name: str(house.users["ben"]["phone"])}
    admin.confirm(ben, "sms", number, actor=ben)
    (_, first), *_ = house.outbox.messages()
    again = admin.under_way(ben, "sms")
    assert again is not None
    assert again.form.fields[0].name == "code"
    assert len(house.outbox.messages()) == 1  # showing it sends nothing
    with pytest.raises(NotSent):  # too soon; the first one goes on
        admin.resend(ben, "sms")
    assert admin.under_way(ben, "sms") == again
    house.clock.advance(timedelta(minutes=1))
    admin.resend(ben, "sms")
    (_, second), *_ = house.outbox.messages()
    assert {first.to, second.to} == {house.users["ben"]["phone"]}
    with pytest.raises(NotConfirmed):
        admin.confirm(ben, "sms", {"code": code_in(first)}, actor=ben)
    bound = admin.confirm(ben, "sms", {"code": code_in(second)}, actor=ben)
    assert isinstance(bound, Authenticator)


def code_in(message: Message) -> str:
    found = re.search(r"\b\d{6}\b", message.text)
    assert found
    return found[0]


def test_what_may_have_gone_out_can_still_be_typed(
    house: House, admin: AuthenticatorAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway took it and then failed: nobody knows, and the code works."""
    sent: list[Message] = []

    def fail(message: Message) -> None:
        sent.append(message)
        raise OSError("down")

    ben = sub(house, "ben")
    asked = admin.begin(ben, "sms")
    monkeypatch.setattr(house.outbox, "send", fail)
    number = {asked.form.fields[0].name: str(house.users["ben"]["phone"])}
    with pytest.raises(NotSent) as refused:
        admin.confirm(ben, "sms", number, actor=ben)
    assert "down" not in refused.value.public
    assert [a.factor for a in admin.of(ben)] == ["password"]
    bound = admin.confirm(ben, "sms", {"code": code_in(sent[0])}, actor=ben)
    assert isinstance(bound, Authenticator)


def test_what_was_not_sent_leaves_the_binding_as_it_was(tmp_path: Path) -> None:
    for house in housed(tmp_path, sms={"regions": ["FR"]}):
        admin, ben = house.app.authenticators, sub(house, "ben")
        asked = admin.begin(ben, "sms")
        number = {"number": str(house.users["ben"]["phone"])}
        with pytest.raises(NotSent):
            admin.confirm(ben, "sms", number, actor=ben)
        assert admin.under_way(ben, "sms") == asked
        assert house.outbox.messages() == ()


def test_what_is_offered_is_what_can_be_bound(house: House, admin: AuthenticatorAdmin) -> None:
    """A second password, a recovery code and what cannot be delivered are not."""
    ben = sub(house, "ben")
    assert {f.name for f in admin.offers(ben)} == {"totp", "sms", "webauthn"}
    house.app.stores.authenticators.remove(one(admin, ben, "password").id)
    assert "password" in {f.name for f in admin.offers(ben)}


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        ("password", "already_enrolled"),
        ("recovery_code", "not_enrollable"),
        ("nonsense", "unknown_method"),
    ],
)
def test_what_is_not_offered_is_not_begun(
    house: House, admin: AuthenticatorAdmin, factor: str, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        admin.begin(sub(house, "ben"), factor)
    assert refused.value.code == reason


def test_without_a_gateway_a_number_cannot_be_added(
    house: House, admin: AuthenticatorAdmin
) -> None:
    class Silent:
        def delivers(self, kind: str) -> bool:
            return False

    mute = replace(admin, carrier=Silent())  # type: ignore[arg-type]
    with pytest.raises(Refused) as refused:
        mute.begin(sub(house, "ben"), "sms")
    assert refused.value.code == "not_deliverable"
    assert "sms" not in {f.name for f in mute.offers(sub(house, "ben"))}


# Names


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "\x1b[31m", "\u202eabc"])
def test_a_bad_name_is_refused(house: House, admin: AuthenticatorAdmin, name: str) -> None:
    amy = sub(house, "amy")
    before = one(admin, amy, "totp")
    with pytest.raises(Refused):
        admin.rename(amy, before.id, name, actor=amy)
    assert one(admin, amy, "totp") == before


def test_a_name_is_changed(house: House, admin: AuthenticatorAdmin) -> None:
    amy = sub(house, "amy")
    named = admin.rename(amy, one(admin, amy, "totp").id, " Téléphone 📱 ", actor=amy)
    assert one(admin, amy, "totp") == named
    assert named.name == "Téléphone 📱"


@pytest.mark.parametrize(
    "call",
    [
        lambda admin: admin.of("nobody"),
        lambda admin: admin.offers("nobody"),
        lambda admin: admin.begin("nobody", "totp"),
        lambda admin: admin.confirm("nobody", "totp", {}, actor="x"),
        lambda admin: admin.issue_codes("nobody", actor="x"),
        lambda admin: admin.issue_rescue("nobody", timedelta(days=1), actor="x"),
        lambda admin: admin.codes_left("nobody"),
    ],
)
def test_nobody_has_nothing(admin: AuthenticatorAdmin, call: Any) -> None:
    with pytest.raises(NotFound):
        call(admin)


# Codes


def test_new_codes_end_the_old_ones_used_or_not(house: House, admin: AuthenticatorAdmin) -> None:
    eli = sub(house, "eli")
    fresh = admin.issue_codes(eli, actor="cli")
    assert len(set(fresh)) == 10
    kept = [a for a in house.app.stores.authenticators.of(eli) if a.factor == "recovery_code"]
    assert len(kept) == admin.codes_left(eli) == 10
    assert emitted(house, "authenticator_added")[-1] == ("recovery_code", "cli")


def test_a_helped_code_works_beside_the_persons_own_until_it_expires(
    house: House, admin: AuthenticatorAdmin
) -> None:
    eli = sub(house, "eli")
    first = admin.issue_rescue(eli, timedelta(days=1), actor="cli")
    code = admin.issue_rescue(eli, timedelta(days=1), actor="cli")
    assert (first != code, admin.codes_left(eli)) == (True, 10)

    def proves(text: str) -> bool:
        result = house.app.management.verify(eli, text)
        return result.status == "verified"

    assert not proves(first)  # the newer one ended it
    assert proves(house.users["eli"]["recovery_codes"][0])
    assert proves(code)
    assert not proves(code)
    late = admin.issue_rescue(eli, timedelta(days=1), actor="cli")
    house.clock.advance(timedelta(days=1))
    assert not proves(late)
    assert admin.codes_left(eli) == 9
