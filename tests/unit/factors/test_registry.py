"""Factors by entry point: what is missing or refuses stops the start, by name and reason."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from idp.errors import ConfigError
from idp.factors import registry
from idp.factors.password import Password
from idp.factors.registry import installed, load
from idp.factors.totp import Totp


class Fake:
    name = "fake"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if settings.get("broken"):
            raise ValueError("broken is set")
        self.settings = settings


def offer(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    made = {name: EntryPoint(name, value, "idp.factors") for name, value in points.items()}
    monkeypatch.setattr(registry, "installed", lambda: made)


def test_our_own_are_installed() -> None:
    assert {"password", "totp"} <= set(installed())


def test_only_what_the_policy_names_is_loaded() -> None:
    assert list(load(["totp"], {})) == ["totp"]
    found = load(["totp", "password", "totp"], {"password": {"min_length": 15}})
    assert list(found) == ["password", "totp"]
    assert [type(factor) for factor in found.values()] == [Password, Totp]


def test_a_factor_gets_its_own_section(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fake=f"{__name__}:Fake")
    factor: Any = load(["fake"], {"fake": {"a": 1}, "other": {"a": 2}})["fake"]
    assert factor.settings == {"a": 1}
    without: Any = load(["fake"], {})["fake"]
    assert without.settings == {}


def test_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, zebra="x:X", fake=f"{__name__}:Fake")
    with pytest.raises(ConfigError, match=r"'face', which no .* installed: fake, zebra"):
        load(["fake", "face"], {})


@pytest.mark.parametrize(
    ("section", "why"), [({"broken": 1}, "broken is set"), ({}, "No module named 'nowhere'")]
)
def test_one_that_cannot_be_constructed(
    section: Mapping[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, fake=f"{__name__}:Fake" if section else "nowhere:Fake")
    with pytest.raises(ConfigError, match=f"'fake' cannot be used: {why}"):
        load(["fake"], {"fake": section})


def test_a_setting_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'totp' cannot be used"):
        load(["totp"], {"totp": {"digits": 4}})


def test_a_name_that_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, password=f"{__name__}:Fake")
    with pytest.raises(ConfigError, match="'password' gives a factor that calls itself 'fake'"):
        load(["password"], {})


class Leaning(Fake):
    """Works with what `fake` binds."""

    name = "leaning"
    uses = "fake"


class Placed(Fake):
    """Cannot serve every issuer."""

    def check(self, issuer: str) -> None:
        if "elsewhere" in issuer:
            raise ValueError("not at this issuer")


def test_one_that_works_with_anothers_authenticators_has_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, leaning=f"{__name__}:Leaning")
    factor: Any = load(["leaning"], {"fake": {"a": 1}})["leaning"]
    assert factor.settings == {"a": 1}
    with pytest.raises(ConfigError, match=r"write \[factors.fake\]"):
        load(["leaning"], {"leaning": {"a": 2}})


def test_one_that_does_not_suit_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fake=f"{__name__}:Placed")
    assert load(["fake"], {}, "https://here.example")
    with pytest.raises(ConfigError, match="'fake' cannot be used: not at this issuer"):
        load(["fake"], {}, "https://elsewhere.example")
