"""WebAuthn sections 7.1 and 7.2: what is accepted, and one test for each thing that is not."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from idp.factors.base import Rejected
from idp.factors.ceremony import LIFETIME, NOT_VERIFIED, UNKNOWN
from idp.factors.credential import LONGEST, NOT_GIVEN, STALE, identity
from idp.factors.relying_party import WebAuthnSettings, relying_party
from idp.factors.webauthn import WebAuthn
from idp.model import Authenticator
from idp.testing.passkey import EDDSA, ES256, RS1, RS256, AlreadyRegistered, NoSuchCredential
from tests.unit.factors.keys import (
    ISSUER,
    NOW,
    OTHER,
    USER,
    answer,
    context,
    device,
    options,
    prove,
    register,
)

FACTOR = WebAuthn({})


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", [ES256, EDDSA, RS256])
def test_what_was_registered_proves_itself(alg: int) -> None:
    key = device(algorithms=(alg,))
    held = register(key)
    used = prove(key, FACTOR, context(held))
    assert (used.id, used.user_id, used.factor) == (held.id, USER.id, "webauthn")
    assert used.data["sign_count"] == held.data["sign_count"] + 1


def test_what_is_kept_of_a_registration() -> None:
    key = device(synced=True, aaguid=bytes.fromhex("fbfc3007154e4ecc8c0b6e020557d7bd"))
    held = register(key)
    assert held.name == "Apple Passwords"
    assert held.id == identity(key.credentials[0].id)
    assert held.data == {
        "credential_id": encoded(key.credentials[0].id),
        "transports": ["internal"],
        "sign_count": 1,
        "user_verified": True,
        "discoverable": True,
        "backup_eligible": True,
        "backed_up": True,
        "aaguid": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
        "attestation": "none",
    }


@pytest.mark.parametrize(("resident", "name"), [(True, "Passkey"), (False, "Security key")])
def test_a_keeper_that_nobody_knows_is_called_what_it_is(resident: bool, name: str) -> None:
    assert register(device(resident=resident)).name == name


def test_the_options_name_the_person_to_the_device_and_nobody_else_to_anybody() -> None:
    held = register(device())
    asked = FACTOR.enroll(context(held))
    found = options(asked)
    assert found["rp"]["id"] == "login.example.com"
    assert decoded(found["user"]["id"]) == USER.id.encode()
    assert (found["user"]["name"], found["user"]["displayName"]) == ("alice", "Alice Example")
    assert [c["id"] for c in found["excludeCredentials"]] == [held.data["credential_id"]]
    assert found["extensions"] == {"credProps": True}
    assert found["authenticatorSelection"]["residentKey"] == "preferred"
    assert len(decoded(found["challenge"])) == 32
    allowed = options(FACTOR.begin(context(held)))["allowCredentials"]
    assert [(c["id"], c["transports"]) for c in allowed] == [
        (held.data["credential_id"], ["internal"])
    ]


def test_every_challenge_is_another() -> None:
    found = {options(FACTOR.begin(context()))["challenge"] for _ in range(50)}
    assert len(found) == 50


def test_it_is_available_with_a_key_and_a_host_name_only() -> None:
    held = register(device())
    assert FACTOR.available(context(held))
    assert not FACTOR.available(context())
    assert not FACTOR.available(context(held, issuer="https://192.0.2.1:8443"))


# Section 7.2, an assertion


Tamper = Callable[[dict[str, Any]], None]


def refused(held: Authenticator, credential: Mapping[str, Any], **more: Any) -> Rejected:
    asked = more.pop("asked")
    with pytest.raises(Rejected) as caught:
        FACTOR.verify(context(held, **more), asked, answer(credential))
    return caught.value


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({"origin": "https://evil.example"}, "https://evil.example"),
        ({"origin": "https://login.example.com:8443"}, "https://login.example.com:8443"),
        ({"origin": "http://login.example.com"}, "http://login.example.com"),
        ({"origin": None}, "(not an origin)"),
        ({"origin": "x\nlevel=info"}, "(not an origin)"),
        ({"crossOrigin": True}, "crossOrigin"),
        ({"crossOrigin": None}, "crossOrigin"),
        ({"topOrigin": "https://evil.example"}, "crossOrigin"),
        ({"type": "webauthn.create"}, "webauthn.get"),
        ({"type": "payment.get"}, "webauthn.get"),
        ({"challenge": "AAAA"}, "challenge"),
        ({"challenge": None}, "challenge"),
    ],
)
def test_client_data_that_is_not_ours(said: dict[str, Any], detail: str) -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(held))
    key.client_data = said
    problem = refused(held, key.get(options(asked)), asked=asked)
    assert detail in problem.detail
    assert "\n" not in problem.detail


def test_the_rp_id_of_another_party() -> None:
    key = device()
    held = register(key)
    key.rp_id = "evil.example"
    asked = FACTOR.begin(context(held))
    assert "RP ID" in refused(held, key.get(options(asked)), asked=asked).detail


def test_a_challenge_that_expired() -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(held))
    signed = key.get(options(asked))
    late = NOW + LIFETIME + timedelta(seconds=1)
    problem = refused(held, signed, asked=asked, now=late)
    assert (problem.detail, problem.public) == ("the challenge has expired", STALE)
    in_time = context(held, now=NOW + LIFETIME)
    assert FACTOR.verify(in_time, asked, answer(signed)).id == held.id


def test_a_challenge_is_answered_once() -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(held))
    signed = key.get(options(asked))
    seen: set[str] = set()

    def once(name: str, ttl: timedelta) -> bool:
        assert ttl >= LIFETIME
        return name not in seen and not seen.add(name)  # type: ignore[func-returns-value]

    FACTOR.verify(context(held, once=once), asked, answer(signed))
    assert "before" in refused(held, signed, asked=asked, once=once).detail


def test_a_challenge_of_another_page() -> None:
    key = device()
    held = register(key)
    signed = key.get(options(FACTOR.begin(context(held))))
    problem = refused(held, signed, asked=FACTOR.begin(context(held)))
    assert problem.public == STALE


@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
def test_a_single_bit(part: str) -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(held))
    signed = key.get(options(asked))
    changed = bytearray(decoded(signed["response"][part]))
    changed[-2] ^= 1
    signed["response"][part] = encoded(bytes(changed))
    refused(held, signed, asked=asked)


def test_the_signature_of_another_key() -> None:
    key, thief = device(), device()
    held, _ = register(key), register(thief)
    asked = FACTOR.begin(context(held))
    thief.credentials[0].id = key.credentials[0].id
    assert refused(held, thief.get(options(asked)), asked=asked).public


def test_a_credential_that_is_not_held() -> None:
    key, stranger = device(), device()
    held, _ = register(key), register(stranger)
    asked = FACTOR.begin(context(held))
    signed = stranger.get({**options(asked), "allowCredentials": []})
    problem = refused(held, signed, asked=asked)
    assert (problem.detail, problem.public) == ("unknown credential", UNKNOWN)


def test_a_device_that_has_none_of_them_does_not_answer() -> None:
    held = register(device())
    with pytest.raises(NoSuchCredential):
        device().get(options(FACTOR.begin(context(held))))


def test_a_user_handle_of_somebody_else() -> None:
    key = device()
    held = register(key)
    key.credentials[0].user_handle = OTHER.id.encode()
    asked = FACTOR.begin(context(held))
    assert refused(held, key.get(options(asked)), asked=asked).detail.endswith("another user")


def test_nobody_present() -> None:
    key = device()
    held = register(key)
    asked = FACTOR.begin(context(held))
    signed = key.get(options(asked))
    flags = bytearray(decoded(signed["response"]["authenticatorData"]))
    flags[32] &= ~0x01
    signed["response"]["authenticatorData"] = encoded(bytes(flags))
    assert "present" in refused(held, signed, asked=asked).detail


def test_verification_is_demanded_where_the_operator_says_so() -> None:
    strict = WebAuthn({"user_verification": "required"})
    key = device()
    held = register(key)
    key.verifies = False
    prove(key, FACTOR, context(held))
    with pytest.raises(Rejected) as caught:
        prove(key, strict, context(held))
    assert caught.value.public == NOT_VERIFIED
    with pytest.raises(Rejected, match="not verified"):
        register(device(verifies=False), strict)


def test_a_counter_that_goes_back_is_refused_and_marks_the_authenticator() -> None:
    key = device()
    held = register(key)
    key.credentials[-1].sign_count = 40
    held = prove(key, FACTOR, context(held))
    assert held.data["sign_count"] == 41
    key.credentials[-1].sign_count = 40
    with pytest.raises(Rejected) as caught:
        prove(key, FACTOR, context(held))
    assert "from 41 to 41" in caught.value.detail
    marked = caught.value.marked
    assert marked is not None
    assert marked.data["copied_at"] == NOW.isoformat()
    assert marked.data["sign_count"] == 41


def test_a_forged_counter_marks_nobody() -> None:
    """Who has no key could otherwise mark the keys of others."""
    key, thief = device(), device()
    held, _ = register(key), register(thief)
    held = replace(held, data={**held.data, "sign_count": 41})
    thief.credentials[0].id = key.credentials[0].id
    asked = FACTOR.begin(context(held))
    assert refused(held, thief.get(options(asked)), asked=asked).marked is None


def test_an_authenticator_that_does_not_count() -> None:
    key = device(counts=False)
    held = register(key)
    for _ in range(3):
        held = prove(key, FACTOR, context(held))
    assert held.data["sign_count"] == 0


def test_backup_may_begin_later_but_not_what_it_was_made_for() -> None:
    key = device(synced=True)
    held = register(key)
    assert prove(key, FACTOR, context(held)).data["backed_up"] is True
    key.synced = False
    with pytest.raises(Rejected, match="backup eligibility"):
        prove(key, FACTOR, context(held))


def test_verifying_the_user_later_is_remembered() -> None:
    key = device(verifies=False)
    held = register(key)
    assert held.data["user_verified"] is False
    key.verifies = True
    assert prove(key, FACTOR, context(held)).data["user_verified"] is True


# Section 7.1, a registration


def not_registered(key: Any, factor: WebAuthn = FACTOR, **more: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        register(key, factor, **more)
    return caught.value


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "https://evil.example"},
        {"crossOrigin": True},
        {"type": "webauthn.get"},
        {"challenge": "AAAA"},
    ],
)
def test_a_registration_that_is_not_ours(said: dict[str, Any]) -> None:
    not_registered(device(client_data=said))


def test_a_registration_for_another_party() -> None:
    assert "RP ID" in not_registered(device(rp_id="evil.example")).detail


@pytest.mark.parametrize("alg", [RS1, RS256, EDDSA])
def test_an_algorithm_that_was_not_offered(alg: int) -> None:
    assert "alg" in not_registered(device(), WebAuthn({"algorithms": ("ES256",)}), alg=alg).detail


def test_rs1_is_never_accepted() -> None:
    with pytest.raises(ValidationError):
        WebAuthnSettings.model_validate({"algorithms": ("RS1",)})
    assert "alg" in not_registered(device(), alg=RS1).detail


def test_a_device_does_not_register_twice() -> None:
    key = device()
    held = register(key)
    with pytest.raises(AlreadyRegistered):
        register(key, FACTOR, context(held))


@pytest.mark.parametrize("attachment", [None, "cross-platform", 1])
def test_an_attachment_that_is_demanded_must_be_said(attachment: Any) -> None:
    """keycloak#50719: a client that left it out was let through."""
    policy = WebAuthn({"attachment": "platform"})
    assert register(device(), policy).factor == "webauthn"
    assert "platform" in not_registered(device(attachment=attachment), policy).detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"response": 1}',
        '{"response": {}}',
        '{"response": {"clientDataJSON": "e30"}}',
        '{"response": {"clientDataJSON": "\\u00e9"}}',
        "[" * 30_000,
        '{"response":' * 5_000,
        "9" * 20_000,
        "{",
        '{"id": 1, "response": {"clientDataJSON": null}}',
    ],
)
def test_what_is_no_credential(text: str) -> None:
    ctx = context(register(device()))
    for act, asked in ((FACTOR.verify, FACTOR.begin(ctx)), (FACTOR.confirm, FACTOR.enroll(ctx))):
        with pytest.raises(Rejected):
            act(ctx, asked, {"credential": text})


