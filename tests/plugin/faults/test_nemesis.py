"""A schedule beside a test: started, healed and stopped in order."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.errors import FaultError
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.nemesis import Nemesis
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.faults.schedule import Draw, Planned, Schedule, TargetSpec
from tests.plugin.faults.world import BOUND, TinyFleet, TinyPod, until


class Diary:
    """What was injected and healed, in order. Fulfils Inject."""

    def __init__(self, breaks: str = "") -> None:
        self.entries: list[str] = []
        self.breaks = breaks
        self.written = threading.Event()

    def __call__(self, name: str, target: Sequence[PodView], /, **settings: object) -> "Page":
        self.write(f"start {name} {','.join(pod.name for pod in target)}")
        return Page(self, name)

    def write(self, entry: str) -> None:
        self.entries.append(entry)
        self.written.set()
        if entry == self.breaks:
            raise FaultError(f"cannot {entry}")


class Page:
    def __init__(self, diary: Diary, name: str) -> None:
        self._diary, self._name = diary, name

    def heal(self) -> None:
        self._diary.write(f"heal {self._name}")


@pytest.fixture
def asleep(tmp_path: Path) -> TinyFleet:
    return TinyFleet(tmp_path, [TinyPod(i, tmp_path, []) for i in range(3)])


def planned(at: float, lasts: float, fault: str, target: TargetSpec = "pod-0") -> Planned:
    return Planned(at, lasts, fault, target, {}, "seed")


def schedule(*injections: Planned, duration: float = 0.3) -> Schedule:
    return Schedule(injections, duration, 0)


def test_everything_happens_in_its_order(asleep: TinyFleet) -> None:
    diary = Diary()
    plan = schedule(
        planned(0.00, 0.25, "long"),
        planned(0.05, 0.05, "short"),
        planned(0.15, 0.05, "late", "all"),
    )
    with Nemesis(plan, asleep, diary) as nemesis:
        assert nemesis.wait(BOUND)
    assert diary.entries == [
        "start long pod-0", "start short pod-0", "heal short",
        "start late pod-0,pod-1,pod-2", "heal late", "heal long",
    ]  # fmt: skip


def test_stopped_early_it_heals_in_reverse_and_starts_no_more(asleep: TinyFleet) -> None:
    diary = Diary()
    plan = schedule(
        planned(0, 900, "a"), planned(0, 800, "b"), planned(0, 900, "c"), planned(600, 1, "never"),
        duration=1000,
    )  # fmt: skip
    nemesis = Nemesis(plan, asleep, diary).start()
    until(lambda: len(diary.entries) == 3, "three faults are active")
    nemesis.stop()
    assert not nemesis.running
    assert diary.entries[3:] == ["heal c", "heal b", "heal a"]


def test_a_target_that_is_not_there_is_missed_and_told(asleep: TinyFleet) -> None:
    diary = Diary()
    plan = schedule(planned(0, 0.1, "kill", "random:1"), planned(0, 0.1, "pause"), duration=0.1)
    with Nemesis(plan, asleep, diary) as nemesis:
        assert nemesis.wait(BOUND)
    assert [one.fault for one, _ in nemesis.missed] == ["kill"]
    assert diary.entries == ["start pause pod-0", "heal pause"]


@pytest.mark.parametrize("breaks", ["start b pod-0", "heal b"])
def test_what_goes_wrong_is_raised_and_the_rest_healed(asleep: TinyFleet, breaks: str) -> None:
    diary = Diary(breaks)
    plan = schedule(planned(0, 900, "a"), planned(0, 0.01, "b"), duration=1000)
    nemesis = Nemesis(plan, asleep, diary).start()
    with pytest.raises(FaultError, match=f"cannot {breaks}"):
        nemesis.wait(BOUND)
    assert diary.entries[-1] == "heal a"


def test_random_targets_come_from_the_schedule(fleet: TinyFleet) -> None:
    plan = Schedule.plan([Draw("pause", "random:1", lasts=(0, 0))], duration=0.3, rate=100, seed=3)
    diaries = [Diary(), Diary()]
    for diary in diaries:
        with Nemesis(plan, fleet, diary) as nemesis:
            assert nemesis.wait(BOUND)
    assert diaries[0].entries == diaries[1].entries
    assert len(set(diaries[0].entries)) > 2


def test_real_faults_on_real_pods(fleet: TinyFleet) -> None:
    registry = Registry()
    quick = [Draw(name, lasts=(0.05, 0.15)) for name in ("kill", "pause", "restart")]
    injections: list[Injection] = []

    def inject(name: str, target: Sequence[PodView], /, **settings: object) -> Injection:
        made = Injection(registry.make(name, **settings), target, record=lambda *_: None)
        injections.append(made)
        return made.start(fleet)

    plan = Schedule.plan(quick, duration=1.0, rate=6, seed=5)
    with Nemesis(plan, fleet, inject) as nemesis:
        assert nemesis.wait(BOUND)
    assert len(injections) + len(nemesis.missed) == len(plan.injections) > 3
    assert {one.fault.name for one in injections if one.evidence} == {"kill", "pause", "restart"}
    assert all(pod.alive for pod in fleet.pods)
