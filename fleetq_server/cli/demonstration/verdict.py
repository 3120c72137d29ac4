"""Whether each file has exactly one recorded result, and the right one."""

from collections.abc import Callable
from typing import NamedTuple

from fleetq_server.cli.demonstration.files import Collection, File, hash_unchanged
from fleetq_server.cli.demonstration.fleet import Run
from fleetq_server.client import StepOutcome
from fleetq_server.model import Audit


class Problem(NamedTuple):
    what: str
    file: str | None = None  # None: the fleet as a whole

    @property
    def line(self) -> str:
        return f"{self.file}: {self.what}" if self.file else self.what


def judge(
    found: Collection, run: Run, audit: Audit, checked: Callable[[int], None]
) -> list[Problem]:
    """All that is wrong; nothing in a good run. `checked` hears how many files are compared."""
    problems = [*_of_the_kill(run), *_of_the_counts(len(found.files), run, audit)]
    for number, (file, step_id) in enumerate(zip(found.files, run.step_ids, strict=True), 1):
        what = _of_a_file(file, run.results.get(str(step_id)))
        if step_id in run.history.ended_again:
            what = "recorded more than once"
        if what:
            problems.append(Problem(what, file.name))
        checked(number)
    return problems


def _of_a_file(file: File, outcome: StepOutcome | None) -> str | None:
    right = hash_unchanged(file)
    if right is None:
        return "changed while the demonstration ran"
    if outcome is None:
        return "has no recorded result"
    if not outcome.ok:
        return outcome.describe()
    if outcome.value != right:
        return f"recorded {outcome.value}, but its hash is {right}"
    return None


def _of_the_kill(run: Run) -> list[Problem]:
    hint = "a larger directory gives more time"
    if run.kill is None:
        return [Problem(f"the work was over before the leader could be killed; {hint}")]
    if not run.history.recovered.get(run.kill.pod_id):
        return [Problem(f"the leader held no steps when it was killed; {hint}")]
    return []


def _of_the_counts(files: int, run: Run, audit: Audit) -> list[Problem]:
    problems = [Problem(f"the store does not add up: {problem}") for problem in audit.problems]
    for counts, where in ((run.counts, "the counters"), (audit.scanned, "the store")):
        if (counts.submitted, counts.completed) != (files, files):
            told = f"{counts.submitted} submitted and {counts.completed} completed"
            problems.append(Problem(f"{where} knows of {told} steps, for {files} files"))
    if len(set(run.step_ids)) != files:
        problems.append(Problem(f"{len(set(run.step_ids))} different steps for {files} files"))
    return problems
