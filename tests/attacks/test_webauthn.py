"""MF-11 and MF-12, over HTTP: what a thief, another site or a dishonest device may try with
passkeys; and LG-05 for what their options tell. One test for each thing."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idp.factors.ceremony import LIFETIME
from idp.model import Authenticator
from idp.testing.passkey import RS1, VirtualPasskey
from tests.house import ISSUER, House, build
from tests.native import Json, Visitor, asked_again, led_to_registration
from tests.rfc.tools import at_once
from tests.unit.factors.test_attestation import Maker

ACRS: Mapping[str, Any] = {
    "aal1": {"any_of": (("password",), ("passkey",))},
    "aal2": {"any_of": (("password", ("webauthn", "totp")), ("passkey",))},
}


def built(folder: Path, **webauthn: Any) -> House:
    return build(
        folder,
        acr=ACRS,
        factors={"password": {"memory_kib": 8192, "iterations": 1}, "webauthn": webauthn},
        web={"sign_in_rate": "100000/minute"},
    )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = built(tmp_path)
    yield made
    made.app.close()


@pytest.fixture
def device() -> VirtualPasskey:
    return VirtualPasskey(ISSUER)


def register(
    house: House, device: VirtualPasskey, username: str = "ben", **more: Any
) -> tuple[Visitor, Json]:
    visitor = led_to_registration(house, username)
    made = device.create(visitor.options(), **more)
    return visitor, visitor.give(made, enroll="1")


def held(house: House, username: str = "ben") -> list[Authenticator]:
    found = house.app.stores.authenticators.of(house.users[username]["sub"])
    return [a for a in found if a.factor == "webauthn"]


def reasons(house: House) -> list[str]:
    """Why answers were refused, as the operator reads it."""
    rows = [row for _, row in house.app.stores.audit.read()]
    return [str(row.detail["reason"]) for row in rows if row.event == "factor_rejected"]


@pytest.fixture
def registered(house: House, device: VirtualPasskey) -> VirtualPasskey:
    _, answer = register(house, device)
    assert answer["step"] == "done", answer
    return device


# What works, so that what follows fails for its own reason


def test_a_passkey_registered_on_the_way_signs_in_alone(
    house: House, registered: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    assert visitor.alone(registered)["step"] == "done"
    visitor.begin("aal2")
    assert "code=" in visitor.begin("aal2")["redirect_uri"]  # it was two factors in one


def test_it_is_a_second_factor_after_the_password(house: House, registered: VirtualPasskey) -> None:
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username="ben", password=house.users["ben"]["password"])
    assert (visitor.step["step"], visitor.step["factor"]) == ("factor", "webauthn")
    assert [c["factor"] for c in visitor.step["choices"]] == []
    assert visitor.give(registered.get(visitor.options()))["step"] == "done"


# MF-11, the challenge


def test_mf_11_an_answer_is_no_answer_to_the_next_visit(
    house: House, registered: VirtualPasskey
) -> None:
    first = Visitor(house)
    first.begin()
    signed = registered.get(first.options("passkey"))
    assert first.give(signed, factor="passkey")["step"] == "done"
    thief = Visitor(house)
    thief.begin()
    assert asked_again(thief.give(signed, factor="passkey"))
    assert reasons(house) == ["the challenge is another one"]


def test_mf_11_an_answer_is_not_taken_twice_in_its_own_visit(
    house: House, registered: VirtualPasskey
) -> None:
    """A step-up: the visit goes on after the answer, so it could be sent again."""
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username="ben", password=house.users["ben"]["password"])
    signed = registered.get(visitor.options())
    assert visitor.give(signed)["step"] == "done"
    assert visitor.give(signed)["error"] in {"interaction_finished", "interaction_not_found"}


def test_mf_11_fifty_at_once_with_one_answer_and_one_gets_in(
    house: House, registered: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    visitor.begin()
    signed = registered.get(visitor.options("passkey"))
    cookie = visitor.http.get_cookie("flow", domain="localhost")
    assert cookie

    def send() -> bool:
        other = Visitor(house)
        other.http.set_cookie("flow", cookie.value, domain="localhost")
        other.step = dict(visitor.step)
        return other.give(signed, factor="passkey").get("step") == "done"

    assert sum(at_once([send] * 50)) == 1


def test_a_proof_does_not_undo_that_another_account_is_wanted(
    house: House, registered: VirtualPasskey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "Not you?" in one tab, while the passkey of the other is being looked at."""
    visitor, tab = Visitor(house), Visitor(house)
    visitor.begin()
    tab.http, tab.step = visitor.http, dict(visitor.step)
    factor = house.app.factors["passkey"]
    genuine = factor.verify

    def slow(*given: Any) -> Any:
        tab.post(restart="1")
        return genuine(*given)

    monkeypatch.setattr(factor, "verify", slow)
    answer = visitor.give(registered.get(visitor.options("passkey")), factor="passkey")
    assert (answer["step"], answer["factor"], answer["username"]) == ("factor", "password", None)


