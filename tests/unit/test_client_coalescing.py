"""Concurrent submits travel together, and nobody pays for another's mistake."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.client import AsyncClient
from fleetq_server.client.coalesce import Coalescer
from fleetq_server.errors import (
    DeadlineExceeded,
    FleetError,
    IdempotencyConflict,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from fleetq_server.model import NewStep
from fleetq_server.pb import step_pb2
from tests.unit.client_fake import FakeSteps, serving

BOUND = 10.0


def refuse_bad_kinds(steps: Sequence[step_pb2.NewStep]) -> FleetError | None:
    for index, step in enumerate(steps):
        if step.kind.startswith("bad"):
            return InvalidArgument(f"steps[{index}].kind", "is bad")
        if step.kind.startswith("key"):
            return IdempotencyConflict(step.kind)
    return None


async def test_a_lone_submit_leaves_at_once_and_alone() -> None:
    fake = FakeSteps()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        assert await client.submit_one("a", {"n": 1}) == "1"
        assert await client.submit_one("b", {"n": 1}) == "2"
    assert fake.calls == [["a"], ["b"]]
    assert len(set(fake.request_ids)) == 2


async def test_submits_of_one_moment_travel_together_and_each_gets_its_own_ids() -> None:
    fake = FakeSteps()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        answers = await asyncio.gather(*(client.submit(f"k{n}", [n] * 3) for n in range(64)))
    assert sorted(len(call) for call in fake.calls) == [3, 63 * 3]  # the first waits for nobody
    for number, ids in enumerate(answers):
        assert [fake.taken[int(step_id) - 1] for step_id in ids] == [f"k{number}"] * 3


async def test_submits_gather_while_others_are_on_their_way() -> None:
    fake = FakeSteps()
    fake.gate.clear()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        tasks = []
        for n in range(2):  # as many as may be on their way
            tasks.append(asyncio.create_task(client.submit_one(f"first{n}")))
            await asyncio.wait_for(fake.arrived.wait(), BOUND)
            fake.arrived.clear()
        tasks += [asyncio.create_task(client.submit_one(f"later{n}")) for n in range(50)]
        await asyncio.sleep(0)
        fake.gate.set()
        await asyncio.gather(*tasks)
    assert fake.calls[:2] == [["first0"], ["first1"]]
    assert len(fake.calls) == 3


@pytest.mark.parametrize("bad", ["bad", "key"])
async def test_a_refused_step_fails_its_caller_only_and_names_its_own_index(bad: str) -> None:
    fake = FakeSteps(refuse_bad_kinds)
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        good = [client.submit_one(f"good{n}") for n in range(20)]
        wrong = client.submit_steps([NewStep("fine"), NewStep(bad), NewStep("fine")])
        answers = await asyncio.gather(*good[:13], wrong, *good[13:], return_exceptions=True)
    error = answers.pop(13)
    assert not any(isinstance(answer, BaseException) for answer in answers)
    assert sorted(fake.taken) == sorted(f"good{n}" for n in range(20))
    assert len(set(fake.request_ids)) == len(fake.request_ids)
    if bad == "bad":
        assert isinstance(error, InvalidArgument)
        assert error.field == "steps[1].kind"
    else:
        assert isinstance(error, IdempotencyConflict)
        assert error.key == "key"


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=20))
def test_whatever_is_wrong_every_right_part_is_done_once(parts: list[list[bool]]) -> None:
    done: list[tuple[int, int]] = []

    async def send(items: list[tuple[int, int, bool]], _: float) -> list[tuple[int, int]]:
        for index, (_, _, good) in enumerate(items):
            if not good:
                raise InvalidArgument(f"steps[{index}]", "is wrong")
        done.extend((caller, place) for caller, place, _ in items)
        return [(caller, place) for caller, place, _ in items]

    async def scenario() -> list[object]:
        coalescer = Coalescer(send)
        calls = [
            coalescer.put([(c, p, good) for p, good in enumerate(part)], 1, BOUND)
            for c, part in enumerate(parts)
        ]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    for caller, (part, answer) in enumerate(zip(parts, asyncio.run(scenario()), strict=True)):
        if all(part):
            assert answer == [(caller, place) for place in range(len(part))]
        else:
            assert isinstance(answer, InvalidArgument)
            assert answer.field == f"steps[{part.index(False)}]"
    assert sorted(done) == [
        (c, p) for c, part in enumerate(parts) if all(part) for p in range(len(part))
    ]


async def test_a_part_that_comes_as_a_batch_ends_is_not_forgotten() -> None:
    async def send(items: list[int], _: float) -> list[int]:
        return items

    coalescer = Coalescer(send, in_flight=1)
    for number in range(10):
        assert await coalescer.put([number], 1, BOUND) == [number]


async def test_batches_respect_count_and_size() -> None:
    sizes: list[int] = []

    async def send(items: list[int], _: float) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(0)  # as a call does: what comes meanwhile gathers
        return items

    coalescer = Coalescer(send, max_items=10, max_bytes=100)
    await asyncio.gather(*(coalescer.put([n], 30, BOUND) for n in range(10)))
    assert sizes == [1, 3, 3, 3]
    sizes.clear()
    await asyncio.gather(*(coalescer.put([n] * 4, 1, BOUND) for n in range(6)))
    assert sizes == [4, 8, 8, 4]


async def test_a_caller_that_gave_up_is_not_sent() -> None:
    fake = FakeSteps()
    fake.gate.clear()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        first = []
        for n in range(2):
            first.append(asyncio.create_task(client.submit_one(f"first{n}")))
            await asyncio.wait_for(fake.arrived.wait(), BOUND)
            fake.arrived.clear()
        with pytest.raises(DeadlineExceeded):
            await client.submit_one("impatient", timeout=0.01)
        fake.gate.set()
        await asyncio.gather(*first)
        await client.submit_one("last")
    assert [kind for call in fake.calls for kind in call] == ["first0", "first1", "last"]


async def test_more_than_a_thousand_steps_go_in_order_and_errors_name_the_callers_index() -> None:
    fake = FakeSteps(refuse_bad_kinds)
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        ids = await client.submit("k", range(2500))
        assert [len(call) for call in fake.calls] == [1000, 1000, 500]
        assert ids == [str(n + 1) for n in range(2500)]
        steps = [NewStep("bad" if n == 1703 else "k") for n in range(2000)]
        with pytest.raises(InvalidArgument) as caught:
            await client.submit_steps(steps)
    assert caught.value.field == "steps[1703].kind"
    assert caught.value.__notes__ == ["the 1000 steps before these were submitted"]


async def test_overload_is_waited_out_within_the_deadline() -> None:
    refusals: list[FleetError | None] = [Overloaded("too much", 0.05), Overloaded("too much", 0.05)]
    fake = FakeSteps(lambda _: refusals.pop() if refusals else None)
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        assert await client.submit_one("k") == "1"
        assert len(set(fake.request_ids)) == 1
        fake.refuse = lambda _: Overloaded("too much", 60.0)
        with pytest.raises(Overloaded) as caught:
            await client.submit_one("k", timeout=5)
    assert caught.value.retry_after == 60.0
    assert caught.value.what == "too much"


async def test_closing_answers_those_who_wait() -> None:
    fake = FakeSteps()
    fake.gate.clear()
    async with serving(fake) as (address, _):
        client = AsyncClient(address)
        waiting = [asyncio.create_task(client.submit_one("k")) for _ in range(3)]
        await asyncio.wait_for(fake.arrived.wait(), BOUND)
        await client.close()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        with pytest.raises(Unavailable):
            await client.submit_one("k")
        fake.gate.set()


async def test_what_json_cannot_carry_is_named() -> None:
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(InvalidArgument) as caught:
            await client.submit("k", [1, {"when": object()}])
        assert caught.value.field == "steps[1].payload"
        with pytest.raises(InvalidArgument) as caught:
            await client.submit("k", [float("nan")])
        assert caught.value.field == "steps[0].payload"
        with pytest.raises(InvalidArgument) as caught:
            await client.submit("k", [1], priority=2**40)
        assert caught.value.field == "steps[0]"
        with pytest.raises(InvalidArgument) as caught:
            await client.submit("k", [1, 2], idempotency_keys=["a"])
        assert caught.value.field == "idempotency_keys"
