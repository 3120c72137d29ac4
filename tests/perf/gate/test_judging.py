"""What a set of pairs says, without any process."""

from collections.abc import Sequence
from random import Random

import pytest

from pytest_fleetq.perf.errors import Incomparable, NoData
from pytest_fleetq.perf.gate.judging import (
    FEWEST_PAIRS,
    TOO_FEW,
    Finding,
    Rules,
    Verdict,
    judge,
    judge_constant_counts,
)
from pytest_fleetq.perf.gate.samples import Pair, sort_out
from pytest_fleetq.perf.metrics import Better, Judging
from tests.perf.gate.made import CPU, RATE, count_pairs, cpu_pairs, pair, results

RULES = Rules(alpha=0.02, resamples=1000)


def findings(pairs: Sequence[Pair]) -> dict[str, Finding]:
    return {f.key.metric: f for f in judge(sort_out(pairs), RULES, Random(1))}


def test_a_clear_slowdown_is_a_regression() -> None:
    found = findings(cpu_pairs(1.2, 10))[CPU]
    assert found.verdict is Verdict.REGRESSION
    assert found.ratio == pytest.approx(1.2, abs=0.03)
    assert found.p == pytest.approx(2**-10)
    assert found.interval is not None
    assert found.ratio is not None
    assert found.interval.low < found.ratio < found.interval.high


def test_a_speed_up_passes() -> None:
    assert findings(cpu_pairs(0.5, 10))[CPU].verdict is Verdict.PASS


def test_for_a_rate_less_is_worse() -> None:
    assert findings([pair({RATE: 100.0 + i}, {RATE: 70.0 + i}) for i in range(10)])[
        RATE
    ].verdict is (Verdict.REGRESSION)
    assert findings([pair({RATE: 70.0 + i}, {RATE: 100.0 + i}) for i in range(10)])[
        RATE
    ].verdict is (Verdict.PASS)


def test_what_is_certain_but_small_is_no_regression() -> None:
    found = findings(cpu_pairs(1.03, 30, spread=0.001))[CPU]
    assert found.p is not None
    assert found.p < 0.001
    assert found.verdict is Verdict.PASS


def test_what_is_large_but_uncertain_is_inconclusive() -> None:
    values = [
        (1.0, 1.4),
        (1.1, 0.8),
        (1.0, 1.6),
        (0.9, 1.0),
        (1.2, 0.9),
        (1.0, 1.5),
        (1.3, 1.2),
        (0.8, 1.4),
    ]
    found = findings([pair({CPU: base}, {CPU: head}) for base, head in values])[CPU]
    assert found.ratio is not None
    assert found.ratio > 1.2
    assert found.verdict is Verdict.INCONCLUSIVE


def test_fewer_pairs_than_a_p_value_needs_decide_nothing() -> None:
    found = findings(cpu_pairs(2, FEWEST_PAIRS - 1))[CPU]
    assert (found.verdict, found.note) == (Verdict.INCONCLUSIVE, TOO_FEW)
    assert findings(cpu_pairs(2, FEWEST_PAIRS))[CPU].verdict is Verdict.REGRESSION


def test_more_primary_metrics_need_smaller_p_values() -> None:
    """Seven of seven pairs are p = 2⁻⁷ = 0.0078: below 0.02, but not below 0.02 / 3."""
    one = findings(cpu_pairs(1.5, 7))[CPU]
    others = {RATE: 5.0, "rss_peak_mb": 5.0}
    three = [
        pair({**p.base.benchmarks[0].metrics, **others}, {**p.head.benchmarks[0].metrics, **others})
        for p in cpu_pairs(1.5, 7)
    ]
    assert one.verdict is Verdict.REGRESSION
    assert findings(three)[CPU].verdict is Verdict.INCONCLUSIVE


def test_metrics_that_are_not_primary_are_only_shown() -> None:
    slower = [pair({"submit_p99_ms": 1, "depth": 1}, {"submit_p99_ms": 9, "depth": 9})] * 10
    assert {f.verdict for f in findings(slower).values()} == {Verdict.SHOWN}


def test_a_document_may_say_itself_how_a_metric_is_judged() -> None:
    judging = {"depth": Judging(Better.LOWER, primary=True, min_effect=0.5)}
    base, head = results({"depth": 10}, judging=judging), results({"depth": 14}, judging=judging)
    assert findings([Pair(base, head)] * 10)["depth"].verdict is Verdict.PASS
    head = results({"depth": 16}, judging=judging)
    assert findings([Pair(base, head)] * 10)["depth"].verdict is Verdict.REGRESSION


# --- counts ---


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (3.0, 3.0, Verdict.PASS),
        (3.0, 2.0, Verdict.PASS),
        (3.0, 3.0001, Verdict.REGRESSION),
        (0.0, 1.0, Verdict.REGRESSION),
    ],
)
def test_a_constant_count_is_exact_from_few_pairs(
    base: float, head: float, verdict: Verdict
) -> None:
    pairs = count_pairs([(base, head)] * 3)
    (found,) = judge_constant_counts(sort_out(pairs))
    assert found.verdict is verdict
    assert findings(pairs)["n"].verdict is verdict


def test_a_count_that_varies_is_judged_like_other_metrics() -> None:
    same = count_pairs([(10 + i % 2, 10 + (i + 1) % 2) for i in range(10)])
    more = count_pairs([(10 + i % 2, 12 + (i + 1) % 2) for i in range(10)])
    assert judge_constant_counts(sort_out(more)) == []
    assert findings(same)["n"].verdict is not Verdict.REGRESSION
    assert findings(more)["n"].verdict is Verdict.REGRESSION
    assert findings(more)["n"].note == "a count that varies"


def test_a_count_that_is_zero_at_times_cannot_pass_unless_it_never_grew() -> None:
    grew = count_pairs([(0, 0), (0, 2)] * 5)
    fell = count_pairs([(2, 0), (2, 1)] * 5)
    assert findings(grew)["n"].verdict is Verdict.INCONCLUSIVE
    assert findings(fell)["n"].verdict is Verdict.PASS


# --- what base and head do not share ---


def test_a_primary_metric_that_is_gone_is_inconclusive_and_a_new_one_is_shown() -> None:
    found = findings([pair({CPU: 1, "old_per_sec": 1}, {CPU: 1, "new_per_sec": 1})] * 10)
    assert (found["old_per_sec"].verdict, found["old_per_sec"].note) == (
        Verdict.INCONCLUSIVE,
        "gone",
    )
    assert (found["new_per_sec"].verdict, found["new_per_sec"].note) == (Verdict.SHOWN, "new")
    assert found[CPU].verdict is Verdict.PASS


def test_a_rate_of_zero_does_not_pass() -> None:
    assert findings([pair({RATE: 5}, {RATE: 0})] * 10)[RATE].verdict is Verdict.INCONCLUSIVE


def test_other_work_is_incomparable() -> None:
    other = Pair(results({CPU: 1}, workload={"n": 1}), results({CPU: 1}, workload={"n": 2}))
    with pytest.raises(Incomparable, match="b did other work in head: workload"):
        sort_out([other])


def test_a_benchmark_that_failed_is_no_data() -> None:
    with pytest.raises(NoData, match="head: b says it did not succeed"):
        sort_out([Pair(results({CPU: 1}), results({CPU: 1}, success=False))])
