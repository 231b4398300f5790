"""Every method of multi-factor management through enable, verify and disable, on every surface."""

from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import segno

from tests.management import (
    METHODS,
    Place,
    app_code,
    asked,
    enabled,
    kept_code,
    sent_code,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_enabled_verified_and_disabled(place: Place, method: str) -> None:
    how, surface = METHODS[method], place.surface
    begun = surface.enable(place.ben, method)
    question = begun["question"]
    assert (begun["status"], begun["method"], begun["reason"]) == ("pending", method, "")
    assert question["asks"] == how.asks
    assert place.factors() == ["password"]  # nothing is bound before it was confirmed

    wrong = surface.verify(place.ben, how.wrong(place, question))
    assert (wrong["status"], wrong["reason"]) == ("refused", "wrong")
    assert wrong["public"]
    assert place.factors() == ["password"]
    if method == "webauthn":  # its challenge takes one answer
        question = surface.enable(place.ben, method)["question"]

    done = surface.verify(place.ben, how.bind(place, question))
    assert (done["status"], done["method"], done["acr"]) == ("confirmed", method, "aal2")
    assert place.factors() == ["password", method]
    assert place.user().require_acr == "aal2"
    assert [e["factor"] for e in place.events("authenticator_added")] == [method]

    place.house.clock.advance(timedelta(minutes=6))
    question = asked(place, method, surface.verify)
    answer = how.prove(place, question)
    right = surface.verify(place.ben, answer)
    assert (right["status"], right["method"]) == ("verified", method)
    again = surface.verify(place.ben, answer)
    assert (again["status"], again["reason"]) == ("refused", "wrong")

    place.house.clock.advance(timedelta(minutes=6))
    question = asked(place, method, surface.disable)
    assert surface.disable(place.ben, how.wrong(place, question))["reason"] == "wrong"
    assert place.factors() == ["password", method]
    place.house.clock.advance(timedelta(minutes=6))
    session = place.core.sessions.establish(place.user(), (), None).session
    question = asked(place, method, surface.disable)
    gone = surface.disable(place.ben, how.prove(place, question))
    assert (gone["status"], gone["removed"]) == ("disabled", [method])
    assert place.factors() == ["password"]
    assert place.user().require_acr is None
    assert session is not None
    ended = place.core.stores.sessions.get(session.id)
    assert ended is not None
    assert ended.ended_at is not None
    assert [e["factor"] for e in place.events("authenticator_removed")] == [method]
    label = place.core.factors[method].label
    assert place.notices() == [
        f"A way of signing in was added to your account ben: {label}.",
        "Signing in to your account ben now needs a second factor.",
        f"A way of signing in was removed from your account ben: {label}.",
        "Signing in to your account ben needs no second factor now.",
    ]


def test_recovery_codes_are_enabled_verified_and_disabled(place: Place) -> None:
    begun = place.surface.enable(place.ben, "recovery_code")
    assert (begun["status"], begun["codes_left"], len(begun["codes"])) == ("enabled", 10, 10)
    assert place.user().require_acr is None  # codes run out: nobody is asked for them every time
    used = place.surface.verify(place.ben, begun["codes"][0].lower().replace("-", " "))
    assert (used["status"], used["method"], used["codes_left"]) == ("verified", "recovery_code", 9)
    assert place.events("recovery_code_used") == [{"left": 9}]
    assert place.notices()[-1] == "A recovery code of your account ben was used. 9 are left."
    assert place.surface.verify(place.ben, begun["codes"][0])["reason"] == "wrong"

    fresh = place.surface.codes(place.ben)["codes"]
    assert len(fresh) == 10
    assert place.surface.verify(place.ben, begun["codes"][1])["reason"] == "wrong"
    assert place.surface.verify(place.ben, fresh[0])["codes_left"] == 9

    assert place.surface.disable(place.ben, fresh[0])["reason"] == "wrong"
    gone = place.surface.disable(place.ben, fresh[1])
    assert (gone["status"], gone["removed"]) == ("disabled", ["recovery_code"])
    assert place.factors() == ["password"]


def test_the_key_of_an_app_is_a_picture_and_a_uri(place: Place) -> None:
    question = place.surface.enable(place.ben, "totp")["question"]
    uri = pyotp.parse_uri(question["provisioning_uri"])
    assert (uri.name, uri.issuer) == ("ben", "idp")
    assert question["qr_svg"].startswith("<svg")
    size = segno.make(question["provisioning_uri"], error="m", micro=False).symbol_size(border=4)[0]
    assert f'viewBox="0 0 {size} {size}"' in question["qr_svg"]


def test_a_verified_number_is_used_and_masked(place: Place) -> None:
    question = place.surface.enable(place.ben, "sms")["question"]
    phone = place.house.users["ben"]["phone"]
    assert place.message().to == phone
    assert question["masked_number"] == f"•••• {phone[-2:]}"
    assert question["masked_number"] in question["text"]


def test_without_a_verified_number_it_is_asked_for(place: Place) -> None:
    number = place.house.users["cyd"]["phone"]
    place.core.stores.users.save(replace(place.user(), phone_verified=False))
    begun = place.surface.enable(place.ben, "sms")
    assert begun["question"]["asks"] == "number"
    assert place.house.outbox.messages() == ()
    sent = place.surface.verify(place.ben, number)
    assert (sent["status"], sent["question"]["asks"]) == ("pending", "code")
    assert place.message().to == number
    done = place.surface.verify(place.ben, sent_code(place, None))
    assert done["status"] == "confirmed"


def test_a_binding_is_shown_again_by_an_empty_code(place: Place) -> None:
    begun = place.surface.enable(place.ben, "totp")
    again = place.surface.verify(place.ben, "")
    assert (again["status"], again["question"]) == ("pending", begun["question"])


def test_every_second_factor_goes_at_once(place: Place) -> None:
    for method in (*METHODS, "recovery_code"):
        enabled(place, method)
    assert place.factors() == ["password", *sorted([*METHODS, "recovery_code"])]
    gone = place.surface.disable(place.ben, app_code(place, None))
    assert sorted(gone["removed"]) == sorted([*METHODS, "recovery_code"])
    assert place.factors() == ["password"]


def test_a_lost_phone_is_disabled_by_a_recovery_code(place: Place) -> None:
    enabled(place, "totp")
    enabled(place, "recovery_code")
    assert place.surface.disable(place.ben, kept_code(place, None))["status"] == "disabled"


def test_a_second_method_leaves_the_choice_as_it_is(place: Place) -> None:
    enabled(place, "totp")
    place.core.stores.users.save(replace(place.user(), require_acr=None))
    enabled(place, "webauthn")
    assert place.user().require_acr is None
