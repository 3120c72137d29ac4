"""What thresholds may say, and what is said of those that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fleetq.perf.budget.grammar import BadBudget, read_subject, read_threshold


@pytest.mark.parametrize(
    ("expression", "subject", "limit"),
    [
        ("claim.p99 <= 50ms", ("claim", "p99", ""), 0.05),
        ("claim.p99.9<2s", ("claim", "p99.9", ""), 2.0),
        ("p50 <= 800 us", ("", "p50", ""), 0.0008),
        ("claim.p99{during_fault} <= 2s", ("claim", "p99", "during_fault"), 2.0),
        ("claim.max { after:kill } <= 1min", ("claim", "max", "after:kill"), 60.0),
        ("throughput >= 500/s", ("", "throughput", ""), 500.0),
        ("pod-1.throughput > 60/min", ("pod-1", "throughput", ""), 1.0),
        ("success_rate >= 99.9%", ("", "success_rate", ""), 99.9),
        ("calls.errors <= 0", ("calls", "errors", ""), 0.0),
        ("rss_peak <= 200MB", ("", "rss_peak", ""), 200 * 2**20),
        ("total.rss_growth{steady} <= 1.5GB", ("total", "rss_growth", "steady"), 1.5 * 2**30),
        ("rss_slope <= 60KB/min", ("", "rss_slope", ""), 1024.0),
        ("machine.cpu <= 80%", ("machine", "cpu", ""), 80.0),
        ("pod-0.fds < 100", ("pod-0", "fds", ""), 100.0),
        ("pod-0.p95 < 1s", ("pod-0", "p95", ""), 1.0),
        ("cpu_per_step <= 2ms", ("", "cpu_per_step", ""), 0.002),
        ("recovery <= 500ms", ("", "recovery", ""), 0.5),
        ("recovery.steady <= 3s", ("recovery", "steady", ""), 3.0),
    ],
)
def test_a_threshold_is_read(expression: str, subject: tuple[str, str, str], limit: float) -> None:
    found = read_threshold(expression)
    assert (found.subject.scope, found.subject.name, found.subject.phase) == subject
    assert found.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("expression", "column", "said"),
    [
        ("", 1, "a metric must stand here: p50, p95, p99"),
        ("99 <= 5", 1, "a metric must stand here"),
        ("claim.p99 =< 50ms", 11, "one of <=, >=, <, > must follow here"),
        ("claim.p99", 10, "one of <=, >=, <, > must follow here"),
        ("claim.p99 <= fast", 14, "an amount must follow here, such as 50ms"),
        ("claim.p99 <= 50MB", 16, "p99 is measured in s, ms, us, min"),
        ("claim.p99 <= 50", 16, "p99 is measured in s, ms, us, min"),
        ("throughput >= 500", 18, "throughput is measured in /s, /min"),
        ("fds <= 5%", 9, "fds is measured in numbers without a unit"),
        ("claim.p99 <= 50ms, cpu <= 3%", 18, "nothing may follow here"),
        ("claim.p100 <= 50ms", 7, "no metric 'p100'"),
        ("claim.troughput >= 5/s", 7, "no metric 'troughput'; the nearest is throughput; there is"),
        ("claim.p99{later} <= 2s", 11, "a phase must stand here: steady, during_fault"),
        ("claim.p99{steady <= 2s", 18, "the phase must end here with }"),
        ("recovery{steady} <= 2s", 10, "a recovery is of a fault, and has no phases"),
        ("claim.rss_peak <= 2MB", 1, "rss_peak is of pods: rss_peak (the worst one), pod-0.rss"),
        ("machine.rss_peak <= 2MB", 1, "rss_peak is not a share of the machine"),
        ("total.p99 <= 2s", 1, "p99 is of calls and steps: step.p99"),
        ("detected <= 2s", 1, "detected is a part of recovery: recovery.detected"),
        ("pod-0.recovery <= 2s", 1, "recovery is of the fleet: nothing may stand before it"),
        (
            "step.cpu_per_step <= 2s",
            1,
            "cpu_per_step is of the fleet or of a pod: cpu_per_step or pod-0",
        ),
    ],
)
def test_a_wrong_threshold_is_told_its_column_and_what_is_allowed(
    expression: str, column: int, said: str
) -> None:
    with pytest.raises(BadBudget) as caught:
        read_threshold(expression)
    told = str(caught.value)
    assert told.startswith(f"budget {expression!r}, column {column}: {said}")
    assert told.splitlines()[1:] == [f"  {expression}", "  " + " " * (column - 1) + "^"]


def test_only_text_is_a_threshold() -> None:
    with pytest.raises(BadBudget, match=r'give text, such as "claim\.p99 <= 50ms"'):
        read_threshold(50)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_threshold(text)
    except BadBudget:
        return
    assert found.limit >= 0


@given(st.sampled_from(["step.p99", "p50{during:kill}", "total.cpu", "recovery.rerun", "errors"]))
def test_a_subject_is_shown_as_it_was_written(text: str) -> None:
    assert str(read_subject(text)) == text
