"""Figures of calls, of steps, of recoveries and of processes, from made-up records."""

from collections.abc import Sequence
from math import inf

import pytest

from pytest_fleetq.perf.budget.grammar import read_subject
from pytest_fleetq.perf.measure import usage as used
from pytest_fleetq.perf.measure.history import Call, Happening, Story, Submitted
from pytest_fleetq.perf.measure.measure import Measured
from pytest_fleetq.perf.measure.phases import FaultSpan
from pytest_fleetq.perf.measure.pods import Sample
from pytest_fleetq.perf.measure.recovery import recoveries
from pytest_fleetq.perf.measure.steps import lives
from pytest_fleetq.perf.measure.usage import Usage
from pytest_fleetq.verdict.records import Outcome


def calls(number: int, *, name: str = "ask", seconds: float = 0.01) -> list[Call]:
    """One every tenth of a second."""
    return [Call(name, i / 10, i / 10 + seconds, Outcome.OK) for i in range(number)]


def read(measured: Measured, subject: str) -> float:
    found = measured.read(read_subject(subject))
    assert found.value is not None, found.note
    return found.value


def why_not(measured: Measured, subject: str) -> str:
    found = measured.read(read_subject(subject))
    assert found.value is None
    return found.note


@pytest.mark.parametrize(
    ("figure", "needed"),
    [("p50", 20), ("p95", 200), ("p99", 1000), ("p99.9", 10_000), ("mean", 10)],
)
def test_a_figure_that_too_few_calls_stand_behind_is_none(figure: str, needed: int) -> None:
    assert read(Measured(calls(needed)), f"ask.{figure}") == pytest.approx(0.01, rel=0.005)
    told = why_not(Measured(calls(needed - 1)), f"ask.{figure}")
    assert told.startswith(f"not enough data: {figure} needs {needed}, there are {needed - 1}")


def test_who_has_too_little_is_told_what_there_is_enough_for() -> None:
    assert why_not(Measured(calls(500)), "ask.p99").endswith("; enough for p95")
    assert why_not(Measured(calls(5)), "ask.p99").endswith("there are 5")


def test_an_operation_nobody_saw_is_told_from_those_there_were() -> None:
    told = why_not(Measured(calls(5)), "aks.p99")
    assert told == "not enough data: no 'aks' was seen; there is ask"


def test_a_phase_that_never_was_is_told() -> None:
    told = why_not(Measured(calls(50), [FaultSpan("kill", 1, 2)]), "ask.p50{during:pause}")
    assert told == "not enough data: no fault for {during:pause}; there was kill"


def test_refused_calls_are_errors_and_no_latencies() -> None:
    refused = [Call("ask", i, i + 0.0001, Outcome.FAIL) for i in range(30)]
    measured = Measured([*calls(30, seconds=1.0), *refused])
    assert read(measured, "ask.p50") == pytest.approx(1.0, rel=0.005)
    assert read(measured, "ask.errors") == 30
    assert read(measured, "ask.success_rate") == 50


def test_a_call_without_an_answer_lasts_until_the_end_and_is_an_error() -> None:
    measured = Measured([*calls(9), Call("ask", 1.0, 60.0, Outcome.INFO)])
    assert read(measured, "ask.max") == 59
    assert read(measured, "ask.success_rate") == 90


def test_throughput_counts_what_calls_were_about() -> None:
    thousands = [Call("submit", float(i), i + 1.0, Outcome.OK, 1000) for i in range(4)]
    assert read(Measured(thousands), "submit.throughput") == 1000


def test_throughput_of_a_phase_is_over_the_time_of_that_phase() -> None:
    measured = Measured(calls(101, seconds=0.0), [FaultSpan("kill", 2.0, 4.0)])
    assert read(measured, "ask.throughput{during_fault}") == 10
    assert read(measured, "ask.throughput{steady}") == 10
    assert read(measured, "ask.throughput{after:kill}") == pytest.approx(10, rel=0.02)


def test_without_a_scope_steps_are_meant_where_there_are_any() -> None:
    both = [*calls(20, name="step", seconds=2.0), *calls(20, name="get", seconds=1.0)]
    fleetq, other = Measured(both, has_steps=True), Measured(both)
    assert read(fleetq, "p50") == pytest.approx(2.0, rel=0.005)
    assert read(fleetq, "calls.p50") == pytest.approx(1.0, rel=0.005)
    assert read(other, "max") == 2.0


# --- steps ---


def happened(type: str, at: float, *steps: int, holder: str = "h") -> Happening:
    detail = {"name": "pod-0"} if type == "pod_joined" else {}
    return Happening(0, type, at, holder, steps, detail)


def lived(journal: Sequence[Happening], **submitted: Submitted) -> dict[str, list[Call]]:
    known = {int(name[1:]): about for name, about in submitted.items()}
    story = Story(journal=list(journal), submitted=known)
    found: dict[str, list[Call]] = {"claim": [], "step": []}
    for life in lives(story, since=0.0, now=100.0):
        found[life.name].append(life)
    return found


def test_a_claim_takes_from_when_the_step_may_run_and_a_step_from_its_submit() -> None:
    journal = [
        happened("pod_joined", 0),
        happened("submitted", 2, 1, 2, 3),
        happened("claimed", 3, 1),
        happened("claimed", 8, 2),
        happened("completed", 10, 1, 2),
        happened("claimed", 11, 3),
        happened("dead", 12, 3),
    ]
    found = lived(journal, s1=Submitted(1.5, 1.5), s2=Submitted(1.5, 7.0))
    assert [call.seconds for call in found["claim"]] == [1, 1, 9]
    assert [call.seconds for call in found["step"]] == [8.5, 3.0, 10]
    outcomes = [call.outcome for call in found["step"]]
    assert outcomes == [Outcome.OK, Outcome.OK, Outcome.FAIL]
    assert {call.where for call in found["step"]} == {"pod-0"}


