"""Sealed values open in their own place with a known key, and in no other case."""

import base64
import stat
import threading
import traceback
from pathlib import Path
from typing import TypedDict

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from idp.storage.seal import Keyring, Sealed, Sealer, SealError, create_keyring, load_keyring


class Place(TypedDict):
    table: str
    column: str
    row: str


PLACE: Place = {"table": "authenticators", "column": "seed", "row": "17"}
OLD, NEW = Keyring.generate("old"), Keyring.generate("new")
SEALER = Sealer(Keyring.parse(OLD))
SECRET = b"a seed that nobody may read"


def key_of(line: str) -> bytes:
    return base64.b64decode(line.partition(":")[2])


@given(st.binary(max_size=300), st.text(), st.text(), st.text())
def test_round_trip(plaintext: bytes, table: str, column: str, row: str) -> None:
    blob = SEALER.seal(plaintext, table=table, column=column, row=row)
    assert SEALER.open(blob, table=table, column=column, row=row) == plaintext


def test_each_value_has_its_own_data_key_and_nonces() -> None:
    one, two = (SEALER.seal(SECRET, **PLACE) for _ in range(2))
    start = 2 + len("old")
    parts = ((0, 12), (12, 60), (60, 72), (72, None))
    for first, last in parts:
        end = None if last is None else start + last
        assert one[start + first : end] != two[start + first : end]
    assert SECRET not in one


