"""The run told afterwards: a timeline for people, a document for scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from fleetq_server.cli.demonstration.files import Collection
from fleetq_server.cli.demonstration.fleet import Run
from fleetq_server.cli.demonstration.history import Kill, Reign
from fleetq_server.cli.demonstration.verdict import Problem

MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Loss:
    """What the death of the leader meant; times are seconds after the SIGKILL."""

    held: int
    declared_dead: float | None
    next_leader: Reign | None
    led_after: float | None
    first_again: float | None
    all_again: float | None


@dataclass(frozen=True, slots=True)
class Story:
    found: Collection
    run: Run
    pods: int
    ready_seconds: float
    problems: Sequence[Problem]

    @property
    def steps_per_second(self) -> float:
        return len(self.found.files) / self.run.seconds if self.run.seconds > 0 else 0.0

    def document(self) -> dict[str, object]:
        run, reigns = self.run, self.run.history.reigns
        return {
            "ok": not self.problems,
            "directory": self.found.directory,
            "files": len(self.found.files),
            "bytes": self.found.size,
            "skipped": dict(self.found.skipped),
            "pods": self.pods,
            "ready_seconds": round(self.ready_seconds, 3),
            "seconds": round(run.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "counts": asdict(run.counts),
            "first_leader": _reign(reigns[0] if reigns else None),
            "killed": _kill(run, run.kill) if run.kill else None,
            "problems": [{"file": each.file, "problem": each.what} for each in self.problems],
        }

    def timeline(self) -> Iterator[tuple[str, str]]:
        """When, in seconds since the first submit, and what."""
        run, reigns = self.run, self.run.history.reigns
        if reigns:
            yield "0.00 s", f"{self.pods} pods serve, {_short(reigns[0].pod_id)} leads (term 1)"
        if run.kill:
            yield from _told(run, run.kill)
        rate = f"{self.steps_per_second:,.0f} steps/s"
        yield f"{run.seconds:.2f} s", f"all {len(self.found.files):,} steps at an end, {rate}"

    def verdict(self) -> Iterator[str]:
        if not self.problems:
            yield (
                f"Each of {len(self.found.files):,} files has exactly one recorded result, "
                "and it is the right one."
            )
        for problem in self.problems[:MOST_PROBLEMS]:
            yield problem.line
        if len(self.problems) > MOST_PROBLEMS:
            yield f"… and {len(self.problems) - MOST_PROBLEMS:,} more; --json lists them all"


def loss_of(run: Run, kill: Kill) -> Loss:
    history = run.history
    held = history.recovered.get(kill.pod_id, set())
    again = sorted(at for step_id, at in history.again_at.items() if step_id in held)
    reigns = [reign.pod_id for reign in history.reigns]
    later = history.reigns[reigns.index(kill.pod_id) + 1 :]
    successor = later[0] if later else None
    return Loss(
        held=len(held),
        declared_dead=_after(kill, history.died_at.get(kill.pod_id)),
        next_leader=successor,
        led_after=_after(kill, successor.since if successor else None),
        first_again=_after(kill, again[0] if again else None),
        all_again=_after(kill, again[-1] if again and len(again) == len(held) else None),
    )


def _after(kill: Kill, at: float | None) -> float | None:
    return None if at is None else at - kill.at


def _kill(run: Run, kill: Kill) -> dict[str, object]:
    loss = loss_of(run, kill)
    return {
        "pod_id": kill.pod_id,
        "pid": kill.pid,
        "at_seconds": round(kill.at - run.started_at, 3),
        "ended_by_then": kill.ended,
        "held": loss.held,
        "declared_dead_after": _rounded(loss.declared_dead),
        "next_leader": _reign(loss.next_leader),
        "led_after": _rounded(loss.led_after),
        "first_step_again_after": _rounded(loss.first_again),
        "all_steps_again_after": _rounded(loss.all_again),
    }


def _told(run: Run, kill: Kill) -> Iterator[tuple[str, str]]:
    loss, begun = loss_of(run, kill), kill.at - run.started_at
    steps = "1 step" if loss.held == 1 else f"{loss.held} steps"
    whom = f"{_short(kill.pod_id)} (pid {kill.pid})"
    yield f"{begun:.2f} s", f"SIGKILL to {whom}: {kill.ended:,} steps done, it holds {steps}"
    if loss.next_leader and loss.led_after is not None:
        who, term = _short(loss.next_leader.pod_id), loss.next_leader.term
        yield _ms(loss.led_after), f"{who} leads (term {term})"
    if loss.first_again is not None:
        yield _ms(loss.first_again), "the first of the lost steps runs again"
    if loss.all_again is not None and loss.held > 1:
        yield _ms(loss.all_again), f"all {loss.held} run again"


def _reign(reign: Reign | None) -> dict[str, object] | None:
    return {"pod_id": reign.pod_id, "term": reign.term} if reign else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _ms(seconds: float) -> str:
    return f"+{seconds * 1000:.0f} ms"


def _short(pod_id: str) -> str:
    return f"pod {pod_id[:8]}"
