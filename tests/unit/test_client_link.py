"""Every call: deadline, repeats, other pods, and the way errors come back."""

import asyncio
import time

import grpc
import grpc.aio
import pytest

from fleetq_server import errors
from fleetq_server.client import AsyncClient, Client
from fleetq_server.client.addresses import split_addresses, targets
from fleetq_server.client.errors import from_rpc_error
from fleetq_server.errors import (
    DeadlineExceeded,
    Draining,
    FleetError,
    InvalidArgument,
    NoPodReachable,
    StoreUnavailable,
    Unavailable,
)
from fleetq_server.model import NewStep
from fleetq_server.rpc import status
from tests.unit.client_fake import FakeSteps, serving

RAISED_BY_PODS: list[FleetError] = [
    errors.InvalidArgument("steps[3].queue", "is no queue name: a: b"),
    errors.NotFound("step", "17"),
    errors.NotFound("pod", "abc"),
    errors.IdempotencyConflict("key", "12"),
    errors.IdempotencyConflict("key"),
    errors.IllegalTransition("the step has ended"),
    errors.LeaseLost("superseded", "somebody else has it"),
    errors.NotLeader("term 3 is over"),
    errors.Overloaded("20000 steps wait to be written", 0.25),
    errors.Unavailable("not now", 0.5),
    errors.StoreUnavailable("disk full", 1.5),
    errors.Draining("this pod is shutting down", 0.1),
    errors.Unauthorized("no token"),
    errors.Forbidden("no right"),
]


def received(error: BaseException, log_id: str = "") -> FleetError:
    sent = status.status_of(error, log_id)
    trailers = grpc.aio.Metadata(*status.trailers(sent))
    code = status.code_of(error)
    return from_rpc_error(
        grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, sent.message, None)
    )


