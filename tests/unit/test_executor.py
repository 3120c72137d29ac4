"""Steps run once, within capacity, and end as their handler did."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleetq_server import failpoints
from fleetq_server.core.context import Context, Stop
from fleetq_server.core.executor import Executor
from fleetq_server.core.handlers import handler
from fleetq_server.model import Fence, NewStep, StepState
from fleetq_server.store.base import Submit
from tests.unit.pieces import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    await one.begin()
    yield one
    await one.end()


class Work:
    """A handler under the test's control."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []
        self.most = self.now = 0
        self.began = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()

    @property
    def handler(self) -> Any:
        @handler("work")
        async def work(ctx: Context) -> Any:
            return await self._run(ctx)

        return work

    async def _run(self, ctx: Context) -> Any:
        self.contexts.append(ctx)
        self.now += 1
        self.most = max(self.most, self.now)
        self.began.release()
        try:
            await self.go_on.wait()
            return ctx.attempt
        finally:
            self.now -= 1


async def end(executor: Executor) -> None:
    assert await executor.drain(5) == 0
    executor.close()


async def test_no_more_than_the_capacity_runs_at_once(bench: Bench) -> None:
    work = Work()
    executor = bench.executor(work.handler, capacity=7)
    steps = await bench.submit(*[NewStep("work")] * 40)
    executor.start(bench.key)
    for _ in range(7):
        await work.began.acquire()
    assert executor.running == 7
    assert bench.reader.stats().totals.claimed == 7
    work.go_on.set()
    ended = await bench.ended(*steps)
    assert {step.state for step in ended} == {StepState.COMPLETED}
    assert work.most == 7
    assert len(work.contexts) == 40
    await end(executor)


async def test_outcomes_and_the_next_claims_share_a_transaction(bench: Bench) -> None:
    @handler("quick")
    async def quick(ctx: Context) -> None: ...

    executor = bench.executor(quick, capacity=10)
    steps = await bench.submit(*[NewStep("quick")] * 100)
    executor.start(bench.key)
    await bench.ended(*steps)
    assert len(bench.store.groups) <= 2 + 100 / 10 + 3
    await end(executor)


async def test_while_handlers_never_wait_as_many_again_are_claimed_ahead(bench: Bench) -> None:
    most = 0

    @handler("quick")
    async def quick(ctx: Context) -> None:
        nonlocal most
        deadline = time.monotonic() + 10
        while ctx.step_id == str(steps[10]) and most < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
            most = bench.reader.stats().totals.claimed

    executor = bench.executor(quick, capacity=10)
    steps = await bench.submit(*[NewStep("quick")] * 40)
    executor.start(bench.key)
    await bench.ended(*steps)
    assert most == 20
    await end(executor)


async def test_where_pods_wait_for_each_other_one_claim_takes_all_that_may_be_held(
    bench: Bench,
) -> None:
    @handler("quick")
    async def quick(ctx: Context) -> None: ...

    executor = bench.executor(quick, capacity=10)
    executor.start(bench.key)
    claims = [executor.wanted(contended=True)]
    await bench.ended(*await bench.submit(NewStep("quick")))
    claims += [executor.wanted(contended=True), executor.wanted()]
    assert [claim and claim.limit for claim in claims] == [10, 20, 10]
    await end(executor)


async def test_what_one_claim_leaves_over_is_claimed_next(tmp_path: Path) -> None:
    """There are more lanes than a claim looks at, and nobody rings, nor is it time to look."""
    bench = Bench(tmp_path, look_every=600)
    await bench.begin()
    work = Work()
    steps = await bench.submit(*[NewStep("work", queue=f"q{number}") for number in range(150)])
    executor = bench.executor(work.handler, capacity=200)
    executor.start(bench.key)
    async with asyncio.timeout(20):
        for _ in steps:
            await work.began.acquire()
    work.go_on.set()
    await bench.ended(*steps)
    await end(executor)
    await bench.end()


async def test_what_was_claimed_ahead_of_handlers_that_wait_is_given_back(bench: Bench) -> None:
    """At most `capacity` run, and what cannot run here is others' again, its attempt unspent."""
    work = Work()

    @handler("quick")
    async def quick(ctx: Context) -> None: ...

    executor = bench.executor(work.handler, quick, capacity=10)
    steps = await bench.submit(*[NewStep("quick")] * 200, *[NewStep("work")] * 40)
    executor.start(bench.key)
    for _ in range(10):
        await work.began.acquire()
    async with asyncio.timeout(10):
        while bench.reader.stats().totals.claimed > 10:
            await asyncio.sleep(0.002)
    assert executor.running == 10
    waiting = [step for step in map(bench.step, steps[200:]) if step.state is StepState.PENDING]
    assert {step.attempt for step in waiting} == {0}
    assert len(waiting) == 30
    work.go_on.set()
    ended = await bench.ended(*steps)
    assert {step.state for step in ended} == {StepState.COMPLETED}
    assert {step.attempt for step in ended} == {1}
    assert work.most == 10
    await end(executor)