def test_an_answer_without_a_credential_says_what_to_do() -> None:
    with pytest.raises(Rejected) as caught:
        FACTOR.verify(context(), FACTOR.begin(context()), {})
    assert caught.value.public == NOT_GIVEN


def test_an_answer_that_is_too_long() -> None:
    ctx = context()
    with pytest.raises(Rejected, match="longer"):
        FACTOR.verify(ctx, FACTOR.begin(ctx), {"credential": "x" * (LONGEST + 1)})


@pytest.mark.parametrize(
    "mangle",
    [
        lambda r: r.update(attestationObject="AAAA"),
        lambda r: r.update(attestationObject=encoded(b"\x81" * 20_000 + b"\x00")),
        lambda r: r.update(attestationObject=encoded(b"\xbf" * 5_000)),
        lambda r: r.update(attestationObject=""),
        lambda r: r.pop("attestationObject"),
        lambda r: r.update(transports={"usb": 1}),
        lambda r: r.update(transports=[["usb"], None, "usb"]),
    ],
)
def test_odd_registrations_are_refused_or_read_safely(mangle: Tamper) -> None:
    ctx, key = context(), device()
    asked = FACTOR.enroll(ctx)
    made = key.create(options(asked))
    mangle(made["response"])
    try:
        held = FACTOR.confirm(ctx, asked, answer(made))
    except Rejected:
        return
    assert set(held.data["transports"]) <= {"usb"}