def test_mf_11_an_answer_made_for_another_session(house: House, registered: VirtualPasskey) -> None:
    victim, thief = Visitor(house), Visitor(house)
    victim.begin()
    thief.begin()
    signed = registered.get(victim.options("passkey"))
    assert asked_again(thief.give(signed, factor="passkey"))
    assert victim.give(signed, factor="passkey")["step"] == "done"


def test_mf_11_an_expired_challenge_is_refused_and_a_new_one_is_there(
    house: House, registered: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    visitor.begin()
    old = visitor.options("passkey")
    house.clock.advance(LIFETIME / 2)
    visitor.post(username="ben", password="wrong")  # the visit goes on
    signed = registered.get(old)
    house.clock.advance(LIFETIME / 2 + timedelta(seconds=1))
    answer = visitor.give(signed, factor="passkey")
    assert answer["error"] == "This page was open for too long. Try again."
    assert reasons(house)[-1] == "the challenge has expired"
    fresh = visitor.options("passkey")
    assert fresh["challenge"] != old["challenge"]
    assert visitor.give(registered.get(fresh), factor="passkey")["step"] == "done"


def test_mf_11_a_page_drawn_late_has_a_challenge_that_lasts(house: House) -> None:
    visitor = Visitor(house)
    visitor.begin()
    first = visitor.options("passkey")["challenge"]
    visitor.reload()
    assert visitor.options("passkey")["challenge"] == first
    house.clock.advance(LIFETIME / 2 + timedelta(seconds=1))
    visitor.reload()
    assert visitor.options("passkey")["challenge"] != first


def test_mf_11_a_refused_answer_uses_its_challenge_up(
    house: House, registered: VirtualPasskey
) -> None:
    visitor = Visitor(house)
    visitor.begin()
    first = visitor.options("passkey")
    broken = registered.get(first)
    broken["response"]["signature"] = "AAAA"
    assert asked_again(visitor.give(broken, factor="passkey"))
    assert visitor.options("passkey")["challenge"] != first["challenge"]
    assert asked_again(visitor.give(registered.get(first), factor="passkey"))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"origin": "https://evil.example"}, id="other origin"),
        pytest.param({"origin": "http://localhost:8001"}, id="other port"),
        pytest.param({"crossOrigin": True}, id="cross origin"),
        pytest.param({"topOrigin": "https://evil.example"}, id="top origin"),
        pytest.param({"type": "webauthn.create"}, id="type"),
    ],
)
def test_mf_11_client_data_that_is_not_ours(
    house: House, registered: VirtualPasskey, said: Json
) -> None:
    registered.client_data = said
    assert asked_again(Visitor(house).alone(registered))
    assert len(reasons(house)) == 1


def test_mf_11_another_rp_id(house: House, registered: VirtualPasskey) -> None:
    registered.rp_id = "evil.example"
    assert asked_again(Visitor(house).alone(registered))
    assert "RP ID" in reasons(house)[0]


def test_mf_11_a_registration_is_no_proof(house: House, registered: VirtualPasskey) -> None:
    visitor = Visitor(house)
    visitor.begin()
    made = registered.create(
        {
            **visitor.options("passkey"),
            "pubKeyCredParams": [{"alg": -7}],
            "user": {"id": "AAAA"},
        }
    )
    made["response"]["userHandle"] = registered.get(visitor.options("passkey"))["response"][
        "userHandle"
    ]
    assert asked_again(visitor.give(made, factor="passkey"))