def test_a_wait_between_retries_is_no_claim_latency_but_one_after_a_crash_is() -> None:
    journal = [
        happened("submitted", 1, 1, 2),
        happened("claimed", 2, 1, 2),
        happened("retrying", 3, 1),
        happened("recovered", 5, 2),
        happened("claimed", 9, 1, 2),
    ]
    assert [call.seconds for call in lived(journal)["claim"]] == [1, 1, 4]


def test_steps_that_are_not_over_last_until_the_measurement_ends() -> None:
    found = lived([happened("submitted", 1, 1, 2), happened("claimed", 2, 1)])
    assert [(call.seconds, call.outcome) for call in found["claim"]] == [
        (1, Outcome.OK),
        (99, Outcome.INFO),
    ]
    assert {call.outcome for call in found["step"]} == {Outcome.INFO}


def test_steps_of_earlier_tests_do_not_count() -> None:
    journal = [happened("submitted", -5, 1), happened("claimed", 1, 1), happened("completed", 2, 1)]
    assert lived(journal) == {"claim": [], "step": []}


# --- recovery ---


def test_a_recovery_is_timed_from_the_start_of_its_fault() -> None:
    journal = [
        happened("claimed", 9, 1, 2),
        happened("pod_dead", 10.2, holder="h"),
        happened("recovered", 10.3, 1, holder="h"),
        happened("claimed", 10.4, 1, holder="other"),
        happened("recovered", 10.5, 2, holder="h"),
        happened("pod_dead", 20.7, holder="other"),
    ]
    faults = [FaultSpan("pause", 20, 30), FaultSpan("kill", 10, inf)]
    kill, pause = recoveries(faults, journal, [], now=40)
    assert (kill.fault, pause.fault) == ("kill", "pause")
    assert kill.detected == pytest.approx(0.2)
    assert kill.rerun == pytest.approx(0.4)
    assert kill.recovery == pytest.approx(0.5)
    assert pause.detected == pytest.approx(0.7)
    assert (pause.recovery, pause.rerun, pause.steady) == (None, None, None)


@pytest.mark.parametrize(
    ("gap", "until", "expected"), [(0.0, 20.0, 0.0), (1.5, 20.0, 1.5), (15.0, 12.0, inf)]
)
def test_the_steady_rate_is_back_when_as_much_is_done_again(
    gap: float, until: float, expected: float
) -> None:
    """A hundred a second, none for a while after the fault at 10 s, then a hundred again."""
    ends = [i / 100 for i in range(2000) if not 10 <= i / 100 < 10 + gap]
    done = [Call("ask", end, end, Outcome.OK) for end in ends]
    [found] = recoveries([FaultSpan("kill", 10, inf)], [], done, now=until)
    assert found.steady == pytest.approx(expected, abs=0.06)


def test_the_end_of_a_load_is_no_fall_of_its_rate() -> None:
    done = [Call("ask", i / 100, i / 100 + 0.001, Outcome.OK) for i in range(500)]
    [found] = recoveries([FaultSpan("kill", 2, inf)], [], done, now=9)
    assert found.steady == 0


def test_too_short_a_time_before_the_fault_gives_no_steady_rate() -> None:
    done = [Call("ask", i / 1000, i / 1000, Outcome.OK) for i in range(900)]
    [found] = recoveries([FaultSpan("kill", 0.9, 2)], [], done, now=10)
    assert found.steady is None


# --- processes ---


def usage(*samples: tuple[float, float, int]) -> Usage:
    made = tuple(Sample(at, cpu, rss, fds=9, threads=3) for at, cpu, rss in samples)
    return Usage(made, max(sample.rss for sample in made))


def test_processor_time_of_a_pod_is_that_of_all_its_processes() -> None:
    before, after = usage((0, 1.0, 5), (1, 1.5, 5)), usage((2, 0.0, 5), (3, 0.1, 5))
    assert used.cpu([before, after]) == pytest.approx(30)
    assert used.cpu([usage((0, 0.0, 5), (0.4, 0.4, 5))]) is None


def test_the_busiest_second_is_found() -> None:
    idle_then_busy = usage(*((i / 10, max(0, i - 20) / 10, 5) for i in range(31)))
    assert used.cpu_peak([idle_then_busy]) == pytest.approx(100)
    assert used.cpu([idle_then_busy]) == pytest.approx(100 / 3)


def test_a_leak_shows_as_a_slope() -> None:
    leaking = usage(*((i / 10, 0.0, 1000 + 10 * i) for i in range(31)))
    assert used.rss_slope([leaking]) == pytest.approx(100)
    assert used.rss_growth([leaking]) == 300
    assert used.rss_slope([usage((0, 0, 1), (5, 0, 9))]) is None


def test_all_pods_together_are_summed_look_by_look() -> None:
    one = usage((0, 1.0, 100), (1, 1.5, 300), (2, 1.6, 100))
    two = usage((1, 0.0, 200), (2, 0.2, 250))
    [both] = used.together({"pod-0": [one], "pod-1": [two]})
    assert both.peak == 500
    assert used.cpu_seconds([both]) == pytest.approx(0.8)
