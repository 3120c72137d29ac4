"""One thread writes; what waits goes together, and nothing stops it."""

import asyncio
import fcntl
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from fleetq_server import failpoints
from fleetq_server.errors import Draining, InternalError, NotFound, Overloaded, StoreUnavailable
from fleetq_server.model import BeatReply, Claim, NewStep
from fleetq_server.store.base import Beat, ClaimSteps, Drain, Op, Submit
from fleetq_server.store.sqlite import SqliteStore
from tests.unit.pieces import Bench

STEP = NewStep("wash")


class Broken(Submit):
    """An operation that no store knows."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path, max_waiting=50)
    await one.begin()
    yield one
    failpoints.disarm()
    await one.end()


class Held:
    """The gate, held from outside: the writer hangs at its next transaction."""

    def __init__(self, bench: Bench) -> None:
        self._handle = os.open(f"{bench.store.path}.gate", os.O_RDWR)

    def __enter__(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


async def test_what_waits_is_written_together(bench: Bench) -> None:
    with Held(bench):
        first = asyncio.create_task(bench.submit(STEP))
        await asyncio.sleep(0)
        calls = [asyncio.create_task(bench.submit(STEP)) for _ in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(first, *calls)
    assert len(bench.store.groups) <= 4
    assert sum(len(group) for group in bench.store.groups) == 22


class ClaimsOnce:
    """Claims one step. Before the writer can tell of it, the next entry is at hand."""

    def __init__(self, bench: Bench, ops: Sequence[Op] | None) -> None:
        self.heard: list[str] = []
        self.all = asyncio.Event()
        self._bench = bench
        self._ops = ops
        self._loop = asyncio.get_running_loop()
        self._posted = threading.Event()
        self._claimed = False
        self._before = 0

    def wanted(self, _contended: bool = False) -> ClaimSteps | None:
        return None if self._claimed else ClaimSteps(self._bench.key, 1)

    def granted(self, claims: list[Claim]) -> None:
        self._claimed = True
        if self._ops is not None:
            self._loop.call_soon_threadsafe(self._post, self._ops)
            assert self._posted.wait(10)

    def _post(self, ops: Sequence[Op]) -> None:
        self._bench.writer.post(ops, lambda _: self._end("answered"), lambda _: self._end("failed"))
        self._posted.set()

    def deliver(self, claims: list[Claim]) -> None:
        transactions = len(self._bench.store.groups)
        self.heard.append(f"delivered in transaction {transactions - self._before}")
        if self._ops is None:
            self.all.set()

    def _end(self, how: str) -> None:
        self.heard.append(how)
        self.all.set()

    async def go(self) -> list[str]:
        self._before = len(self._bench.store.groups)
        self._bench.writer.stand(self)
        await self._bench.submit(STEP)
        async with asyncio.timeout(10):
            await self.all.wait()
        return self.heard


async def test_claims_are_heard_of_at_once_if_nothing_else_is_to_be_written(bench: Bench) -> None:
    assert await ClaimsOnce(bench, None).go() == ["delivered in transaction 1"]


async def test_claims_are_heard_of_while_the_next_transaction_is_synced(bench: Bench) -> None:
    """Handlers need the interpreter, which this thread does not while it waits for the disk."""
    heard = await ClaimsOnce(bench, [Submit((STEP,))]).go()
    assert heard == ["delivered in transaction 2", "answered"]


async def test_claims_are_heard_of_though_the_next_transaction_fails(bench: Bench) -> None:
    failpoints.arm("store.before_begin=raise@2")
    heard = await ClaimsOnce(bench, [Submit((STEP,))]).go()
    assert heard == ["delivered in transaction 2", "failed"]


async def test_claims_are_heard_of_though_the_next_entry_writes_nothing(bench: Bench) -> None:
    assert await ClaimsOnce(bench, []).go() == ["delivered in transaction 1", "answered"]


async def test_what_nobody_rang_for_is_found_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, look_every=0.01)
    await bench.begin()
    other = SqliteStore(bench.store.path)
    async with asyncio.timeout(10):
        for _ in range(20):  # by luck it may look just then, but not each time
            claim = ClaimsOnce(bench, None)
            bench.writer.stand(claim)
            await bench.writer.passed()  # it has looked, and found nothing
            other.apply([Submit((STEP,))])
            await claim.all.wait()
            bench.writer.unstand(claim)
    other.close()
    await bench.end()


class Counting:
    """Counts how often it is asked what it wants."""

    def __init__(self, wants: ClaimSteps | None) -> None:
        self.asked = 0
        self._wants = wants

    def wanted(self, _contended: bool = False) -> ClaimSteps | None:
        self.asked += 1
        return self._wants

    def granted(self, claims: list[Claim]) -> None: ...

    def deliver(self, claims: list[Claim]) -> None: ...


async def test_a_full_pod_does_not_look_without_a_pause_for_what_is_due(bench: Bench) -> None:
    full = Counting(None)
    bench.writer.stand(full)
    await bench.submit(STEP._replace(run_at=time.time() + 0.05))
    await asyncio.sleep(0.5)
    assert full.asked < 100


async def test_an_outage_is_not_looked_into_without_a_pause(bench: Bench) -> None:
    hungry = Counting(ClaimSteps(bench.key, 1))
    bench.writer.stand(hungry)
    with closing(apsw.Connection(str(bench.store.path))) as other:
        other.set_busy_timeout(5000)
        await bench.submit(STEP._replace(run_at=time.time() + 0.2))
        other.execute("ALTER TABLE lanes RENAME TO gone")
        before = hungry.asked
        bench.writer.nudge()
        await asyncio.sleep(0.7)
        asked = hungry.asked - before
        other.execute("ALTER TABLE gone RENAME TO lanes")
    bench.writer.unstand(hungry)
    assert 0 < asked < 100


async def test_a_refused_operation_leaves_its_group_alone(bench: Bench) -> None:
    answers = await bench.writer.together((Submit((STEP,)), Drain("nobody"), Submit((STEP,))))
    assert isinstance(answers[1], NotFound)
    assert bench.reader.stats().totals.submitted == 2
    with pytest.raises(NotFound):
        await bench.writer.one(Drain("nobody"))


async def test_too_much_is_refused_at_once_and_only_while_it_waits(bench: Bench) -> None:
    with Held(bench):
        blocked = asyncio.create_task(bench.submit(*[STEP] * 40))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refusal:
            await bench.submit(*[STEP] * 11)
        assert refusal.value.retry_after > 0
        beat = asyncio.create_task(bench.writer.one(Beat(bench.key), internal=True))
        await asyncio.sleep(0)
    await asyncio.gather(blocked, beat)
    assert len(await bench.submit(*[STEP] * 50)) == 50


async def test_one_large_batch_is_taken_by_an_idle_writer(bench: Bench) -> None:
    assert len(await bench.submit(*[STEP] * 200)) == 200


async def test_a_store_that_fails_is_told_and_tried_again(bench: Bench) -> None:
    failpoints.arm("store.before_commit=raise@1")
    with pytest.raises(StoreUnavailable) as told:
        await bench.submit(STEP)
    assert "failpoint" not in str(told.value)
    assert len(await bench.submit(STEP)) == 1
    assert bench.reader.stats().totals.submitted == 1


async def test_a_bug_costs_one_group_and_not_the_thread(bench: Bench) -> None:
    with pytest.raises(InternalError) as told:
        await bench.writer.one(Broken((STEP,)))
    assert "KeyError" in str(told.value)
    assert len(await bench.submit(STEP)) == 1


async def test_an_abandoned_call_is_written_all_the_same(bench: Bench) -> None:
    with Held(bench):
        call = asyncio.create_task(bench.submit(STEP))
        await asyncio.sleep(0)
        call.cancel()
    assert len(await bench.submit(STEP)) == 1
    assert bench.reader.stats().totals.submitted == 2


class Beater:
    """Beats as often as it can."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.answers: list[BeatReply] = []
        self.thread = ""

    def due_at(self) -> float:
        return 0.0 if len(self.answers) < 50 else math.inf

    def make(self) -> Beat:
        return Beat(self._bench.key)

    def answered(self, reply: BeatReply, sent_at: float) -> None:
        self.thread = threading.current_thread().name
        self.answers.append(reply)


