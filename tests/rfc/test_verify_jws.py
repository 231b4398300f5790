"""RFC 8725 and RFC 7515: what `idp.oidc.verify_jws` refuses. Attacks JW-01, JW-02, JW-04, JW-07.

Every forgery is made by `tests.rfc.jose`, never by the library that verifies it.
"""

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from idp.oidc import verify_jws
from idp.oidc.verify import InvalidJws
from tests.rfc.jose import Key, b64, ed25519_key, es256, hs256, rs256

CLAIMS = {"sub": "s"}
SECRET = bytes(range(32))
EC, RSA, ED = es256(), rs256(), ed25519_key()
ALL = ("ES256", "RS256", "PS256", "Ed25519", "EdDSA", "HS256")


def refuse(token: str, jwks: Any, algorithms: tuple[str, ...] = ALL) -> None:
    with pytest.raises(InvalidJws):
        verify_jws(token, jwks, algorithms)


@pytest.mark.parametrize("key", [EC, RSA, ED, hs256(SECRET)], ids=lambda key: key.alg)
def test_what_is_right_is_accepted(key: Key) -> None:
    found = verify_jws(key.sign(CLAIMS), key.jwks(), (key.alg,))
    assert found.payload == CLAIMS
    assert found.header["alg"] == key.alg


@pytest.mark.parametrize("key", [EC, RSA, ED, hs256(SECRET)], ids=lambda key: key.alg)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_part_is_refused(key: Key, part: int) -> None:
    parts = key.sign(CLAIMS).split(".")
    parts[part] = ("e" if parts[part][0] != "e" else "f") + parts[part][1:]
    refuse(".".join(parts), key.jwks(), (key.alg,))


@pytest.mark.parametrize("alg", ["none", "NoNe", "NONE", "", None, 0, ["ES256"], {"a": 1}])
@pytest.mark.parametrize("signature", ["", "AAAA"])
@pytest.mark.parametrize("algorithms", [("ES256",), ("none", "ES256"), ("none",)])
def test_jw_01_none(alg: Any, signature: str, algorithms: tuple[str, ...]) -> None:
    head = b64(json.dumps({"alg": alg, "kid": "k"}).encode())
    refuse(f"{head}.{b64(json.dumps(CLAIMS).encode())}.{signature}", EC.jwks(), algorithms)


def test_jw_01_a_stripped_signature() -> None:
    refuse(EC.sign(CLAIMS).rpartition(".")[0] + ".", EC.jwks())
    refuse(EC.sign(CLAIMS).rpartition(".")[0], EC.jwks())


def test_jw_01_an_es256_signature_of_zeros() -> None:
    refuse(EC.sign(CLAIMS).rpartition(".")[0] + "." + b64(bytes(64)), EC.jwks())


@pytest.mark.parametrize("algorithms", [("RS256",), ("RS256", "HS256")])
@pytest.mark.parametrize("form", ["pem", "der", "jwk", "n"])
def test_jw_02_the_public_key_as_hmac_secret(form: str, algorithms: tuple[str, ...]) -> None:
    public = RSA.private.public_key()  # type: ignore[union-attr]
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(RSA.public()).encode(),
        "n": RSA.public()["n"].encode(),
    }[form]
    refuse(hs256(secret).sign(CLAIMS), RSA.jwks(), algorithms)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["x"], "x": 1},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "b64"},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
    ],
)
def test_jw_04_crit(header: dict[str, Any]) -> None:
    refuse(EC.sign(CLAIMS, **header), EC.jwks())


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_rfc8725_3_10_keys_in_the_header_are_not_used(name: str) -> None:
    stranger = es256()
    value = {"jwk": stranger.public(), "x5c": ["MIIB"]}.get(name, "https://evil.example/jwks")
    refuse(stranger.sign(CLAIMS, **{name: value}), EC.jwks())
    refuse(stranger.sign(CLAIMS, kid=None, **{name: value}), EC.jwks())


def test_rfc8725_3_1_the_algorithm_comes_from_the_caller() -> None:
    refuse(EC.sign(CLAIMS), EC.jwks(), ("RS256",))
    refuse(EC.sign(CLAIMS), EC.jwks(), ())
    refuse(RSA.sign(CLAIMS, alg="PS256"), RSA.jwks())
    refuse(RSA.sign(CLAIMS, alg="ES256"), RSA.jwks())


@pytest.mark.parametrize(
    "more", [{"alg": "ES384"}, {"use": "enc"}, {"crv": "P-384"}, {"kty": "RSA"}, {"kid": "other"}]
)
def test_a_key_for_something_else_does_not_fit(more: dict[str, str]) -> None:
    refuse(EC.sign(CLAIMS), EC.jwks(**more))


# Ambiguous key sets


def test_two_keys_without_kid_are_ambiguous() -> None:
    keys = {"keys": [{**key.public(), "kid": None} for key in (EC, es256())]}
    refuse(EC.sign(CLAIMS, kid=None), keys)
    refuse(EC.sign(CLAIMS), keys)


def test_two_keys_that_fit_a_token_without_kid_are_ambiguous() -> None:
    refuse(EC.sign(CLAIMS, kid=None), {"keys": [EC.public(), es256("k2").public()]})


