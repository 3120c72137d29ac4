"""Which calls belong to which part of a test."""

from math import inf

import pytest

from pytest_fleetq.perf.measure.phases import FaultSpan, Phases, Span

FAULTS = [FaultSpan("pause", 25, 40), FaultSpan("kill", 10, 20), FaultSpan("io", 30, 35)]


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("", [(-inf, inf)]),
        ("steady", [(-inf, 10)]),
        ("during_fault", [(10, 20), (25, 40)]),
        ("after_fault", [(20, 25), (40, inf)]),
        ("during:io", [(30, 35)]),
        ("after:kill", [(20, 25)]),
        ("after:io", []),  # the pause was still in force
        ("during:skew", []),
    ],
)
def test_faults_cut_a_test_into_phases(name: str, spans: list[tuple[float, float]]) -> None:
    assert list(Phases(FAULTS)[name].spans) == [Span(*span) for span in spans]


@pytest.mark.parametrize(
    ("start", "end", "phase"),
    [
        (1, 9, "steady"),
        (9, 11, "during_fault"),  # it began in good times, and the fault held it up
        (12, 13, "during_fault"),
        (19, 24, "during_fault"),
        (21, 24, "after_fault"),
        (24, 26, "during_fault"),
        (41, 42, "after_fault"),
    ],
)
def test_a_call_belongs_to_the_fault_it_met(start: float, end: float, phase: str) -> None:
    phases = Phases(FAULTS)
    names = ("steady", "during_fault", "after_fault")
    assert [name for name in names if phases[name].has(start, end)] == [phase]
    assert phases[""].has(start, end)


def test_without_faults_all_is_steady() -> None:
    phases = Phases([])
    assert phases["steady"].has(0, 1e9)
    assert not phases["during_fault"].spans
    assert phases.names == [""]


def test_a_fault_that_never_heals_has_no_after() -> None:
    phases = Phases([FaultSpan("kill", 10, inf)])
    assert not phases["after_fault"].spans
    assert phases["during:kill"].has(1e9, 1e9 + 1)


def test_the_seconds_of_a_phase_are_those_within_what_was_seen() -> None:
    assert Phases(FAULTS)["during_fault"].seconds(Span(15, 30)) == 10