async def test_it_beats_while_the_event_loop_is_blocked(bench: Bench) -> None:
    beater = Beater(bench)
    bench.writer.beat_for(beater)
    deadline = time.monotonic() + 10
    while len(beater.answers) < 50:  # the loop has no turn in here
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert all(reply.alive for reply in beater.answers)
    assert beater.thread == "fleetq-writer"


async def test_others_are_rung_for_what_is_left_or_due_sooner(tmp_path: Path) -> None:
    rings = 0

    def ring() -> None:
        nonlocal rings
        rings += 1

    bench = Bench(tmp_path, ring=ring)
    await bench.begin()
    far, near = STEP._replace(run_at=2e9), STEP._replace(run_at=1.9e9)
    expected = []
    for step, told in ((STEP, True), (far, True), (far, False), (near, True), (far, False)):
        before = rings
        await bench.submit(step)
        await bench.writer.one(Beat(bench.key), internal=True)  # the ring follows the answer
        expected.append((rings > before, told))
        if step is STEP:
            await bench.writer.one(Beat(bench.key), internal=True)
    await bench.end()
    assert [rang for rang, _ in expected] == [told for _, told in expected]


async def test_it_stops_after_what_is_queued(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.begin()
    calls = [asyncio.create_task(bench.submit(STEP)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await bench.writer.stop()
    await asyncio.gather(*calls)
    with pytest.raises(Draining):
        await bench.submit(STEP)
    bench.reader.close()
    bench.store.close()


async def test_a_write_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.begin()
    with Held(bench):
        call = asyncio.create_task(bench.submit(STEP))
        await asyncio.sleep(0)
        assert not await bench.writer.stop(0.05)
    assert await bench.writer.stop(10)
    await call
    bench.reader.close()
    bench.store.close()