async def test_without_its_lease_it_starts_nothing(bench: Bench) -> None:
    """Granted before a freeze, looked at after it."""
    work = Work()
    executor = bench.executor(work.handler)
    bench.lease_lost = True
    (step,) = await bench.submit(NewStep("work"))
    executor.start(bench.key)
    async with asyncio.timeout(10):
        while not any(event.type == "released" for event in bench.reader.events(0, 100)):
            await asyncio.sleep(0.002)
    executor.pause()
    assert work.contexts == []
    await end(executor)
    assert (bench.step(step).state, bench.step(step).attempt) == (StepState.PENDING, 0)


async def test_only_the_claim_meant_is_cancelled(bench: Bench) -> None:
    work = Work()
    executor = bench.executor(work.handler)
    (step,) = await bench.submit(NewStep("work"))
    executor.start(bench.key)
    await work.began.acquire()
    executor.cancel(step, Fence(1))
    await asyncio.sleep(0)
    assert work.contexts[0].stopped is None
    work.go_on.set()
    await bench.ended(step)
    await end(executor)


async def test_what_was_fenced_is_given_back_unspent(bench: Bench) -> None:
    work = Work()
    executor = bench.executor(work.handler)
    steps = await bench.submit(*[NewStep("work")] * 3)
    executor.start(bench.key)
    for _ in steps:
        await work.began.acquire()
    executor.pause()
    executor.stop_all(Stop.FENCED)
    await executor.idle()
    assert {ctx.stopped for ctx in work.contexts} == {Stop.FENCED}
    await end(executor)
    assert {(bench.step(s).state, bench.step(s).attempt) for s in steps} == {(StepState.PENDING, 0)}


async def test_a_drain_tells_how_many_would_not_stop(bench: Bench) -> None:
    release = threading.Event()
    began = threading.Event()

    @handler("deaf")
    def deaf(ctx: Context) -> None:
        began.set()
        release.wait(20)

    executor = bench.executor(deaf)
    (step,) = await bench.submit(NewStep("deaf"))
    executor.start(bench.key)
    await asyncio.to_thread(began.wait)
    assert await executor.drain(0) == 1
    assert bench.step(step).state is StepState.CLAIMED, "nobody else may start it yet"
    release.set()
    await executor.idle()
    await end(executor)


async def test_the_newest_progress_is_reported_once(bench: Bench) -> None:
    said = asyncio.Event()
    go_on = asyncio.Event()

    @handler("talk")
    async def talk(ctx: Context) -> None:
        for share in (1, 2, 3):
            ctx.progress(share)
        said.set()
        await go_on.wait()

    executor = bench.executor(talk)
    (step,) = await bench.submit(NewStep("talk"))
    executor.start(bench.key)
    await said.wait()
    assert [(report.step_id, report.data) for report in executor.take_progress()] == [(step, b"3")]
    assert executor.take_progress() == []
    go_on.set()
    await bench.ended(step)
    await end(executor)


async def test_outcomes_are_kept_until_the_store_takes_them(bench: Bench) -> None:
    work = Work()
    executor = bench.executor(work.handler)
    (step,) = await bench.submit(NewStep("work"))
    executor.start(bench.key)
    await work.began.acquire()
    failpoints.arm("store.before_commit=raise@1,store.before_begin=raise@2")
    work.go_on.set()
    (ended,) = await bench.ended(step)
    assert ended.state is StepState.COMPLETED
    assert len(work.contexts) == 1
    await end(executor)


async def test_a_claim_on_its_way_is_not_forgotten_by_a_drain(bench: Bench) -> None:
    """Once drained, nothing starts any more: others may run what was given back."""
    work = Work()
    work.go_on.set()
    executor = bench.executor(work.handler)
    executor.start(bench.key)
    failpoints.arm("store.before_commit=delay:0.3")
    call = asyncio.create_task(bench.submit(NewStep("work")))
    async with asyncio.timeout(10):
        while [Submit] not in bench.store.groups:
            await asyncio.sleep(0.002)
    assert await executor.drain(5) == 0
    assert len(work.contexts) == 1
    failpoints.disarm()
    executor.close()
    assert bench.step((await call)[0]).state is StepState.COMPLETED


async def test_a_writer_with_nothing_to_do_passes_at_once(bench: Bench) -> None:
    async with asyncio.timeout(10):
        await bench.writer.passed()
