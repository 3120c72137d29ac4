"""One injection: started, shown, healed."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultHadNoEffect
from pytest_fleetq.faults.handle import Injection
from tests.plugin.faults.world import BOUND, TinyFleet, TinyPod


@dataclass
class Probe(Fault):
    """Tells what is done to it."""

    name = "probe"
    shows: bool = True
    breaks: str = ""
    _done: list[str] = field(default_factory=list)

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        self._do("start")

    def heal(self) -> None:
        self._do("heal")

    def effect(self) -> str | None:
        return "it happened" if self.shows and "start" in self._done else None

    @property
    def done(self) -> list[str]:
        return self._done

    def _do(self, what: str) -> None:
        self._done.append(what)
        if what == self.breaks:
            raise OSError(f"no {what}")


@pytest.fixture
def fleet(tmp_path: Path) -> TinyFleet:
    return TinyFleet(tmp_path, [TinyPod(0, tmp_path, [])])


class Told:
    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.payloads: list[Mapping[str, Any]] = []
        self.ended = threading.Event()

    def __call__(self, kind: str, payload: Mapping[str, object]) -> None:
        self.kinds.append(kind)
        self.payloads.append(payload)
        if kind in {"fault.end", "fault.error"}:
            self.ended.set()


def inject(fleet: TinyFleet, fault: Probe, duration: float | None = None) -> tuple[Injection, Told]:
    told = Told()
    return Injection(fault, fleet.pods, record=told, duration=duration).start(fleet), told


def test_it_is_told_from_start_to_end(fleet: TinyFleet) -> None:
    fault = Probe()
    injection, told = inject(fleet, fault)
    injection.heal()
    injection.heal()
    assert fault.done == ["start", "heal"]
    assert told.kinds == ["fault.start", "fault.effect", "fault.end"]
    assert told.payloads[0]["targets"] == ["pod-0"]
    assert told.payloads[0]["settings"] == {"shows": True, "breaks": ""}
    assert told.payloads[-1]["evidence"] == "it happened"
    assert {payload["id"] for payload in told.payloads} == {injection.id}
    assert injection.check_effect() == "it happened"


def test_a_block_heals_at_its_end_also_when_it_fails(fleet: TinyFleet) -> None:
    fault = Probe()
    with pytest.raises(ZeroDivisionError), inject(fleet, fault)[0]:
        raise ZeroDivisionError
    assert fault.done == ["start", "heal"]


def test_it_heals_by_itself_after_its_duration(fleet: TinyFleet) -> None:
    fault = Probe()
    injection, told = inject(fleet, fault, duration=0.02)
    assert told.ended.wait(BOUND)
    injection.heal()
    assert fault.done == ["start", "heal"]


def test_without_effect_it_fails(fleet: TinyFleet) -> None:
    injection, _ = inject(fleet, Probe(shows=False))
    injection.heal()
    with pytest.raises(FaultHadNoEffect, match=r"'probe' on pod-0 had no effect.*'shows': False"):
        injection.check_effect()


def test_evidence_is_kept_though_it_goes_with_the_fault(fleet: TinyFleet) -> None:
    fault = Probe()
    injection, _ = inject(fleet, fault)
    fault.shows = False
    injection.heal()
    assert injection.check_effect() == "it happened"


def test_a_failed_start_is_undone_and_told(fleet: TinyFleet) -> None:
    fault, told = Probe(breaks="start"), Told()
    with pytest.raises(OSError, match="no start"):
        Injection(fault, fleet.pods, record=told).start(fleet)
    assert fault.done == ["start", "heal"]
    assert "fault.error" in told.kinds


def test_a_failed_heal_is_told_and_may_be_tried_again(fleet: TinyFleet) -> None:
    fault = Probe(breaks="heal")
    injection, told = inject(fleet, fault)
    with pytest.raises(OSError, match="no heal"):
        injection.heal()
    assert told.kinds[-1] == "fault.error"
    fault.breaks = ""
    injection.heal()
    assert told.kinds[-1] == "fault.end"


def test_a_heal_that_failed_in_the_background_is_not_forgotten(fleet: TinyFleet) -> None:
    injection, told = inject(fleet, Probe(breaks="heal"), duration=0.01)
    assert told.ended.wait(BOUND)
    with pytest.raises(OSError, match="no heal"):
        injection.check_effect()
