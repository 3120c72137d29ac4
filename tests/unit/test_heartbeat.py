"""The lease ends before anybody else may act, counted from when the last answered beat was sent."""

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from fleetq_server.clock import ManualClock
from fleetq_server.core.heartbeat import EXIT_FENCED, HARD_FRACTION, SOFT_FRACTION, Heartbeat
from fleetq_server.model import BeatReply, Fence, HolderKey, Progress, StepId

INTERVAL, THRESHOLD = 0.01, 0.05
ALIVE, DEAD = BeatReply(alive=True), BeatReply(alive=False)
KEY = HolderKey(1)


class Lived:
    """A heartbeat, and what it told the pod."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.running = 0
        self.reports: list[Progress] = []
        self.told: list[Any] = []
        self.fenced = asyncio.Event()
        self.heartbeat = Heartbeat(
            self.clock,
            interval=INTERVAL,
            threshold=THRESHOLD,
            running=lambda: self.running,
            progress=self._take_reports,
            unblock=self._tell("unblock"),
            on_fence=self.fenced.set,
            on_dead=self._tell("dead"),
            on_cancels=self.told.append,
            on_drain=self._tell("drain"),
        )
        self.heartbeat.begin(KEY, self.clock.monotonic())

    def _tell(self, what: str) -> Callable[[], None]:
        return lambda: self.told.append(what)

    def _take_reports(self) -> list[Progress]:
        taken, self.reports = self.reports, []
        return taken

    def beat(self, *reports: tuple[int, bytes]) -> dict[int, bytes]:
        """Makes a beat after these reports of steps; gives what it carries."""
        self.reports += [Progress(StepId(step), Fence(1), data) for step, data in reports]
        return {report.step_id: report.data for report in self.heartbeat.make().progress}

    def answer(self, reply: BeatReply, sent_at: float | None = None) -> None:
        self.heartbeat.answered(reply, self.clock.monotonic() if sent_at is None else sent_at)


@pytest.fixture
async def lived() -> AsyncIterator[Lived]:
    one = Lived()
    yield one
    one.heartbeat.stop()


async def settle() -> None:
    await asyncio.sleep(0)


async def test_a_beat_is_due_an_interval_after_the_last_was_sent(lived: Lived) -> None:
    begun = lived.clock.monotonic()
    assert lived.heartbeat.due_at() == begun + INTERVAL
    lived.clock.advance(INTERVAL)
    lived.answer(ALIVE, sent_at=begun + 0.001)
    assert lived.heartbeat.due_at() == begun + 0.001 + INTERVAL


async def test_in_a_hurry_it_is_due_soon_until_answered(lived: Lived) -> None:
    lived.heartbeat.hurry()
    assert lived.heartbeat.due_at() == lived.clock.monotonic() + INTERVAL / 10
    lived.answer(ALIVE)
    assert lived.heartbeat.due_at() == lived.clock.monotonic() + INTERVAL


async def test_the_lease_ends_at_the_soft_limit_counted_from_the_sending(lived: Lived) -> None:
    sent_at = lived.clock.monotonic()
    lived.clock.advance(THRESHOLD / 2)
    lived.answer(ALIVE, sent_at)  # its answer took long
    lived.clock.advance(THRESHOLD * (SOFT_FRACTION - 0.5) - 0.001)
    assert not lived.heartbeat.lease_lost()
    lived.clock.advance(0.0011)
    assert lived.heartbeat.lease_lost()
    lived.answer(ALIVE)
    assert not lived.heartbeat.lease_lost()


async def test_a_jump_of_the_wall_clock_ends_no_lease(lived: Lived) -> None:
    lived.clock.jump(86_400)
    assert not lived.heartbeat.lease_lost()


async def test_declared_dead_it_says_so_once_and_beats_no_more(lived: Lived) -> None:
    lived.answer(DEAD)
    lived.answer(DEAD)
    await settle()
    assert lived.told[:1] == ["dead"]
    assert lived.told.count("dead") == 1
    assert lived.heartbeat.lease_lost()
    assert lived.heartbeat.due_at() == math.inf
    lived.heartbeat.begin(HolderKey(2), lived.clock.monotonic())
    assert not lived.heartbeat.lease_lost()
    assert lived.heartbeat.make().holder == HolderKey(2)


async def test_progress_travels_until_a_beat_is_answered_the_newest_only(lived: Lived) -> None:
    assert lived.beat((1, b"a"), (2, b"a")) == {1: b"a", 2: b"a"}
    assert lived.beat((1, b"b")) == {1: b"b", 2: b"a"}, "the first beat got no answer"
    lived.answer(ALIVE)
    assert lived.beat((2, b"c")) == {2: b"c"}


async def test_a_new_incarnation_reports_nothing_of_the_old_ones_claims(lived: Lived) -> None:
    lived.beat((1, b"a"))
    lived.answer(DEAD)
    lived.heartbeat.begin(HolderKey(2), lived.clock.monotonic())
    assert lived.beat() == {}


async def test_cancels_are_told_each_time_a_drain_once(lived: Lived) -> None:
    cancels: Sequence[tuple[StepId, Fence]] = ((StepId(1), Fence(2)),)
    reply = BeatReply(alive=True, draining=True, cancels=tuple(cancels))
    lived.answer(reply)
    lived.answer(reply)
    await settle()
    assert lived.told == [cancels, "drain", cancels]


async def test_running_handlers_are_fenced_when_the_lease_ends(lived: Lived) -> None:
    """By a thread: the event loop may be what hangs."""
    lived.running = 1
    lived.heartbeat.watch()
    lived.heartbeat.begin(KEY, lived.clock.monotonic())
    lived.clock.advance(THRESHOLD * SOFT_FRACTION)
    await asyncio.wait_for(lived.fenced.wait(), 10)
    lived.running = 0
    assert lived.heartbeat.lease_lost()


HANGS = """
import asyncio, time
from fleetq_server.clock import SystemClock
from fleetq_server.core.heartbeat import Heartbeat

async def main():
    nothing = lambda *_: None
    heartbeat = Heartbeat(
        SystemClock(), interval=0.1, threshold=0.5, running=lambda: 1, progress=list,
        unblock=nothing, on_fence=nothing, on_dead=nothing, on_cancels=nothing, on_drain=nothing,
    )
    heartbeat.watch()
    heartbeat.begin(1, time.monotonic())
    print("begun", flush=True)
    time.sleep(30)

asyncio.run(main())
"""


def test_the_process_ends_itself_if_a_handler_runs_on() -> None:
    """Even if it is the event loop that hangs."""
    child = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=20)
    assert child.stdout.startswith(b"begun\n")
    assert child.returncode == EXIT_FENCED


def test_the_process_is_gone_before_others_may_act() -> None:
    assert SOFT_FRACTION < HARD_FRACTION < 1
