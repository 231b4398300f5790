"""The ring over time: an explicit clock, and a store that keeps its promises in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from idp import events
from idp.errors import ConfigError, Conflict
from idp.model import SigningKey
from idp.oidc.keys import ALGORITHMS, KeyRing

AHEAD = timedelta(hours=1)
TOKEN = timedelta(minutes=5)
REFRESH = timedelta(seconds=15)
TICK = timedelta(microseconds=1)


@dataclass
class Time:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Store:
    """Like `storage.signing_keys`: one key at most per algorithm is not retired, and a
    retirement is only ever brought forward."""

    keys: dict[str, SigningKey] = field(default_factory=dict)
    reads: int = 0
    fail_removal: bool = False
    meanwhile: Callable[[], object] | None = None  # what another process does after the next read

    def all(self) -> Sequence[SigningKey]:
        self.reads += 1
        found = sorted(self.keys.values(), key=lambda key: (key.active_at, key.kid))
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        return found

    def publish(self, keys: Sequence[SigningKey], *, retire: Mapping[str, datetime]) -> None:
        for kid, at in retire.items():
            known = self.keys[kid].retired_at
            self.keys[kid] = replace(self.keys[kid], retired_at=min(at, known or at))
        present = {key.alg for key in self.keys.values() if key.retired_at is None}
        self.keys |= {key.kid: key for key in keys if key.alg not in present}

    def remove(self, before: datetime) -> int:
        if self.fail_removal:
            raise KeyboardInterrupt
        gone = [k.kid for k in self.keys.values() if k.retired_at and k.retired_at <= before]
        for kid in gone:
            del self.keys[kid]
        return len(gone)


@dataclass
class Scene:
    time: Time = field(default_factory=Time)
    store: Store = field(default_factory=Store)
    emitted: list[events.Event] = field(default_factory=list)

    def ring(self) -> KeyRing:
        return KeyRing(self.store, self.time, REFRESH, events.Bus((self.emitted.append,)), TOKEN)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.ring().ensure()
    return scene


def rotate(ring: KeyRing, ahead: timedelta = AHEAD) -> Mapping[str, str]:
    fresh, _ = ring.rotate(publish_ahead=ahead)
    return {key.alg: key.kid for key in fresh}


def kids(ring: KeyRing) -> set[str]:
    ring.forget()
    return {key["kid"] for key in ring.now().jwks["keys"]}


def signers(ring: KeyRing) -> dict[str, str]:
    ring.forget()
    return {alg: kid for alg, (kid, _) in ring.now().signing.items()}


def test_the_first_start_makes_one_key_per_algorithm(scene: Scene) -> None:
    ring = scene.ring()
    assert set(signers(ring)) == set(ALGORITHMS)
    assert kids(ring) == set(signers(ring).values())
    ring.ensure()
    assert len(scene.store.keys) == len(ALGORITHMS)


def test_the_jwks_is_public_and_no_repr_shows_a_key(scene: Scene) -> None:
    ring = scene.ring().now()
    for jwk in ring.jwks["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi"} & jwk.keys()
        assert jwk["use"] == "sig"
    private = next(iter(scene.store.keys.values())).private
    assert private.decode() not in repr(ring) + repr(scene.store)


def test_a_key_is_published_ahead_signs_when_active_and_leaves_after_the_last_token(
    scene: Scene,
) -> None:
    ring, start = scene.ring(), scene.time.now
    old = signers(ring)
    new = rotate(ring)
    active = start + AHEAD
    removed = active + REFRESH + TOKEN

    both = set(old.values()) | set(new.values())
    assert kids(ring) == both
    assert signers(ring) == old

    scene.time.now = active - TICK
    assert signers(ring) == old
    scene.time.now = active
    assert signers(ring) == new
    assert kids(ring) == both

    scene.time.now = removed - TICK
    assert kids(ring) == both
    scene.time.now = removed
    assert kids(ring) == set(new.values())


def test_the_slowest_worker_still_signs_with_a_key_that_verifiers_find(scene: Scene) -> None:
    worker, other, old = scene.ring(), scene.ring(), signers(scene.ring())
    rotate(other)
    retired = scene.time.now + AHEAD
    scene.time.now = retired - TICK
    worker.now()
    scene.time.now = retired - TICK + REFRESH - TICK  # its ring is as old as it may be
    assert worker.signer("ES256")[0] == old["ES256"]
    scene.time.now += TOKEN  # the token that it signs now is about to expire
    assert old["ES256"] in kids(other)


def test_what_has_left_the_jwks_is_deleted_by_the_next_rotation(scene: Scene) -> None:
    ring = scene.ring()
    rotate(ring)
    scene.time.now += timedelta(days=1)
    _, gone = ring.rotate(publish_ahead=AHEAD)
    assert gone == len(ALGORITHMS)
    assert len(scene.store.keys) == 2 * len(ALGORITHMS)


def test_at_once(scene: Scene) -> None:
    ring, old = scene.ring(), signers(scene.ring())
    new = rotate(ring, timedelta(0))
    assert signers(ring) == new
    assert set(old.values()) <= kids(ring)


def test_at_once_overtakes_a_rotation_that_is_under_way(scene: Scene) -> None:
    ring = scene.ring()
    pending = rotate(ring)
    newest = rotate(ring, timedelta(0))
    assert signers(ring) == newest
    scene.time.now += AHEAD
    assert signers(ring) == newest
    scene.time.now += REFRESH + TOKEN
    assert not set(pending.values()) & kids(ring)


def test_some_key_signs_at_every_moment_of_two_overlapping_rotations(scene: Scene) -> None:
    ring = scene.ring()
    rotate(ring)
    scene.time.now += AHEAD / 2
    rotate(ring)
    for _ in range(40):
        scene.time.now += timedelta(minutes=3)
        assert set(signers(ring)) == set(ALGORITHMS)
        assert set(signers(ring).values()) <= kids(ring)


def test_rotating_an_empty_ring_leaves_no_gap() -> None:
    ring = Scene().ring()
    assert signers(ring) == {}
    assert signers(ring) == {} != rotate(ring)
    assert set(signers(ring)) == set(ALGORITHMS)


def test_without_a_key_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="idp keys rotate"):
        Scene().ring().signer("ES256")


def test_two_processes_that_start_at_once_share_one_set() -> None:
    scene = Scene()
    first, second = scene.ring(), scene.ring()
    scene.store.meanwhile = second.ensure
    first.ensure()
    assert len(scene.store.keys) == len(ALGORITHMS)
    assert signers(first) == signers(second)


def test_of_two_rotations_at_once_one_is_refused_and_the_ring_moves_once(scene: Scene) -> None:
    old = signers(scene.ring())
    scene.store.meanwhile = lambda: rotate(scene.ring())
    with pytest.raises(Conflict):
        rotate(scene.ring())
    assert len(scene.store.keys) == 2 * len(ALGORITHMS)
    assert signers(scene.ring()) == old
    assert len(scene.emitted) == 1


def test_at_once_wins_against_one_under_way_and_leaves_no_gap(scene: Scene) -> None:
    scene.store.meanwhile = lambda: rotate(scene.ring())
    newest = rotate(scene.ring(), timedelta(0))
    assert signers(scene.ring()) == newest


def test_another_process_is_noticed_after_the_refresh_interval(scene: Scene) -> None:
    ring, other = scene.ring(), scene.ring()
    before = ring.now()
    new = rotate(other)
    scene.time.now += REFRESH - TICK
    reads = scene.store.reads
    assert ring.now() is before
    assert scene.store.reads == reads
    scene.time.now += TICK
    assert {key["kid"] for key in ring.now().jwks["keys"]} >= set(new.values())
    assert ring.now().etag != before.etag


def test_a_clock_that_goes_back_makes_it_read_anew(scene: Scene) -> None:
    ring = scene.ring()
    before = ring.now()
    scene.time.now -= timedelta(days=1)
    assert ring.now() is not before


def test_killed_between_the_writes_nothing_is_lost(scene: Scene) -> None:
    ring, old = scene.ring(), signers(scene.ring())
    scene.store.fail_removal = True
    with pytest.raises(KeyboardInterrupt):
        rotate(ring)
    scene.store.fail_removal = False

    again = scene.ring()
    again.ensure()
    assert signers(again) == old
    scene.time.now += AHEAD
    assert set(signers(again)) == set(ALGORITHMS)
    assert not set(signers(again).values()) & set(old.values())
    rotate(again)
    assert set(signers(again)) == set(ALGORITHMS)


def test_a_rotation_is_told_with_the_time_from_which_it_signs(scene: Scene) -> None:
    new = rotate(scene.ring())
    (event,) = scene.emitted
    assert isinstance(event, events.KeysRotated)
    assert set(event.kids) == set(new.values())
    assert event.active_at == scene.time.now + AHEAD
