"""Silence is judged by one's own monotonic clock."""

from fleetq_server.clock import ManualClock
from fleetq_server.core.observer import Observer
from fleetq_server.model import Holder, HolderKey, HolderStatus, HolderType
from fleetq_server.store.base import Suspect

THRESHOLD = 5.0
GRACE = 3.0


def holder(key: int, beats: int, beat_at: float = 0.0) -> Holder:
    return Holder(
        HolderKey(key), f"holder-{key}", HolderType.POD, "", "", 0, "", 1,
        HolderStatus.LIVE, 0.0, beat_at, beats, 0,
    )  # fmt: skip


def test_one_that_stays_at_its_beat_for_the_threshold_is_suspected() -> None:
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    assert observer.look([holder(1, 7), holder(2, 3)], GRACE) == []
    clock.advance(THRESHOLD - 0.01)
    assert observer.look([holder(1, 7), holder(2, 4)], GRACE) == []
    clock.advance(0.01)
    assert observer.look([holder(1, 7), holder(2, 4)], GRACE) == [Suspect(HolderKey(1), 7)]


def test_a_beat_clears_the_suspicion() -> None:
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    observer.look([holder(1, 7)], GRACE)
    clock.advance(THRESHOLD)
    assert observer.look([holder(1, 7)], GRACE)
    assert observer.look([holder(1, 8)], GRACE) == []
    clock.advance(THRESHOLD - 0.01)
    assert observer.look([holder(1, 8)], GRACE) == []


def test_jumps_of_wall_clocks_change_nothing() -> None:
    """Neither one's own nor that of the holder, whose time of the last beat is never looked at."""
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    observer.look([holder(1, 7, beat_at=clock.now())], GRACE)
    clock.jump(86_400)
    assert observer.look([holder(1, 7, beat_at=-1e9)], GRACE) == []
    clock.jump(-2 * 86_400)
    clock.advance(THRESHOLD)
    assert observer.look([holder(1, 7, beat_at=4e9)], GRACE) == [Suspect(HolderKey(1), 7)]


def test_one_just_seen_gets_the_whole_threshold() -> None:
    """A pod that starts knows nothing of how long the others have been silent."""
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    assert observer.look([holder(1, 7, beat_at=clock.now() - 1000)], GRACE) == []


def test_claims_of_others_act_only_after_the_leader_had_its_time() -> None:
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    observer.look([holder(1, 7)], GRACE)
    clock.advance(THRESHOLD + GRACE - 0.01)
    assert observer.look([holder(1, 7)], GRACE)
    assert not observer.overdue
    clock.advance(0.01)
    observer.look([holder(1, 7)], GRACE)
    assert observer.overdue == (Suspect(HolderKey(1), 7),)


def test_one_that_is_gone_is_forgotten() -> None:
    clock = ManualClock()
    observer = Observer(clock, THRESHOLD)
    observer.look([holder(1, 7)], GRACE)
    clock.advance(THRESHOLD + GRACE)
    assert observer.look([], GRACE) == []
    assert observer.overdue == ()
    assert observer.look([holder(1, 7)], GRACE) == []
