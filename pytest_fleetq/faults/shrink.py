"""From a schedule under which a test fails to the smallest that still makes it fail.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002)
over the injections; then each one's duration, then its targets. Real processes are not
deterministic, so each candidate runs several times and counts as failing if it failed `need` times;
how often the result does is measured at the end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from pytest_fleetq.faults.errors import NotReproduced
from pytest_fleetq.faults.names import counted
from pytest_fleetq.faults.schedule import SHORTEST_SECONDS, Planned, Schedule, TargetSpec

T = TypeVar("T")
Run = Callable[[Schedule], bool]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shrunk:
    schedule: Schedule
    failures: int  # of the last `runs` with exactly this schedule
    runs: int
    tried: int  # runs in all

    @property
    def failure_rate(self) -> float:
        return self.failures / self.runs

    def __str__(self) -> str:
        rate = f"fails {self.failures} of {counted(self.runs, 'time')}"
        return f"{self.schedule}\n{rate}; {counted(self.tried, 'run')} in all"


def shrink(
    schedule: Schedule,
    run: Run,
    *,
    times: int = 3,
    need: int = 1,
    most_runs: int = 500,
    progress: Progress = lambda _: None,
) -> Shrunk:
    """
    Args:
        schedule: Under which it failed.
        run: Runs the test under a schedule. → whether it failed
        times: Runs of each candidate, and of the result.
        need: How many of them must fail for a candidate to be taken. More than 1 keeps the result
            from failing ever more rarely.
        most_runs: After these, the best so far is the result.
        progress: Told, in words, of each step forward.

    Raises:
        NotReproduced: it fails less than `need` times of `times` to begin with.
    """
    trial = _Trial(run, times, need, most_runs, progress)
    if not trial.fails(schedule):
        raise NotReproduced(
            f"the schedule failed less than {counted(need, 'time')} in {counted(times, 'run')}"
        )
    schedule = _fewer(schedule, trial)
    schedule = _shorter(schedule, trial)
    schedule = _narrower(schedule, trial)
    failures = sum(run(schedule) for _ in range(times))
    return Shrunk(schedule, failures, times, trial.tried + times)


class _Trial:
    def __init__(self, run: Run, times: int, need: int, most_runs: int, progress: Progress) -> None:
        self.tried = 0
        self._run, self._times, self._need = run, times, need
        self._left = most_runs
        self._progress = progress
        self._known: dict[str, bool] = {}

    def fails(self, schedule: Schedule) -> bool:
        key = schedule.to_json()
        if key not in self._known:
            self._known[key] = self._try(schedule)
            if self._known[key]:
                size = counted(len(schedule.injections), "injection")
                self._progress(f"still fails with {size} after {counted(self.tried, 'run')}")
        return self._known[key]

    def _try(self, schedule: Schedule) -> bool:
        failed = 0
        for done in range(self._times):
            if self._left <= 0 or failed + self._times - done < self._need:
                return False
            self._left -= 1
            self.tried += 1
            failed += self._run(schedule)
            if failed >= self._need:
                return True
        return False


def _with(schedule: Schedule, injections: Iterable[Planned]) -> Schedule:
    return replace(schedule, injections=tuple(injections))


def _fewer(schedule: Schedule, trial: _Trial) -> Schedule:
    """Delta debugging: no single injection of the result can be left out."""
    kept = list(schedule.injections)
    parts = min(2, len(kept))
    while kept:
        smaller = _first(_complements(kept, parts), lambda c: trial.fails(_with(schedule, c)))
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif parts >= len(kept):
            break
        else:
            parts = parts * 2
        parts = min(parts, max(1, len(kept)))
    return _with(schedule, kept)


def _complements(items: Sequence[Planned], parts: int) -> Iterator[list[Planned]]:
    """What is left when one of so many parts is taken out; for two parts, each half."""
    edges = [round(i * len(items) / parts) for i in range(parts + 1)]
    for begin, end in pairwise(edges):
        yield [*items[:begin], *items[end:]]


def _shorter(schedule: Schedule, trial: _Trial) -> Schedule:
    """Each duration is halved for as long as it still fails."""
    for number, one in enumerate(schedule.injections):
        lasts = one.lasts
        while lasts / 2 >= SHORTEST_SECONDS:
            candidate = _changed(schedule, number, replace(one, lasts=round(lasts / 2, 3)))
            if not trial.fails(candidate):
                break
            schedule, lasts = candidate, candidate.injections[number].lasts
    return schedule


def _narrower(schedule: Schedule, trial: _Trial) -> Schedule:
    for number in range(len(schedule.injections)):
        while True:
            one = schedule.injections[number]
            narrower = [replace(one, target=target) for target in _narrowings(one.target)]
            found = _first((_changed(schedule, number, n) for n in narrower), trial.fails)
            if found is None:
                break
            schedule = found
    return schedule


def _narrowings(target: TargetSpec) -> Iterator[TargetSpec]:
    """Targets that mean fewer pods."""
    if isinstance(target, tuple):
        if len(target) > 1:
            yield from (target[:i] + target[i + 1 :] for i in range(len(target)))
        return
    word, _, number = str(target).partition(":")
    if word == "all":
        yield from ("majority", "random:1")
    elif word in {"majority", "minority"}:
        yield "random:1"
    elif word == "random" and number.isdecimal() and int(number) > 1:
        yield f"random:{int(number) - 1}"


def _changed(schedule: Schedule, number: int, changed: Planned) -> Schedule:
    injections = list(schedule.injections)
    injections[number] = changed
    return _with(schedule, injections)


def _first(candidates: Iterable[T], suits: Callable[[T], bool]) -> T | None:
    return next((one for one in candidates if suits(one)), None)
