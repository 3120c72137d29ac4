"""Faults by name, and their settings."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import BadSetting, FaultError, UnknownFault
from pytest_fleetq.faults.registry import BUILT_IN, Registry
from pytest_fleetq.faults.settings import defaults_of, number
from tests.plugin.faults.world import ROOT


@dataclass
class Nice(Fault):
    name = "nice"
    by: int = number(10, low=1, high=19)
    share: float = number(0.5, above=0, high=1)
    how: Literal["kindly", "firmly"] = "kindly"
    loud: bool = False
    word: str = ""
    _done: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.word == "please":
            raise ValueError("please is not enough")

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None: ...

    def heal(self) -> None: ...

    def effect(self) -> str | None:
        return None


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.add(Nice)
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_fault_can_be_made_and_says_what_it_does(name: str) -> None:
    kind = Registry().get(name)
    fault = Registry().make(name)
    assert kind.name == name
    assert isinstance(fault, kind)
    assert kind.__doc__
    assert fault.effect() is None, "what never began has had no effect"
    fault.heal()


def test_a_plugin_adds_a_fault(registry: Registry) -> None:
    assert "nice" in list(registry)
    assert isinstance(registry.make("nice", by=3), Nice)
    assert "nice" not in list(Registry())


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownFault, match="no fault 'partitoin'; did you mean partition"):
        Registry().get("partitoin")
    with pytest.raises(UnknownFault, match="there is bandwidth, bridge"):
        Registry().get("xyzzy")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"buy": 3}, "fault 'nice' has no setting 'buy'; did you mean by"),
        ({"_done": []}, "no setting '_done'"),
        ({"by": "3"}, "by='3' must be a whole number"),
        ({"by": True}, "by=True must be a whole number"),
        ({"by": 2.5}, "must be a whole number"),
        ({"by": 0}, "by=0 must be a whole number from 1 up to 19"),
        ({"by": 20}, "must be a whole number from 1 up to 19"),
        ({"share": 0}, "share=0 must be a number above 0 up to 1"),
        ({"share": float("nan")}, "must be a number"),
        ({"how": "rudely"}, "how='rudely' must be one of 'kindly', 'firmly'"),
        ({"loud": 1}, "loud=1 must be true or false"),
        ({"word": 1}, "word=1 must be text"),
        ({"word": "please"}, "fault 'nice': please is not enough"),
    ],
)
def test_wrong_settings_are_named(
    registry: Registry, settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(BadSetting, match=problem):
        registry.make("nice", **settings)


def test_settings_are_the_fields_without_an_underscore() -> None:
    assert defaults_of(Nice) == {
        "by": 10, "share": 0.5, "how": "kindly", "loud": False, "word": "",
    }  # fmt: skip


def test_what_is_no_fault_is_refused(registry: Registry) -> None:
    not_a_fault: Any = str
    with pytest.raises(FaultError, match="is no fault"):
        registry.add(not_a_fault)
    with pytest.raises(FaultError, match="has no name"):
        registry.add(type("Nameless", (Nice,), {"name": ""}))


def test_importing_all_of_it_needs_neither_grpc_nor_pytest() -> None:
    folder = ROOT / "pytest_fleetq" / "faults"
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(folder.rglob("*.py"))
        if path.name not in {"__init__.py", "__main__.py"}
    ]
    assert len(modules) > 40
    assert loaded_by(f"import {', '.join(modules)}", "grpc", "pytest", "apsw") == []


def test_a_fault_is_imported_when_it_is_asked_for() -> None:
    kill = "pytest_fleetq.faults.process.kill"
    make = "from pytest_fleetq.faults.registry import Registry; found = Registry()"
    assert loaded_by(make, kill) == []
    assert loaded_by(f"{make}; found.make('kill')", kill) == [kill]


def loaded_by(code: str, *modules: str) -> list[str]:
    """Which of these modules some code imports."""
    code += f"; import sys, json; print(json.dumps([m for m in {modules} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found
