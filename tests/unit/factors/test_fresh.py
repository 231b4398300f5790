"""One text for whatever a person holds: which form it is meant for, and what the form gets."""

import json

import pytest

from idp.factors.base import Field, Form
from idp.factors.fresh import answer_of, fits

NUMBER = Form("App", (Field("code", "Code", "code", inputmode="numeric"),))
TEXT = Form("Codes", (Field("code", "Recovery code"),))
PHONE = Form("Number", (Field("number", "Number", "tel", inputmode="tel"),))
KEY = Form("Passkey", ())
HIDDEN = Form("Script", (Field("signed", "", "hidden"),))
TWO = Form("Twice", (Field("pin", "PIN", "password"), Field("again", "PIN", "password")))
CREDENTIAL = json.dumps({"id": "x", "response": {}})


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("123456", [NUMBER, PHONE]),
        ("123 456", [NUMBER, PHONE]),
        ("123-456", [NUMBER, PHONE]),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", [NUMBER, PHONE]),  # whose factor refuses it
        ("ABCD-0123-1111-EFGH-JKMN", [TEXT, TWO]),
        ("12345678901", [TEXT, TWO]),
        ("", [TEXT, TWO]),
        (CREDENTIAL, [KEY, HIDDEN, TWO]),
        ("{", [TEXT, TWO]),
        ("[]", [TEXT, TWO]),
        ("{" * 70_000, [TEXT, TWO]),
    ],
)
def test_whose_question_a_text_can_be_the_answer_to(text: str, forms: list[Form]) -> None:
    every = [NUMBER, TEXT, PHONE, KEY, HIDDEN, TWO]
    assert [form for form in every if fits(form, text)] == [f for f in every if f in forms]


@pytest.mark.parametrize(
    ("form", "text", "answer"),
    [
        (NUMBER, "123456", {"code": "123456"}),
        (PHONE, "+49151", {"number": "+49151"}),
        (KEY, CREDENTIAL, {"credential": CREDENTIAL}),
        (HIDDEN, CREDENTIAL, {"signed": CREDENTIAL}),
        (TWO, '{"pin": "4711", "again": "4711", "n": 1}', {"pin": "4711", "again": "4711"}),
        (TWO, '{"pin": "4711"}', {"pin": '{"pin": "4711"}'}),
        (NUMBER, '{"code": "123456"}', {"code": "123456"}),
        (NUMBER, '{"code": {"$ne": ""}}', {}),  # never anything but text
    ],
)
def test_what_the_form_gets(form: Form, text: str, answer: dict[str, str]) -> None:
    assert answer_of(form, text) == answer
