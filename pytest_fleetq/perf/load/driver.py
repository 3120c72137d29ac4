"""`python -m pytest_fleetq.perf.load.driver FOLDER`: an open-loop load, in a process of its own.

Each call has its turn by the clock, whether earlier ones were answered or not, as with users who do
not know of each other; and each is recorded with the turn it should have had. A driver that waits
for answers would send nothing while the system stands still, and so measure nothing of it
(coordinated omission). How late the driver itself was is measured as well: a late driver measures
itself.

FOLDER holds `plan.json`; `started` appears with the first call, `result.json` at the end.
"""

import asyncio
import gc
import json
import os
import select
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from pytest_fleetq.perf.histogram import Histogram
from pytest_fleetq.perf.load.calls import Call, FleetqCalls, Turn, calls_of, shown
from pytest_fleetq.perf.load.plan import (
    BUILT_IN,
    MOST_IN_FLIGHT,
    PLAN,
    RESULT,
    STARTED,
    LoadResult,
    Plan,
)
from pytest_fleetq.perf.measure.history import INTENDED
from pytest_fleetq.verdict.recorder import Recorder

START_PAUSE = 0.02
SWITCH_SECONDS = 0.0005  # that a thread may keep the others waiting; 5 ms otherwise
NICENESS = -10  # where that is allowed: a driver that waits for a processor measures itself


class Driver:
    def __init__(self, plan: Plan, recorder: Recorder, calls: dict[str, Call]) -> None:
        self._plan = plan
        self._recorder = recorder
        self._calls = calls
        self._began = _began(Path(plan.history))
        self._lag = Histogram()
        self._errors = 0
        self._dropped = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, tell_started: Callable[[], object]) -> LoadResult:
        plan = self._plan
        names = _order(plan)
        gc.freeze()  # what is here now stays, and need not be looked through again
        begin = time.monotonic() + START_PAUSE
        tell_started()
        for number, name in enumerate(names):
            turn = begin + number / plan.rate
            await asyncio.sleep(max(0.0, turn - time.monotonic()))
            self._launch(self._shoot(number, name, turn))
        await asyncio.gather(*self._under_way)
        lag = self._lag
        return LoadResult(
            plan.calls, self._errors, self._dropped, lag.percentile(50), lag.percentile(99), lag.max
        )

    def _launch(self, shot: Coroutine[Any, Any, None]) -> None:
        if len(self._under_way) >= MOST_IN_FLIGHT:
            shot.close()
            self._dropped += 1
            return
        task = asyncio.create_task(shot)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _shoot(self, number: int, name: str, turn: float) -> None:
        plan = self._plan
        self._lag.add(max(0.0, time.monotonic() - turn))
        intended = round(turn - self._began, 6)
        process, what = f"{plan.name}/{number}", shown(name)
        try:
            with self._recorder.operation(process, what, **{INTENDED: intended}) as operation:
                async with asyncio.timeout(plan.timeout):
                    answer = await self._calls[name](
                        Turn(number, plan.addresses, plan.settings, plan.timeout)
                    )
                operation.ok(**answer)
        except Exception:  # whatever a function of somebody else raises; the history has it
            self._errors += 1


class PreciseSelector(selectors.DefaultSelector):
    """epoll counts in milliseconds, which would make every call late; `select` in microseconds,
    and it can wait for an epoll."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and hasattr(self, "fileno"):
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def main(folder: Path) -> None:
    plan = Plan.from_json((folder / PLAN).read_text())
    sys.setswitchinterval(SWITCH_SECONDS)
    with suppress(PermissionError):
        os.nice(NICENESS)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(PreciseSelector())) as run:
        result = run.run(_drive(plan, (folder / STARTED).touch))
    unfinished = folder / f"{RESULT}.new"
    unfinished.write_text(result.to_json())
    unfinished.rename(folder / RESULT)


async def _drive(plan: Plan, tell_started: Callable[[], object]) -> LoadResult:
    fleetq = FleetqCalls(plan)
    try:
        calls = calls_of(plan, fleetq)
        if not set(plan.mix).isdisjoint(BUILT_IN):
            await fleetq.connect()
        with Recorder(plan.history) as recorder:
            return await Driver(plan, recorder, calls).run(tell_started)
    finally:
        await fleetq.close()


def _order(plan: Plan) -> list[str]:
    """The operation of each call: the same for the same seed, and a submit first if there is any,
    for others ask for what it made."""
    names = Random(plan.seed).choices(list(plan.mix), list(plan.mix.values()), k=plan.calls)
    if "submit" in plan.mix:
        names[0] = "submit"
    return names


def _began(history: Path) -> float:
    with history.open() as lines:
        return float(json.loads(lines.readline())["monotonic"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # not waiting for threads whose calls were given up
