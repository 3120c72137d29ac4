"""When to look at the pairs, when to measure more of them, and when to believe a regression.

Looks at 10, 20 and 30 pairs unless told otherwise. A suspicion at any of them is held against a
fresh round of pairs before it counts, which squares the chance of a false alarm; so a single look
can afford an `alpha` that misses less.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from pytest_fleetq.perf.errors import NoData
from pytest_fleetq.perf.gate.judging import (
    Finding,
    Rules,
    Verdict,
    judge,
    judge_constant_counts,
)
from pytest_fleetq.perf.gate.samples import Key, Pair, sort_out
from pytest_fleetq.perf.statistics import RESAMPLES

LOOKS = (10, 20, 30)
COUNT_LOOK = 3  # pairs that show whether a count varies
ALPHA = 0.02
CONFIRMING_ALPHA = 0.05

Measure = Callable[[str], Pair]  # given the round's name
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Course:
    """
    Attributes:
        looks: After how many pairs to judge, ascending.
        warm_up: Pairs before the first that counts, to fill caches.
    """

    looks: Sequence[int] = LOOKS
    warm_up: int = 1
    alpha: float = ALPHA
    confirming_alpha: float = CONFIRMING_ALPHA
    resamples: int = RESAMPLES

    @property
    def suspecting(self) -> Rules:
        return Rules(self.alpha, self.resamples)

    @property
    def confirming(self) -> Rules:
        return Rules(self.confirming_alpha, self.resamples)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Attributes: pairs: measured in all, those that confirm included, the warm-up not."""

    findings: Sequence[Finding]
    pairs: int

    @property
    def verdict(self) -> Verdict:
        """The worst of the primary metrics."""
        found = {finding.verdict for finding in self.findings}
        worst = (Verdict.REGRESSION, Verdict.INCONCLUSIVE, Verdict.PASS)
        return next((verdict for verdict in worst if verdict in found), Verdict.SHOWN)


def run(course: Course, measure: Measure, rng: Random, say: Say = lambda _: None) -> Judgement:
    """
    Args:
        measure: Makes one pair of runs.
        rng: For whatever is random in the statistics.
        say: Told, in words, of each step forward.

    Raises:
        NoData: there was nothing to judge.
        Incomparable: base and head did not do the same work.
    """
    return _Gate(course, measure, rng, say).run()


@dataclass(slots=True)
class _Gate:
    course: Course
    measure: Measure
    rng: Random
    say: Say
    measured: int = 0
    confirmed: dict[Key, Finding] = field(default_factory=dict)

    def run(self) -> Judgement:
        for _ in range(self.course.warm_up):
            self.say("warming up")
            self.measure("warm-up")
        pairs: list[Pair] = []
        findings = self._look_at_counts(pairs)
        for look in self.course.looks:
            if self._is_over(findings):
                break
            self._measure_up_to(look, pairs, "looking")
            findings = self._look(pairs)
        return Judgement(findings, self.measured)

    def _look_at_counts(self, pairs: list[Pair]) -> list[Finding]:
        """Counts come first: they need a few pairs only, and no noise can touch them."""
        self._measure_up_to(COUNT_LOOK, pairs, "looking")
        series = sort_out(pairs)
        if not any(one.primary and one.complete for one in series):
            raise NoData("base and head have no metric in common that gates; see `judging`")
        rose = [finding for finding in judge_constant_counts(series) if _is_regression(finding)]
        if rose:
            self._tell_of(rose)
            fresh: list[Pair] = []
            self._measure_up_to(COUNT_LOOK, fresh, "confirming")
            self._settle(rose, judge_constant_counts(sort_out(fresh)))
        return self._with_confirmed(judge(series, self.course.suspecting, self.rng))

    def _look(self, pairs: Sequence[Pair]) -> list[Finding]:
        findings = judge(sort_out(pairs), self.course.suspecting, self.rng)
        suspects = [f for f in findings if _is_regression(f) and f.key not in self.confirmed]
        if suspects:
            self._confirm(suspects)
        return self._with_confirmed(findings)

    def _with_confirmed(self, findings: Sequence[Finding]) -> list[Finding]:
        return [self.confirmed.get(finding.key, finding) for finding in findings]

    def _confirm(self, suspects: Sequence[Finding]) -> None:
        """A round of its own, judged only where there is a suspicion."""
        self._tell_of(suspects)
        keys = {suspect.key for suspect in suspects}
        fresh: list[Pair] = []
        findings: list[Finding] = []
        for look in self.course.looks:
            self._measure_up_to(look, fresh, "confirming")
            series = [one for one in sort_out(fresh) if one.key in keys]
            findings = judge(series, self.course.confirming, self.rng)
            if all(finding.verdict is not Verdict.INCONCLUSIVE for finding in findings):
                break
        self._settle(suspects, findings)

    def _settle(self, suspects: Sequence[Finding], findings: Sequence[Finding]) -> None:
        """What the fresh round says stands, whatever the first looks said."""
        fresh = {finding.key: finding for finding in findings}
        for suspect in suspects:
            doubtful = replace(suspect, verdict=Verdict.INCONCLUSIVE)
            self.confirmed[suspect.key] = fresh.get(suspect.key, doubtful)

    def _is_over(self, findings: Sequence[Finding]) -> bool:
        """More pairs could change nothing."""
        return any(map(_is_regression, findings)) or not any(map(self._is_open, findings))

    def _is_open(self, finding: Finding) -> bool:
        in_doubt = finding.verdict is Verdict.INCONCLUSIVE and finding.p is not None
        return in_doubt and finding.key not in self.confirmed

    def _measure_up_to(self, number: int, pairs: list[Pair], purpose: str) -> None:
        while len(pairs) < number:
            self.say(f"{purpose}: pair {len(pairs) + 1} of {number}")
            pairs.append(self.measure(purpose))
            self.measured += 1

    def _tell_of(self, suspects: Sequence[Finding]) -> None:
        names = ", ".join(f"{s.key.benchmark} {s.key.metric}" for s in suspects)
        self.say(f"worse, it seems: {names}; measuring afresh to confirm")


def _is_regression(finding: Finding) -> bool:
    return finding.verdict is Verdict.REGRESSION
