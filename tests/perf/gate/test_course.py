"""When a gate looks, confirms and stops; the pairs come from a script."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest

from pytest_fleetq.perf.errors import NoData
from pytest_fleetq.perf.gate.course import Course, Judgement, run
from pytest_fleetq.perf.gate.judging import Verdict
from pytest_fleetq.perf.gate.samples import Key, Pair
from tests.perf.gate.made import CPU, count_pairs, cpu_pairs, pair

COURSE = Course(resamples=500)
NOISE = [pair({CPU: 1.0}, {CPU: 1.6}), pair({CPU: 1.6}, {CPU: 1.0})]


class Script:
    """Gives pairs by the round's name, and writes down which rounds there were."""

    def __init__(self, **rounds: Sequence[Pair]) -> None:
        self._rounds: dict[str, Iterator[Pair]] = {n: iter(pairs) for n, pairs in rounds.items()}
        self.asked: list[str] = []

    def __call__(self, purpose: str) -> Pair:
        self.asked.append(purpose)
        return next(self._rounds[purpose if purpose != "warm-up" else "looking"])

    def count(self, purpose: str) -> int:
        return self.asked.count(purpose)


def gate(script: Callable[[str], Pair], course: Course = COURSE) -> Judgement:
    return run(course, script, Random(1))


def test_what_is_clear_ends_at_the_first_look() -> None:
    script = Script(looking=cpu_pairs(1, 99))
    judgement = gate(script)
    assert judgement.verdict is Verdict.PASS
    assert judgement.pairs == script.count("looking") == 10
    assert script.asked[0] == "warm-up"


def test_the_warm_up_does_not_count() -> None:
    script = Script(looking=[*cpu_pairs(50, 1), *cpu_pairs(1, 99)])
    assert gate(script).verdict is Verdict.PASS


def test_a_regression_is_confirmed_by_a_fresh_round() -> None:
    script = Script(looking=cpu_pairs(1.3, 99), confirming=cpu_pairs(1.3, 99, seed=2))
    judgement = gate(script)
    assert judgement.verdict is Verdict.REGRESSION
    assert (script.count("looking"), script.count("confirming")) == (10, 10)


def test_a_regression_that_does_not_come_back_is_none() -> None:
    script = Script(looking=cpu_pairs(1.3, 99), confirming=cpu_pairs(1, 99, seed=2))
    judgement = gate(script)
    assert judgement.verdict is Verdict.PASS
    assert (script.count("looking"), script.count("confirming")) == (10, 10)


def test_one_that_comes_back_in_part_is_inconclusive() -> None:
    unclear = [*cpu_pairs(1.3, 15, spread=0.6, seed=3), *cpu_pairs(0.9, 99, spread=0.6, seed=4)]
    script = Script(looking=cpu_pairs(1.3, 99), confirming=unclear)
    judgement = gate(script)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert script.count("confirming") == 30


def test_noise_asks_for_more_pairs_and_then_gives_up() -> None:
    script = Script(looking=NOISE * 50)
    judgement = gate(script)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.pairs == 30


def test_a_slowdown_that_the_first_look_cannot_see_is_found_at_a_later_one() -> None:
    script = Script(looking=[*NOISE * 5, *cpu_pairs(1.4, 99)], confirming=cpu_pairs(1.4, 99))
    judgement = gate(script)
    assert judgement.verdict is Verdict.REGRESSION
    assert script.count("looking") in {20, 30}


def test_a_count_that_rose_ends_the_gate_after_three_pairs_and_three_more() -> None:
    script = Script(looking=count_pairs([(2, 3)] * 99), confirming=count_pairs([(2, 3)] * 99))
    judgement = gate(script)
    assert judgement.verdict is Verdict.REGRESSION
    assert (script.count("looking"), script.count("confirming")) == (3, 3)


@pytest.mark.parametrize("most", [1, 3, 6])
def test_too_few_pairs_judge_counts_and_nothing_else(most: int) -> None:
    script = Script(looking=cpu_pairs(9, 99))
    judgement = gate(script, replace(COURSE, looks=(most,)))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.pairs == max(most, 3)


def test_counts_alone_pass_after_three_pairs() -> None:
    script = Script(looking=count_pairs([(2, 2)] * 99))
    assert gate(script).verdict is Verdict.PASS
    assert script.count("looking") == 3


def test_a_count_that_rose_once_only_is_left_open() -> None:
    script = Script(
        looking=count_pairs([(2, 3)] * 99), confirming=count_pairs([(2, 3), (2, 2)] * 9)
    )
    assert gate(script).verdict is Verdict.INCONCLUSIVE


def test_a_refuted_suspicion_does_not_end_the_search_for_others() -> None:
    def both(cpu: Sequence[Pair], other: Sequence[Pair]) -> list[Pair]:
        return [
            pair(
                {
                    CPU: a.base.benchmarks[0].metrics[CPU],
                    "rss_peak_mb": b.base.benchmarks[0].metrics[CPU],
                },
                {
                    CPU: a.head.benchmarks[0].metrics[CPU],
                    "rss_peak_mb": b.head.benchmarks[0].metrics[CPU],
                },
            )
            for a, b in zip(cpu, other, strict=True)
        ]

    late = [*cpu_pairs(1, 11, spread=0.3, seed=6), *cpu_pairs(3, 49, seed=7)]
    script = Script(
        looking=both(cpu_pairs(1.3, 60), late),
        confirming=[
            *both(cpu_pairs(1, 10), cpu_pairs(1, 10)),
            *both(cpu_pairs(1, 60), cpu_pairs(3, 60)),
        ],
    )
    judgement = gate(script)
    verdicts = {finding.key: finding.verdict for finding in judgement.findings}
    assert verdicts[Key("b", CPU)] is Verdict.PASS
    assert verdicts[Key("b", "rss_peak_mb")] is Verdict.REGRESSION


def test_nothing_in_common_is_no_data() -> None:
    script = Script(looking=[pair({"a_per_sec": 1}, {"b_per_sec": 1})] * 9)
    with pytest.raises(NoData, match="no metric in common that gates"):
        gate(script)


def test_the_same_seed_gives_the_same_judgement() -> None:
    def script() -> Script:
        return Script(looking=NOISE * 50)

    assert gate(script()) == gate(script())
