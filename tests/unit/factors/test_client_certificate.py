"""Client certificate: which ones are taken, whose they are, and what is said of the others."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from idp.factors.base import Context, Rejected, enrollable, kept
from idp.factors.client_certificate import ClientCertificate
from idp.model import Authenticator, User
from tests.certificates import Authority, Issued, authority, key, self_signed

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
USER = User("u1", "ana", NOW, NOW)
OTHER = User("u2", "ben", NOW, NOW)


@pytest.fixture(scope="module")
def people() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def factor(people: Authority, tmp_path_factory: pytest.TempPathFactory) -> ClientCertificate:
    file = tmp_path_factory.mktemp("ca") / "people.pem"
    file.write_bytes(people.pem)
    return ClientCertificate({"authorities": str(file)})


@pytest.fixture(scope="module")
def ana(people: Authority) -> Issued:
    return people.issue("Ana Example")


def context(
    peer: bytes | None, *held: Authenticator, user: User | None = USER, now: datetime = NOW
) -> Context:
    return Context(now, "https://login.example", user, held, lambda key, ttl: True, peer)


def bound(factor: ClientCertificate, issued: Issued, user: User = USER) -> Authenticator:
    ctx = context(issued.der, user=user)
    return factor.confirm(ctx, factor.enroll(ctx), {})


def test_it_is_bound_by_its_key_and_says_who_issued_it_until_when(
    factor: ClientCertificate, ana: Issued
) -> None:
    held = bound(factor, ana)
    assert held.user_id == "u1"
    assert held.name == "CN=Ana Example"
    assert held.secret == b""
    assert dict(held.data) == {
        "spki_sha256": held.data["spki_sha256"],
        "subject": "CN=Ana Example",
        "issuer": "CN=People CA",
        "serial": f"{ana.certificate.serial_number:x}",
        "not_after": "2035-12-30T00:00:00+00:00",
    }
    assert len(held.data["spki_sha256"]) == 64


def test_it_is_verified_when_the_connection_shows_it(
    factor: ClientCertificate, ana: Issued
) -> None:
    held = bound(factor, ana)
    ctx = context(ana.der, held)
    assert factor.available(ctx)
    assert factor.verify(ctx, factor.begin(ctx), {}) == held


def test_a_page_shows_what_is_bound_and_nothing_else_can_be(
    factor: ClientCertificate, people: Authority, ana: Issued
) -> None:
    asked = factor.enroll(context(ana.der))
    assert asked.public["subject"] == "CN=Ana Example"
    assert kept(asked.form)["fields"] == ()
    second = people.issue("Ana Example")
    with pytest.raises(Rejected, match="another certificate than the page showed"):
        factor.confirm(context(second.der), asked, {})
    without = factor.enroll(context(None))
    assert not without.public
    with pytest.raises(Rejected, match="another certificate than the page showed"):
        factor.confirm(context(ana.der), without, {})


def test_one_key_is_one_authenticator_whoever_binds_it(
    factor: ClientCertificate, people: Authority, ana: Issued
) -> None:
    """The store has one row of an id: binding it again is a conflict."""
    renewed = people.issue("Ana Example", ana.key)
    assert bound(factor, ana).id == bound(factor, ana, OTHER).id == bound(factor, renewed).id
    assert bound(factor, people.issue("Ana Example")).id != bound(factor, ana).id


def test_a_renewed_certificate_for_the_same_key_goes_on_working(
    factor: ClientCertificate, people: Authority, ana: Issued
) -> None:
    held = bound(factor, ana)
    renewed = people.issue("Ana Example", ana.key, life=timedelta(days=5000))
    after = factor.verify(context(renewed.der, held), factor.begin(context(None)), {})
    assert after.id == held.id
    assert after.data["serial"] == f"{renewed.certificate.serial_number:x}"
    assert after.data["not_after"] > held.data["not_after"]


def _wrong(people: Authority) -> Iterator[tuple[str, Issued, str]]:
    own = key()
    yield "expired", people.issue("Ana Example", own, life=timedelta(days=1)), "does not verify"
    late = NOW + timedelta(seconds=1)
    yield "not yet valid", people.issue("Ana Example", own, since=late), "does not verify"
    server = (ExtendedKeyUsageOID.SERVER_AUTH,)
    yield "for servers", people.issue("Ana Example", own, usages=server), "client authentication"
    anything = (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)
    yield "for anything", people.issue("Ana Example", own, usages=anything), "client authentication"
    yield "for nothing", people.issue("Ana Example", own, usages=()), "does not verify"
    yield "self-signed", self_signed("Ana Example"), "does not verify"
    yield "of another authority", authority("Other CA").issue("Ana Example", own), "does not verify"
    yield "of a namesake", authority().issue("Ana Example", own), "does not verify"
    yield "signed by a stranger", people.issue("Ana Example", own, signer=key()), "does not verify"
    strange = people.issue("Ana Example", own, unknown_critical=True)
    yield "with an unknown demand", strange, "does not verify"
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
    yield "with a weak key", people.issue("Ana Example", weak), "key is weak"
    small = ec.generate_private_key(ec.SECP192R1())
    yield "on a small curve", people.issue("Ana Example", small), "key is weak"
    below = authority("Below CA", people)
    yield "of an authority below", below.issue("Ana Example", own), "does not verify"


WRONG = {name: (issued, why) for name, issued, why in _wrong(authority("template"))}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_verify_is_neither_bound_nor_taken(
    factor: ClientCertificate, people: Authority, name: str
) -> None:
    issued, why = {n: (i, w) for n, i, w in _wrong(people)}[name]
    ctx = context(issued.der)
    asked = factor.enroll(ctx)
    with pytest.raises(Rejected, match=why) as refusal:
        factor.confirm(ctx, asked, {})
    assert "cannot be used here" in refusal.value.public
    held = Authenticator("a1", "u1", "client_certificate", NOW, data=dict(asked.public))
    with pytest.raises(Rejected, match=why):
        factor.verify(context(issued.der, held), factor.begin(ctx), {})


def test_time_is_the_contexts(factor: ClientCertificate, ana: Issued) -> None:
    held = bound(factor, ana)
    end = ana.certificate.not_valid_after_utc
    factor.verify(context(ana.der, held, now=end), factor.begin(context(None)), {})
    with pytest.raises(Rejected, match="does not verify"):
        factor.verify(
            context(ana.der, held, now=end + timedelta(seconds=1)), factor.begin(context(None)), {}
        )


@pytest.mark.parametrize("peer", [None, b"", b"\x30\x03\x02\x01\x01", b"x" * 20_000])
def test_no_certificate_or_something_else(
    factor: ClientCertificate, ana: Issued, peer: bytes | None
) -> None:
    held = bound(factor, ana)
    ctx = context(peer, held)
    assert not factor.available(ctx)
    for act in (factor.verify, factor.confirm):
        with pytest.raises(Rejected) as refusal:
            act(ctx, factor.enroll(ctx), {})
        assert refusal.value.public


def test_another_certificate_of_the_same_authority_is_not_mine(
    factor: ClientCertificate, people: Authority, ana: Issued
) -> None:
    held = bound(factor, ana)
    swapped = people.issue("Ana Example")
    ctx = context(swapped.der, held)
    assert factor.available(ctx).reason == "this connection shows another certificate"
    with pytest.raises(Rejected, match="not bound to the account"):
        factor.verify(ctx, factor.begin(ctx), {})


def test_the_same_key_under_another_name_is_not_mine(
    factor: ClientCertificate, people: Authority, ana: Issued
) -> None:
    held = bound(factor, ana)
    other = people.issue("Somebody Else", ana.key)
    with pytest.raises(Rejected, match="another subject"):
        factor.verify(context(other.der, held), factor.begin(context(None)), {})


def test_it_says_why_it_is_not_available(factor: ClientCertificate, ana: Issued) -> None:
    held = bound(factor, ana)
    assert factor.available(context(ana.der)).reason == "no certificate is bound"
    assert factor.available(context(None, held)).reason == "this connection shows no certificate"
    nobody = ClientCertificate({})
    assert nobody.available(context(ana.der, held)).reason == "no authority is configured"


def test_without_an_authority_nothing_is_accepted(ana: Issued) -> None:
    nobody = ClientCertificate({})
    assert not enrollable(nobody)
    ctx = context(ana.der)
    with pytest.raises(Rejected, match="no authority is configured"):
        nobody.confirm(ctx, nobody.enroll(ctx), {})


def test_an_issuing_authority_may_be_trusted_without_its_root(
    people: Authority, tmp_path: Path
) -> None:
    below = authority("Issuing CA", people)
    file = tmp_path / "issuing.pem"
    file.write_bytes(below.pem)
    factor = ClientCertificate({"authorities": str(file)})
    assert bound(factor, below.issue("Ana Example")).data["issuer"] == "CN=Issuing CA"
    with pytest.raises(Rejected, match="does not verify"):
        bound(factor, people.issue("Ana Example"))


def test_amr_is_what_the_authority_promises(people: Authority) -> None:
    assert ClientCertificate({}).amr == ("swk",)
    assert ClientCertificate({"key": "sc"}).amr == ("sc",)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"authorities": "/nowhere/at/all.pem"}, "cannot read /nowhere/at/all.pem"),
        ({"authorities": __file__}, "holds no certificates in PEM"),
        ({"key": "hardware"}, "key"),
        ({"authority": "x"}, "authority"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: Mapping[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ClientCertificate(settings)


def test_nobody_cannot_bind_one(factor: ClientCertificate, ana: Issued) -> None:
    ctx = context(ana.der, user=None)
    with pytest.raises(Rejected, match="nobody"):
        factor.enroll(ctx)
    asked = factor.enroll(replace(ctx, user=USER))
    with pytest.raises(Rejected, match="nobody"):
        factor.confirm(ctx, asked, {})


def test_the_key_is_the_whole_spki(factor: ClientCertificate, ana: Issued) -> None:
    again = x509.load_der_x509_certificate(ana.der)
    assert again == ana.certificate
    assert bound(factor, ana).data["spki_sha256"] == bound(factor, ana, OTHER).data["spki_sha256"]
