"""One gate from end to end: checkouts, environments, runs, verdict; nothing of it stays."""

import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pytest_fleetq.perf.errors import PerfError
from pytest_fleetq.perf.gate.artifacts import Artifacts
from pytest_fleetq.perf.gate.course import Course, Judgement, Say, run
from pytest_fleetq.perf.gate.judging import Verdict
from pytest_fleetq.perf.gate.outcome import Outcome, describe_noise, failed, judged
from pytest_fleetq.perf.gate.process import Processes
from pytest_fleetq.perf.gate.runs import Runner
from pytest_fleetq.perf.gate.sides import Preparer

BUSY_CORES = 0.5
SAME = "base and head are the same commit: what differs is noise"
MORE = "to see more: more --pairs, longer runs, or a quieter machine"


@dataclass(frozen=True, slots=True)
class Job:
    """
    Attributes:
        commits: By the names base and head.
        install: See `Preparer`.
        timeout: Of one run, in seconds.
    """

    repository: Path
    commits: Mapping[str, str]
    command: Sequence[str]
    install: str | None
    timeout: float
    seed: int
    course: Course

    def run(self, artifacts: Artifacts, say: Say) -> Outcome:
        with (
            _ended_by_signals(),
            tempfile.TemporaryDirectory(prefix="fleetq-gate-") as scratch,
            Processes(Path(scratch)) as processes,
        ):
            try:
                outcome = self._judge(processes, Path(scratch), artifacts, say)
            except PerfError as error:
                outcome = failed(error, self.commits)
        artifacts.finish(outcome)
        return outcome

    def _judge(
        self, processes: Processes, scratch: Path, artifacts: Artifacts, say: Say
    ) -> Outcome:
        say("checking out and installing base and head")
        preparer = Preparer(processes, self.repository, self.install, scratch)
        with preparer.sides(self.commits) as (base, head):
            runner = Runner(
                processes,
                base,
                head,
                self.command,
                scratch,
                self.timeout,
                Random(self.seed),
                artifacts.record,
            )
            judgement = run(self.course, runner.pair, Random(self.seed), say)
        return self._outcome(judgement, runner)

    def _outcome(self, judgement: Judgement, runner: Runner) -> Outcome:
        noise = describe_noise(runner.noises)
        about = {"paired": True, "pairs": judgement.pairs, "seed": self.seed, "noise": noise}
        notes = [f"{judgement.pairs} pairs; --seed {self.seed} repeats their order"]
        foreign = noise.get("foreign_cores") or 0.0
        if foreign > BUSY_CORES:
            notes.append(f"others kept {foreign:.1f} cores busy meanwhile")
        if self.commits["base"] == self.commits["head"]:
            notes.append(SAME)
        if judgement.verdict is Verdict.INCONCLUSIVE:
            notes.append(MORE)
        return judged(judgement.verdict, self.commits, judgement.findings, notes, about)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP leave as little behind as Ctrl-C."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