@pytest.mark.parametrize("error", RAISED_BY_PODS, ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_what_the_pod_raised(error: FleetError) -> None:
    back = received(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_bug_arrives_with_its_log_id() -> None:
    back = received(ZeroDivisionError("secret"), "abc123")
    assert isinstance(back, errors.InternalError)
    assert back.log_id == "abc123"
    assert "secret" not in str(back)


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_bare_status_becomes_an_error_of_ours(code: grpc.StatusCode) -> None:
    trailers = grpc.aio.Metadata((status.DETAILS_KEY, b"\xffnot a status"))
    raw = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, "details", None)
    assert isinstance(from_rpc_error(raw), FleetError)


async def test_unavailable_is_repeated_with_the_same_request_id() -> None:
    refusals: list[FleetError] = [StoreUnavailable("disk", 0.01), Draining("bye", 0.01)]
    fake = FakeSteps(lambda _: refusals.pop() if refusals else None)
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        assert await client.submit_one("k") == "1"
    assert len(fake.request_ids) == 3
    assert len(set(fake.request_ids)) == 1


async def test_the_delay_a_pod_asks_for_is_kept() -> None:
    moments: list[float] = []
    refusals: list[FleetError] = [StoreUnavailable("disk", 0.3)]

    def refuse(_: object) -> FleetError | None:
        moments.append(time.monotonic())
        return refusals.pop() if refusals else None

    async with serving(FakeSteps(refuse)) as (address, _), AsyncClient(address) as client:
        await client.submit_one("k")
    assert moments[1] - moments[0] >= 0.3


async def test_the_last_refusal_is_told_when_patience_ends() -> None:
    fake = FakeSteps(lambda _: StoreUnavailable("disk full", 0.01))
    async with serving(fake) as (address, _), AsyncClient(address, patience=0.2) as client:
        with pytest.raises(StoreUnavailable, match="disk full"):
            await client.submit_one("k")
    assert len(fake.calls) > 1


async def test_other_errors_are_not_repeated() -> None:
    fake = FakeSteps(lambda _: InvalidArgument("steps[0].kind", "is bad"))
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        with pytest.raises(InvalidArgument):
            await client.submit_one("k")
    assert len(fake.calls) == 1


async def test_a_pod_that_does_not_answer_costs_the_deadline_and_no_more() -> None:
    fake = FakeSteps()
    fake.gate.clear()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await client.submit_steps([], request_id="r", timeout=0.2)
        assert time.monotonic() - begun < 5
        fake.gate.set()


async def test_losing_one_pod_of_several_surfaces_no_error() -> None:
    stays, goes = FakeSteps(), FakeSteps()
    async with (
        serving(stays) as (one, _),
        serving(goes) as (two, server),
        AsyncClient(f"{one},{two}") as client,
    ):
        while not (stays.calls and goes.calls):
            await client.submit_one("before")
        await server.stop(None)
        for _ in range(20):
            await client.submit_one("after")
    assert stays.taken.count("after") == 20


async def test_names_and_numbers_may_be_mixed() -> None:
    fake = FakeSteps()
    async with serving(fake) as (address, _):
        port = address.rpartition(":")[2]
        async with AsyncClient(["127.0.0.1:1", f"localhost:{port}"]) as client:
            assert await client.submit_one("k") == "1"


async def test_no_pod_at_all_is_said_with_the_addresses() -> None:
    async with AsyncClient("127.0.0.1:1,127.0.0.1:2", patience=0.1) as client:
        with pytest.raises(NoPodReachable, match=r"127\.0\.0\.1:1, 127\.0\.0\.1:2"):
            await client.stats()


async def test_a_cancelled_call_stays_cancelled_while_the_client_closes() -> None:
    fake = FakeSteps()
    fake.gate.clear()
    async with serving(fake) as (address, _):
        client = AsyncClient(address)
        call = asyncio.create_task(client.submit_steps([NewStep("k")], request_id="r"))
        await asyncio.wait_for(fake.arrived.wait(), 10)
        call.cancel()
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await call
        fake.gate.set()


@pytest.mark.parametrize(
    "address", ["", ",", "host", "host:", "host:0", "host:70000", "a b", "::1:5"]
)
def test_a_malformed_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(InvalidArgument, match="address"):
        AsyncClient(address)


def test_literal_addresses_share_a_target_and_names_have_their_own() -> None:
    addresses = split_addresses(
        ["10.0.0.1:1, 10.0.0.2:2", "[::1]:3", "pod-a:4", "pod-b:4", "unix:/x"]
    )
    assert targets(addresses) == [
        "ipv4:10.0.0.1:1,10.0.0.2:2",
        "ipv6:[::1]:3",
        "dns:///pod-a:4",
        "dns:///pod-b:4",
        "unix:/x",
    ]


async def test_a_wait_reports_what_is_still_open() -> None:
    fake = FakeSteps()
    async with serving(fake) as (address, _), AsyncClient(address) as client:
        result = await client.wait(["2", 3, "4", 4], timeout=0)
    assert (result.completed, result.pending, len(result), result.ok) == (2, ("3",), 3, False)
    assert result["4"] is result[4]


def test_the_synchronous_face_gives_and_raises_the_same() -> None:
    with Client("127.0.0.1:1", patience=0.05) as client:
        with pytest.raises(NoPodReachable):
            client.get("1")
        with pytest.raises(NoPodReachable):
            list(client.list())
    with pytest.raises(Unavailable):
        client.get("1")
    client.close()


async def test_the_synchronous_face_serves_many_threads() -> None:
    fake = FakeSteps()
    async with serving(fake) as (address, _):

        def submit_some() -> list[str]:
            return [client.submit_one("k") for _ in range(20)]

        with Client(address) as client:
            found = await asyncio.gather(*(asyncio.to_thread(submit_some) for _ in range(8)))
            await asyncio.to_thread(client.close)
    assert sorted(int(i) for ids in found for i in ids) == list(range(1, 161))