# Settings


@pytest.mark.parametrize(
    ("issuer", "rp_id", "found"),
    [
        ("https://login.example.com", "", "login.example.com"),
        ("https://login.example.com:8443/idp", "", "login.example.com"),
        ("https://login.example.com", "example.com", "example.com"),
        ("http://localhost:8000", "", "localhost"),
    ],
)
def test_the_rp_id(issuer: str, rp_id: str, found: str) -> None:
    assert relying_party(issuer, WebAuthnSettings(rp_id=rp_id)).id == found


@pytest.mark.parametrize(
    ("issuer", "origin"),
    [
        ("https://login.example.com/idp", "https://login.example.com"),
        ("https://login.example.com:443", "https://login.example.com"),
        ("https://LOGIN.example.com:8443", "https://login.example.com:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_origin_is_the_issuers_as_browsers_write_it(issuer: str, origin: str) -> None:
    assert relying_party(issuer, WebAuthnSettings()).origins == (origin,)


@pytest.mark.parametrize("rp_id", ["evil.example", "gin.example.com", "com", "x.login.example.com"])
def test_an_rp_id_that_browsers_would_refuse_stops_the_start(rp_id: str) -> None:
    with pytest.raises(ValueError, match="parent domain"):
        WebAuthn({"rp_id": rp_id}).check(ISSUER)


def test_another_origin_may_be_allowed() -> None:
    shared = WebAuthn(
        {"rp_id": "example.com", "origins": ("https://account.example.com",)},
    )
    key = device(rp_id="example.com")
    held = register(key, shared)
    key.origin = "https://account.example.com"
    assert prove(key, shared, context(held)).id == held.id


@pytest.mark.parametrize(
    "section",
    [
        {"origins": ("https://a.example/path",)},
        {"origins": ("http://a.example",)},
        {"origins": ("*",)},
        {"aaguids": ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd",)},
        {"attestation": "direct"},
        {"attestation": "direct", "attestation_roots": "/nowhere.pem"},
        {"attestation": "direct", "attestation_roots": "/dev/null"},
        {"algorithms": ()},
        {"user_verification": "never"},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_used(section: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError):
        WebAuthn(section)


def test_options_are_plain_json() -> None:
    for asked in (FACTOR.begin(context()), FACTOR.enroll(context())):
        assert json.loads(json.dumps(asked.public)) == asked.public
