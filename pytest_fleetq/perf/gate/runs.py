"""Runs the benchmark of both sides next to each other, in random order."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from pytest_fleetq.perf.errors import NoData
from pytest_fleetq.perf.gate.machine import Noise, Watch
from pytest_fleetq.perf.gate.process import Processes
from pytest_fleetq.perf.gate.samples import Pair
from pytest_fleetq.perf.gate.sides import Side
from pytest_fleetq.perf.results import Results

OUTPUT = "{output}"
HASH_SEEDS = 2**32

Record = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Runner:
    """
    Attributes:
        command: `{output}` in it stands for the file that gets the results; without it they are
            read from standard output.
        rng: For the order within each pair.
        record: Given each pair, with all that is known of it.
    """

    processes: Processes
    base: Side
    head: Side
    command: Sequence[str]
    scratch: Path
    timeout: float
    rng: Random
    record: Record
    noises: list[Noise] = field(default_factory=list)
    made: int = 0

    def pair(self, purpose: str) -> Pair:
        """
        Raises:
            NoData: the command failed, or left no results.
        """
        self.made += 1
        order = [self.base, self.head]
        if self.rng.random() < 0.5:
            order.reverse()
        # The same for both, so that what hashing does to a run is no difference between them.
        env = {"PYTHONHASHSEED": str(self.rng.randrange(HASH_SEEDS))}
        watch = Watch()
        found: dict[str, Results] = {}
        cpu = 0.0
        for side in order:
            found[side.name], used = self._run(side, env)
            cpu += used
        noise = watch.noise(cpu)
        self.noises.append(noise)
        self._record(purpose, order[0].name, found, noise)
        return Pair(found[self.base.name], found[self.head.name])

    def _run(self, side: Side, env: dict[str, str]) -> tuple[Results, float]:
        output = self.scratch / f"{side.name}-{self.made}.json"
        to_file = any(OUTPUT in word for word in self.command)
        ended = self.processes.execute(
            [word.replace(OUTPUT, str(output)) for word in self.command],
            cwd=side.directory,
            env={**side.env, **env},
            timeout=self.timeout,
            output=None if to_file else output,
        )
        what = f"{side.name} ({side.commit[:12]}): {' '.join(self.command)}"
        if ended.status != 0:
            raise NoData(ended.complaint(what))
        return _results(output, side), ended.cpu_seconds

    def _record(self, purpose: str, first: str, found: dict[str, Results], noise: Noise) -> None:
        self.record(
            {
                "pair": self.made,
                "purpose": purpose,
                "first": first,
                **{name: results.to_document() for name, results in found.items()},
                "noise": asdict(noise),
            }
        )


def _results(output: Path, side: Side) -> Results:
    if not output.exists():
        raise NoData(f"{side.name}: the command wrote nothing to {OUTPUT}")
    text = output.read_text(encoding="utf-8", errors="replace")
    output.unlink()
    if not text.strip():
        raise NoData(f"{side.name}: the command wrote nothing; results go to stdout or {OUTPUT}")
    return Results.from_json(text, f"{side.name}'s results")