def test_one_kid_twice_is_ambiguous() -> None:
    refuse(EC.sign(CLAIMS), {"keys": [EC.public(), es256().public()]})
    refuse(EC.sign(CLAIMS), {"keys": [EC.public(), RSA.public()]})
    refuse(EC.sign(CLAIMS), {"keys": [EC.public(), EC.public()]})


def test_the_kid_chooses_and_other_types_do_not_disturb() -> None:
    other = es256("k2")
    keys = {"keys": [EC.public(), other.public(), rs256("k3").public(), {"kty": "future"}]}
    assert verify_jws(other.sign(CLAIMS), keys, ALL).payload == CLAIMS
    alone = {"keys": [EC.public(), rs256("k3").public()]}
    assert verify_jws(EC.sign(CLAIMS, kid=None), alone, ALL).payload == CLAIMS


@pytest.mark.parametrize("kid", ["other", "", 1, None, ["k"], {"k": 1}, "k\x00"])
def test_a_kid_that_is_not_there(kid: Any) -> None:
    header = json.dumps({"alg": "ES256", "kid": kid}).encode()
    jwks = {"keys": [EC.public(), es256("k2").public()]}
    refuse(EC.sign_raw(header, b"{}"), jwks)


@pytest.mark.parametrize(
    "jwks", [{}, {"keys": []}, {"keys": None}, {"keys": {}}, {"keys": [1, "x"]}]
)
def test_no_key_set(jwks: Any) -> None:
    refuse(EC.sign(CLAIMS), jwks)


# Weak keys


@pytest.mark.filterwarnings("ignore:Key size")  # joserfc says so too
@pytest.mark.parametrize(("bits", "exponent"), [(1024, 65537), (2040, 65537), (2048, 3)])
def test_weak_rsa_keys(bits: int, exponent: int) -> None:
    weak = rs256(bits=bits, exponent=exponent)
    refuse(weak.sign(CLAIMS), weak.jwks())


@pytest.mark.filterwarnings("ignore:Key size")  # joserfc says so too
@pytest.mark.parametrize("length", [1, 16, 31])
def test_short_hmac_keys(length: int) -> None:
    weak = hs256(b"s" * length)
    refuse(weak.sign(CLAIMS), weak.jwks())


@pytest.mark.parametrize(
    "more", [{"x": "AAAA"}, {"y": b64(bytes(32))}, {"x": 5}, {"x": None}, {"y": "*"}]
)
def test_broken_keys(more: dict[str, Any]) -> None:
    refuse(EC.sign(CLAIMS), EC.jwks(**more))


# Encoding (RFC 7515 section 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "=",
        lambda t: t + "==",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t.replace(".", ".\n", 1),
        lambda t: t + ".",
        lambda t: "." + t,
        lambda t: t + ".x",
        lambda t: t.replace(".", "..", 1),
        lambda t: t + "A",
        lambda t: t + "é",
        lambda t: t.replace(".", "=."),
        lambda _: "",
        lambda _: "..",
    ],
)
def test_other_spellings_of_a_good_token(change: Any) -> None:
    refuse(change(RSA.sign(CLAIMS)), RSA.jwks())


def test_base64url_has_one_spelling() -> None:
    """An ES256 signature has 86 characters: four bits of the last one are padding."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = EC.sign(CLAIMS)
    last = alphabet.index(token[-1])
    assert last % 16 == 0
    for spelling in range(last + 1, last + 16):
        refuse(token[:-1] + alphabet[spelling], EC.jwks())


def test_base64url_is_not_base64() -> None:
    token = next(t for t in (RSA.sign({"n": n}) for n in range(200)) if "-" in t or "_" in t)
    refuse(token.replace("-", "+").replace("_", "/"), RSA.jwks())


@pytest.mark.parametrize(
    "payload", [b"[]", b'"s"', b"1", b"null", b"", b"{", b'{"a":NaN}', b"\xff"]
)
def test_a_payload_that_is_no_object(payload: bytes) -> None:
    refuse(EC.sign_raw(b'{"alg":"ES256","kid":"k"}', payload), EC.jwks())


@pytest.mark.parametrize("header", [b"[]", b"null", b'"ES256"', b"{", b"\xff", b'{"kid":"k"}'])
def test_a_header_that_is_no_object(header: bytes) -> None:
    refuse(EC.sign_raw(header, b"{}"), EC.jwks())


@pytest.mark.parametrize(
    "token",
    [
        "A" * 10_000_000,
        b64(b'{"alg":"PBES2-HS256+A128KW","p2c":1000000000,"enc":"A128GCM"}') + ".A.A.A.A",
        b64(b'{"alg":"dir","enc":"A128GCM","zip":"DEF"}') + "..A.A.A",
        b64(b'{"alg":"ES256","x":' + b"[" * 5000 + b"]" * 5000 + b"}") + ".e30.AAAA",
        b64(b"[" * 11000) + ".e30.AAAA",
        "." * 16000,
    ],
    ids=["10 MB", "p2c", "zip", "deep", "open", "dots"],
)
def test_jw_07_costly_tokens_cost_nothing(token: str) -> None:
    began = time.perf_counter()
    refuse(token, EC.jwks())
    assert time.perf_counter() - began < 0.1


def test_jw_07_a_deep_payload_under_a_good_signature() -> None:
    refuse(EC.sign_raw(b'{"alg":"ES256","kid":"k"}', b"[" * 5000 + b"]" * 5000), EC.jwks())