def test_mf_11_a_proof_is_no_registration(house: House, registered: VirtualPasskey) -> None:
    visitor = led_to_registration(house, "cyd")
    signed = registered.get({"challenge": visitor.options()["challenge"]})
    assert asked_again(visitor.give(signed, enroll="1"))
    assert held(house, "cyd") == []


def test_mf_11_the_challenge_of_another_factor(house: House, registered: VirtualPasskey) -> None:
    """Asked as a second factor, without verification; answered as the way in alone."""
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username="ben", password=house.users["ben"]["password"])
    signed = registered.get(visitor.options())
    other = Visitor(house)
    other.begin()
    assert asked_again(other.give(signed, factor="passkey"))
    out_of_date = visitor.give(signed, factor="passkey")
    assert out_of_date["error"] == "This page was out of date. Please answer again."


def test_mf_11_a_passkey_of_somebody_else_is_no_second_factor(
    house: House, registered: VirtualPasskey
) -> None:
    visitor, mine = led_to_registration(house, "cyd"), VirtualPasskey(ISSUER)
    visitor.give(mine.create(visitor.options()), enroll="1")
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username="cyd", password=house.users["cyd"]["password"])
    signed = registered.get({**visitor.options(), "allowCredentials": []})
    assert asked_again(visitor.give(signed))
    assert reasons(house) == ["the credential is of another user"]


# MF-12, the policy


def test_mf_12_rs1(house: House, device: VirtualPasskey) -> None:
    _, answer = register(house, device, alg=RS1)
    assert asked_again(answer)
    assert held(house) == []


def test_mf_12_no_attestation_where_one_is_demanded(tmp_path: Path, device: VirtualPasskey) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(Maker().root)
    house = built(tmp_path, attestation="direct", attestation_roots=roots)
    visitor, answer = register(house, device)
    assert answer["error"].startswith("This kind of passkey or security key is not allowed")
    assert visitor.options()["attestation"] == "direct"
    assert held(house) == []
    house.app.close()


def test_mf_12_a_credential_that_somebody_has_is_not_bound_to_another(
    house: House, registered: VirtualPasskey
) -> None:
    """Who binds another's credential to an account of their own would meet its owner there."""
    visitor = led_to_registration(house, "cyd")
    copy = VirtualPasskey(ISSUER)
    answer = visitor.give(
        _with_id(copy, visitor.options(), registered.credentials[0].id), enroll="1"
    )
    assert answer["error"] == "This one was added before. Use another one."
    assert held(house, "cyd") == []
    assert len(held(house)) == 1


def test_mf_12_verification_that_did_not_happen(house: House, device: VirtualPasskey) -> None:
    device.verifies = False
    register(house, device)
    answer = Visitor(house).alone(device)
    assert "PIN" in answer["error"]
    assert reasons(house) == ["the user was not verified"]
    visitor = Visitor(house)
    visitor.begin("aal2")
    visitor.post(username="ben", password=house.users["ben"]["password"])
    assert visitor.give(device.get(visitor.options()))["step"] == "done"  # the password is there


def test_mf_12_an_attachment_that_is_left_out(tmp_path: Path, device: VirtualPasskey) -> None:
    house = built(tmp_path, attachment="platform")
    device.attachment = None
    visitor, answer = register(house, device)
    assert asked_again(answer)
    assert held(house) == []
    device.attachment = "platform"
    assert visitor.give(device.create(visitor.options()), enroll="1")["step"] == "done"
    house.app.close()


def test_mf_12_a_counter_that_goes_back_is_refused_and_flagged(
    house: House, registered: VirtualPasskey
) -> None:
    assert Visitor(house).alone(registered)["step"] == "done"
    registered.credentials[0].sign_count -= 1
    assert asked_again(Visitor(house).alone(registered))
    assert "may have been copied" in reasons(house)[0]
    assert held(house)[0].data["copied_at"] == house.clock().isoformat()


def test_mf_12_a_registration_is_asked_anew_after_a_refusal(
    house: House, device: VirtualPasskey
) -> None:
    visitor = led_to_registration(house)
    first = visitor.options()["challenge"]
    device.client_data = {"origin": "https://evil.example"}
    assert asked_again(visitor.give(device.create(visitor.options()), enroll="1"))
    assert visitor.options()["challenge"] != first
    device.client_data = {}
    assert visitor.give(device.create(visitor.options()), enroll="1")["step"] == "done"


