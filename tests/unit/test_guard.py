"""Past its lease no handler executes another line."""

import asyncio

import pytest

from fleetq_server.core.guard import Fenced, guarded


class Lease:
    def __init__(self) -> None:
        self.lost = False
        self.suspensions = 0

    def guard(self, coroutine):
        return guarded(coroutine, lambda: self.lost, self._suspended)

    def _suspended(self) -> None:
        self.suspensions += 1


@pytest.fixture
def lease() -> Lease:
    return Lease()


async def test_a_handler_that_waits_for_nothing_just_returns(lease: Lease) -> None:
    async def handler() -> int:
        return 42

    assert await lease.guard(handler()) == 42
    assert lease.suspensions == 0


async def test_results_of_what_it_waits_for_reach_the_handler(lease: Lease) -> None:
    async def later(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def handler() -> int:
        return await later(40) + await asyncio.create_task(later(2))

    assert await lease.guard(handler()) == 42
    assert lease.suspensions == 1


async def test_errors_pass_both_ways(lease: Lease) -> None:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(KeyError("from outside"))

    async def handler() -> None:
        try:
            await failed
        except KeyError as error:
            raise ValueError("from inside") from error

    with pytest.raises(ValueError, match="from inside"):
        await lease.guard(handler())


async def test_without_its_lease_it_goes_on_nowhere(lease: Lease) -> None:
    lines = []
    go_on = asyncio.Event()

    async def handler() -> None:
        lines.append("begun")
        await go_on.wait()
        lines.append("one line too many")

    task = asyncio.create_task(lease.guard(handler()))
    await asyncio.sleep(0)
    lease.lost = True
    go_on.set()  # its wait is over in the same moment
    with pytest.raises(Fenced):
        await task
    assert lines == ["begun"]


async def test_one_that_will_not_stop_is_told_each_time(lease: Lease) -> None:
    told = 0

    async def handler() -> str:
        nonlocal told
        while told < 3:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                told += 1
        return "at last"

    lease.lost = True
    assert await lease.guard(handler()) == "at last"
    assert told == 3


async def test_it_may_clean_up(lease: Lease) -> None:
    lines = []

    async def handler() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            lines.append("closed")

    lease.lost = True
    with pytest.raises(asyncio.CancelledError):
        await lease.guard(handler())
    assert lines == ["closed"]


async def test_a_cancel_reaches_the_handler(lease: Lease) -> None:
    async def handler() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "heeded"
        return "never"

    task = asyncio.create_task(lease.guard(handler()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "heeded"
