"""Whoever waits for steps is answered when they end, in whatever pod."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from fleetq_server.clock import SystemClock
from fleetq_server.core.reads import Reads
from fleetq_server.core.waiting import Waiting
from fleetq_server.errors import NotFound, Overloaded, StoreUnavailable
from fleetq_server.model import Completion, Ended, NewStep, Result, StepId
from fleetq_server.store import base
from fleetq_server.store.base import ClaimSteps, Complete
from fleetq_server.store.sqlite import SqliteReader, SqliteStore
from tests.unit.pieces import Bench

STEP = NewStep("wash")


class Fixture:
    """One pod that waits, and the store through which steps end: its own or another pod's."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.use(Reads(bench.store.reader()))
        self.other = SqliteStore(bench.store.path)

    def use(self, reads: Reads) -> None:
        self.reads = reads
        self.waiting = Waiting(reads, SystemClock(), max_calls=3)

    async def finish_here(self, *step_ids: StepId) -> None:
        claims = await self.bench.writer.one(ClaimSteps(self.bench.key, len(step_ids)))
        items = [Completion(c.step_id, c.fence, Result(b"1", True)) for c in claims]
        await self.bench.writer.one(Complete(items))
        self.waiting.committed(self.bench.applied[-1])

    def finish_elsewhere(self, count: int) -> None:
        claims = self.other.apply([ClaimSteps(self.bench.key, count)]).answers[0]
        assert isinstance(claims, list)
        self.other.apply([Complete([Completion(c.step_id, c.fence) for c in claims])])

    def wait(self, *step_ids: StepId, any_one: bool = False) -> asyncio.Task[list[Ended]]:
        return asyncio.create_task(self.waiting.wait(step_ids, 10, any_one))


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Fixture]:
    bench = Bench(tmp_path)
    await bench.begin()
    one = Fixture(bench)
    yield one
    await one.reads.close()
    one.other.close()
    await bench.end()


async def test_it_answers_when_all_have_ended_in_the_order_asked(pod: Fixture) -> None:
    first, second = await pod.bench.submit(STEP, STEP)
    call = pod.wait(second, first)
    await pod.finish_here(first)
    await pod.finish_here(second)
    assert [ended.step_id for ended in await call] == [second, first]


async def test_or_when_the_first_of_them_has(pod: Fixture) -> None:
    steps = await pod.bench.submit(STEP, STEP)
    call = pod.wait(*steps, any_one=True)
    await pod.finish_here(steps[0])
    (ended,) = await call
    assert (ended.step_id, ended.result) == (steps[0], Result(b"1", True))


async def test_steps_that_end_in_other_pods_are_seen(pod: Fixture) -> None:
    steps = await pod.bench.submit(STEP, STEP)
    call = pod.wait(*steps)
    await asyncio.sleep(0)
    pod.finish_elsewhere(2)
    assert len(await call) == 2


async def test_what_has_ended_already_is_told_at_once(pod: Fixture) -> None:
    steps = await pod.bench.submit(STEP, STEP)
    await pod.finish_here(steps[0])
    assert len(await pod.waiting.wait(steps, 0, False)) == 1
    assert len(await pod.wait(*steps, any_one=True)) == 1


async def test_a_step_that_never_was_is_no_reason_to_wait(pod: Fixture) -> None:
    (step,) = await pod.bench.submit(STEP)
    with pytest.raises(NotFound, match="'999'"):
        await pod.wait(step, StepId(999))


async def test_too_many_calls_are_refused(pod: Fixture) -> None:
    steps = await pod.bench.submit(STEP)
    calls = [pod.wait(*steps) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pod.waiting.wait(steps, 10, False)
    await pod.finish_here(*steps)
    assert [len(answer) for answer in await asyncio.gather(*calls)] == [1, 1, 1]
    assert len(await pod.waiting.wait(steps, 10, False)) == 1


async def test_an_abandoned_call_leaves_its_place(pod: Fixture) -> None:
    steps = await pod.bench.submit(STEP)
    for _ in range(3):
        calls = [pod.wait(*steps) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pod.waiting.wait(steps, 10, False)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    await pod.finish_here(*steps)
    assert len(await pod.wait(*steps)) == 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


class Shaky(SqliteReader):
    """A store that cannot be read now and then."""

    failures = looks = 0

    def version(self) -> int:
        self.looks += 1
        self._fail_sometimes()
        return super().version()

    def ended(self, step_ids: Sequence[StepId]) -> list[Ended]:
        self._fail_sometimes()
        return super().ended(step_ids)

    def _fail_sometimes(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("not now")


async def test_reads_that_fail_for_a_while_lose_nobody(pod: Fixture) -> None:
    shaky = Shaky(pod.bench.store.path)
    await pod.reads.close()
    pod.use(Reads(shaky))
    steps = await pod.bench.submit(STEP, STEP)
    call = pod.wait(*steps)
    await until(lambda: shaky.looks > 0)
    shaky.failures = 3
    pod.finish_elsewhere(1)
    await pod.finish_here(steps[1])
    await until(lambda: not shaky.failures)
    pod.other.apply([base.Beat(pod.bench.key)])  # pods beat, so something is written again soon
    assert len(await call) == 2