def open_by_hand(blob: bytes) -> tuple[bytes, bytes]:
    """The data key and the plaintext, read as the module's docstring has it."""

    def bound(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    assert blob[:5] == b"\x01\x03old"
    place = (b"authenticators", b"seed", b"17")
    wrap, data = bound(b"\x01", b"wrap", b"old", *place), bound(b"\x01", b"data", *place)
    data_key = AESGCM(key_of(OLD)).decrypt(blob[5:17], blob[17:65], wrap)
    return data_key, AESGCM(data_key).decrypt(blob[65:77], blob[77:], data)


def test_the_format_is_the_documented_one() -> None:
    """A change of format would orphan every stored secret."""
    (one_key, one), (two_key, two) = (open_by_hand(SEALER.seal(SECRET, **PLACE)) for _ in "12")
    assert one == two == SECRET
    assert len(one_key) == 32
    assert one_key != two_key


WRONG_PLACES: list[Place] = [
    {**PLACE, "table": "clients"},
    {**PLACE, "column": "secret"},
    {**PLACE, "row": "18"},
    {"table": "authenticator", "column": "sseed", "row": "17"},
    {"table": "authenticators", "column": "seed1", "row": "7"},
]


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_a_value_moved_to_another_place_does_not_open(place: Place) -> None:
    blob = SEALER.seal(SECRET, **PLACE)
    with pytest.raises(SealError, match="another place"):
        SEALER.open(blob, **place)


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_rewrap_does_not_carry_a_value_to_another_place(place: Place) -> None:
    """The wrap is bound on its own: rewrap never looks at the payload."""
    blob = SEALER.seal(SECRET, **PLACE)
    with pytest.raises(SealError, match="another place"):
        Sealer(Keyring.parse(NEW + OLD)).rewrap(blob, **place)


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_the_payload_is_bound_to_its_place_even_under_a_wrap_for_another(place: Place) -> None:
    """Who can wrap keys, but not read them, cannot graft a payload on to another row."""
    here, there = SEALER.seal(SECRET, **PLACE), SEALER.seal(b"", **place)
    with pytest.raises(SealError, match="another place"):
        SEALER.open(there[:65] + here[65:], **place)


@given(st.binary(max_size=40), st.data())
def test_a_flipped_bit_anywhere_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    blob = bytearray(SEALER.seal(plaintext, **PLACE))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(SealError):
        SEALER.open(bytes(blob), **PLACE)


def test_every_byte_flipped_is_refused() -> None:
    blob = SEALER.seal(SECRET, **PLACE)
    for at in range(len(blob)):
        altered = blob[:at] + bytes([blob[at] ^ 0x80]) + blob[at + 1 :]
        with pytest.raises(SealError) as caught:
            SEALER.open(altered, **PLACE)
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()


def test_every_truncation_is_refused_as_such() -> None:
    blob = SEALER.seal(b"", **PLACE)
    for length in range(1, len(blob)):
        with pytest.raises(SealError, match="truncated"):
            SEALER.open(blob[:length], **PLACE)
    with pytest.raises(SealError, match="version"):
        SEALER.open(b"", **PLACE)
    with pytest.raises(SealError, match="altered"):
        SEALER.open(blob + b"\0", **PLACE)


def test_the_wrap_is_bound_to_its_key_id() -> None:
    """The same key under a second id: the relabelled value must not pass for the other."""
    both = Sealer(Keyring.parse(OLD + OLD.replace("old:", "odl:")))
    blob = both.seal(SECRET, **PLACE)
    with pytest.raises(SealError, match="altered"):
        both.open(blob.replace(b"old", b"odl", 1), **PLACE)


def test_rotation() -> None:
    blob = SEALER.seal(SECRET, **PLACE)
    rotating = Sealer(Keyring.parse(NEW + OLD))
    assert rotating.primary_kid == "new"
    assert rotating.open(blob, **PLACE) == SECRET

    moved = rotating.rewrap(blob, **PLACE)
    assert moved is not None
    assert moved[65:] == blob[65:], "the payload is left as it was"
    assert rotating.rewrap(moved, **PLACE) is None

    rotated = Sealer(Keyring.parse(NEW))
    assert rotated.open(moved, **PLACE) == SECRET
    assert rotated.open(rotating.seal(SECRET, **PLACE), **PLACE) == SECRET
    with pytest.raises(SealError, match="'old', which is not in the keyring"):
        rotated.open(blob, **PLACE)
    with pytest.raises(SealError, match="'old', which is not in the keyring"):
        rotated.rewrap(blob, **PLACE)


def test_rewrap_refuses_an_altered_wrap() -> None:
    blob = bytearray(SEALER.seal(SECRET, **PLACE))
    blob[20] ^= 1
    with pytest.raises(SealError, match="altered"):
        Sealer(Keyring.parse(NEW + OLD)).rewrap(bytes(blob), **PLACE)


def test_a_keyring_may_have_comments_and_blank_lines() -> None:
    keyring = Keyring.parse(f"# made on Monday\n\n{NEW}  \n{OLD}")
    assert keyring.primary == "new"
    assert list(keyring.keys) == ["new", "old"]
    assert keyring.keys["old"] == key_of(OLD)


BAD_LINES = {
    "no colon": (NEW.partition(":")[2], "expected kid:base64"),
    "no key id": (":" + NEW.partition(":")[2], "expected kid:base64"),
    "odd key id": ("k 1:" + NEW.partition(":")[2], "expected kid:base64"),
    "long key id": ("k" * 65 + ":" + NEW.partition(":")[2], "expected kid:base64"),
    "not base64": (NEW.replace("=", "!"), "not base64"),
    "more than base64": (NEW.replace(":", ":!"), "not base64"),
    "not ASCII": (NEW.replace("=", "é"), "not base64"),
    "31 bytes": ("k:" + base64.b64encode(key_of(NEW)[:31]).decode(), "must be 32 bytes"),
    "33 bytes": ("k:" + base64.b64encode(key_of(NEW) + b"3").decode(), "must be 32 bytes"),
    "twice": (OLD, "appears twice"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_named_by_number_and_never_shown(case: str) -> None:
    line, message = BAD_LINES[case]
    with pytest.raises(SealError, match=f"line 3: .*{message}") as caught:
        Keyring.parse(f"{OLD}\n{line}")
    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
    for secret in (NEW.partition(":")[2].strip(), OLD.partition(":")[2].strip()):
        assert secret[:12] not in shown


def test_an_empty_keyring_is_refused() -> None:
    with pytest.raises(SealError, match="no key"):
        Keyring.parse("# nothing here\n")


def test_generate_refuses_an_odd_key_id() -> None:
    with pytest.raises(SealError, match="a key id is"):
        Keyring.generate("a:b")
    assert Keyring.generate("k") != Keyring.generate("k")


def test_nothing_shows_key_material() -> None:
    keyring = Keyring.parse(NEW + OLD)
    blob = SEALER.seal(SECRET, **PLACE)
    shown = f"{keyring} {keyring!r} {Sealer(keyring)} {Sealer(keyring)!r}"
    assert "new" in shown
    assert "old" in shown
    for sealer, place in ((SEALER, WRONG_PLACES[0]), (Sealer(Keyring.parse(NEW)), PLACE)):
        with pytest.raises(SealError) as caught:
            sealer.open(blob, **place)
        shown += "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for line in (NEW, OLD):
        key = key_of(line)
        for form in (repr(key), str(key)[2:14], key.hex(), line.partition(":")[2].strip()):
            assert form not in shown


def test_create_then_load(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    created = create_keyring(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_keyring(path) == created
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keyring, "generate", lambda kid: pytest.fail(f"made {kid} for nothing"))
        assert create_keyring(path) == created, "an existing file is kept"
    assert [entry.name for entry in tmp_path.iterdir()] == ["keyring"], "no draft is left"


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    barrier = threading.Barrier(8)
    keyrings: list[Keyring] = []

    def start() -> None:
        barrier.wait()
        keyrings.append(create_keyring(path))

    for _ in range(5):
        path.unlink(missing_ok=True)
        keyrings.clear()
        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keyrings) == 8
        assert all(keyring == keyrings[0] for keyring in keyrings)


def test_the_loser_of_the_race_takes_the_winners_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process creates the file just after this one saw that there is none."""
    path = tmp_path / "keyring"
    winner = create_keyring(path)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert create_keyring(path) == winner
    assert load_keyring(path) == winner


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_keyring_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keyring"
    create_keyring(path)
    path.chmod(mode)
    with pytest.raises(SealError, match=f"chmod 600 {path}"):
        load_keyring(path)


def test_unreadable_files_are_errors_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    with pytest.raises(SealError, match="cannot be read: No such file"):
        load_keyring(path)
    with pytest.raises(SealError, match="cannot be created: No such file"):
        create_keyring(tmp_path / "missing" / "keyring")
    path.write_bytes(b"k1:\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(SealError, match="not ASCII text") as caught:
        load_keyring(path)
    assert "0xff" not in "".join(traceback.format_exception(caught.value))


def test_what_is_sealed_under_a_name_opens_under_that_name_alone() -> None:
    sealing = Sealed(Sealer(Keyring.parse(Keyring.generate("k1"))))
    sealed = sealing.seal(b"private", "interaction:1")
    assert b"private" not in sealed
    assert sealing.open(sealed, "interaction:1") == b"private"
    for odd in (sealed[:-1], sealed + b"x", b"", sealing.seal(b"private", "interaction:2")):
        with pytest.raises(SealError):
            sealing.open(odd, "interaction:1")
    with pytest.raises(SealError):
        sealing.open(sealed, "interaction:2")


def test_a_name_is_no_place_in_a_table() -> None:
    sealer = Sealer(Keyring.parse(Keyring.generate("k1")))
    with pytest.raises(SealError):
        Sealed(sealer).open(sealer.seal(b"x", table="mail", column="sealed", row="1"), "1")
