import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.clock import Clock, ManualClock, SystemClock


def test_both_clocks_fit_the_protocol() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock()]
    assert all(clock.monotonic() <= clock.monotonic() for clock in clocks)
    assert all(clock.now() > 1_600_000_000 for clock in clocks)


async def test_the_system_clock_waits_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    # The event loop may fire a timer early by its clock's resolution.
    assert clock.monotonic() - before > 0.009


async def test_sleeping_no_time_at_all_still_lets_others_run() -> None:
    for clock in (SystemClock(), ManualClock()):
        ran: list[str] = []
        other = asyncio.create_task(_note(ran, "other"))
        await clock.sleep(-1)
        assert ran == ["other"]
        await other


async def test_nobody_wakes_before_time_moves() -> None:
    clock, woken = ManualClock(), list[str]()
    sleeper = asyncio.create_task(_sleep_and_note(clock, 5, woken, "a"))
    await clock.until_sleeping()
    clock.advance(4.999)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(0.001)
    await sleeper
    assert woken == ["a"]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(5))
    await clock.until_sleeping()
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert clock.sleeping == 0
    clock.advance(10)


async def test_a_test_can_wait_for_its_sleepers() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.until_sleeping(2))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        tasks.create_task(clock.sleep(2))
        await waiting
        clock.advance(2)


def test_moving_moves_both_clocks_and_jumping_only_the_wall_clock() -> None:
    clock = ManualClock(now=100, monotonic=10)
    clock.advance(5)
    assert (clock.now(), clock.monotonic()) == (105, 15)
    clock.jump(-50)
    assert (clock.now(), clock.monotonic()) == (55, 15)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)


@given(st.lists(st.integers(1, 5), max_size=8), st.lists(st.integers(0, 3), max_size=8))
async def test_sleepers_wake_in_order_of_deadline_then_of_arrival(
    sleeps: list[int], steps: list[int]
) -> None:
    clock, woken = ManualClock(), list[int]()
    async with asyncio.TaskGroup() as tasks:
        for number, seconds in enumerate(sleeps):
            tasks.create_task(_sleep_and_note(clock, seconds, woken, number))
        await clock.until_sleeping(len(sleeps))
        passed = 0
        for step in [*steps, 5]:
            clock.advance(step)
            passed += step
            for _ in sleeps:
                await asyncio.sleep(0)
            due = sorted((s, n) for n, s in enumerate(sleeps) if s <= passed)
            assert woken == [n for _, n in due]


async def _sleep_and_note(clock: Clock, seconds: float, notes: list[Any], note: object) -> None:
    await clock.sleep(seconds)
    notes.append(note)


async def _note(notes: list[str], note: str) -> None:
    notes.append(note)