# LG-05 and bad input


def without_nonces(step: Json) -> Json:
    kept = json.loads(json.dumps(step))
    for name in ("interaction", "action", "csrf", "support_code"):
        del kept[name]
    for beside in kept["beside"]:
        del beside["public"]["publicKey"]["challenge"]
    return dict(kept)


def test_lg_05_the_options_tell_nothing_of_anybody(
    house: House, registered: VirtualPasskey
) -> None:
    """ben has a passkey, cyd has none, nobody is nobody: the same before and after a name."""
    pages, answers = [], []
    for name in ("ben", "cyd", "nobody"):
        visitor = Visitor(house)
        pages.append(without_nonces(visitor.begin()))
        answers.append(without_nonces(visitor.post(username=name, password="wrong")))
    assert pages[0] == pages[1] == pages[2]
    for answer, name in zip(answers, ("ben", "cyd", "nobody"), strict=True):
        (typed,) = [f for f in answer["fields"] if f["name"] == "username"]
        assert typed.pop("value") == name
    assert answers[0] == answers[1] == answers[2]


def test_lg_05_a_disabled_owner_reads_like_an_unknown_one(
    house: House, registered: VirtualPasskey
) -> None:
    house.user_admin.disable("ben", actor="test")
    disabled = Visitor(house).alone(registered)
    registered.credentials[0].user_handle = b"nobody"
    unknown = Visitor(house).alone(registered)
    assert disabled["error"] == unknown["error"]
    assert "not known here" in unknown["error"]


def test_a_name_that_a_credential_says_is_not_shown_as_typed(
    house: House, registered: VirtualPasskey
) -> None:
    registered.credentials[0].user_handle = b"<script>"
    answer = Visitor(house).alone(registered)
    assert "script" not in json.dumps(answer)


@pytest.mark.parametrize("text", ["", "{", "[" * 20_000, '{"response": {"userHandle": 7}}'])
def test_what_is_no_credential_is_a_refusal(house: House, text: str) -> None:
    visitor = Visitor(house)
    visitor.begin()
    assert asked_again(visitor.post(factor="passkey", credential=text))


def test_an_answer_of_a_megabyte_is_not_read(house: House) -> None:
    visitor = Visitor(house)
    visitor.begin()
    response = visitor.open(
        "POST", visitor.path, {"csrf": visitor.step["csrf"], "credential": "x" * 1_000_000}
    )
    assert response.status_code == 413


def test_who_knows_the_owners_id_cannot_lock_the_owner_out(
    house: House, registered: VirtualPasskey
) -> None:
    """Every application knows it: it is the `sub` of its tokens."""
    thief = VirtualPasskey(ISSUER)
    thief.create({"challenge": "AAAA", "pubKeyCredParams": [{"alg": -7}], "user": {"id": "AAAA"}})
    thief.credentials[0].user_handle = registered.credentials[0].user_handle
    said = [Visitor(house).alone(thief)["retry_after"] for _ in range(10)]
    assert said[-1], "the thief waits"
    assert Visitor(house).alone(registered)["step"] == "done"


def test_failures_count_against_the_key_that_is_named(
    house: House, registered: VirtualPasskey
) -> None:
    thief = VirtualPasskey(ISSUER)
    thief.create({"challenge": "AAAA", "pubKeyCredParams": [{"alg": -7}], "user": {"id": "AAAA"}})
    thief.credentials[0].user_handle = registered.credentials[0].user_handle
    thief.credentials[0].id = registered.credentials[0].id
    said = [Visitor(house).alone(thief)["retry_after"] for _ in range(6)]
    assert (said[0], bool(said[-1])) == (None, True)
    assert Visitor(house).alone(registered)["retry_after"]


def _with_id(device: VirtualPasskey, options: Json, credential_id: bytes) -> Json:
    """A registration that claims an id which another device made."""
    tokens: Callable[[int], bytes] = lambda length: credential_id  # noqa: E731
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("idp.testing.passkey.secrets.token_bytes", tokens)
        return device.create(options)
