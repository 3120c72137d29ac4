"""What is too much is refused before it costs anything: by size, by length, by rate, by number."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.client import Client
from fleetq_server.errors import Overloaded
from fleetq_server.model import Completion, Fence, StepId, make_token
from fleetq_server.pb import (
    claim_service_pb2,
    fleet_service_pb2,
    heartbeat_service_pb2,
    step_pb2,
    step_service_pb2,
)
from fleetq_server.rpc.security.allowance import Allowance
from fleetq_server.rpc.security.tokens import Role
from fleetq_server.rpc.server import METADATA_BYTES
from fleetq_server.rpc.sizes import MESSAGE_BYTES
from tests.cluster.fleet import HANDLERS, Pod, Pods, until
from tests.cluster.launch import ForkServer
from tests.security.calls import BOUND, RPCS, answer, empty
from tests.security.conftest import Keyring

OK = grpc.StatusCode.OK
INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
LONG = 300_000  # longer than any text or payload may be


SUBMIT = "/fleetq.v1.StepService/SubmitSteps"
TOKEN = make_token(StepId(1), Fence(1))
DEAD = fleet_service_pb2.DeadFilter(queue="q", kind="k", error="E", step_ids=["1"])
LISTS = {
    "SubmitSteps": "steps", "WaitSteps": "step_ids", "CancelSteps": "step_ids",
    "ClaimSteps": "kinds", "CompleteSteps": "completions", "FailSteps": "failures",
    "ReleaseSteps": "claim_tokens", "Beat": "claims", "WatchEvents": "types",
}  # fmt: skip
STEP = step_pb2.NewStep(
    kind="k", payload=b"x", queue="q", metadata={"k": "v"}, idempotency_key="i",
    retry=step_pb2.RetryPolicy(non_retryable=["E"]),
)  # fmt: skip
FULL: dict[str, Message] = {method: kind() for method, kind in RPCS.items()} | {
    f"/fleetq.v1.{name}": request
    for name, request in {
        "StepService/SubmitSteps": step_service_pb2.SubmitStepsRequest(
            request_id="r", steps=[STEP]
        ),
        "StepService/GetStep": step_service_pb2.GetStepRequest(step_id="1"),
        "StepService/ListSteps": step_service_pb2.ListStepsRequest(
            queue="q", kind="k", page_token="t"
        ),
        "StepService/WaitSteps": step_service_pb2.WaitStepsRequest(step_ids=["1"]),
        "StepService/CancelSteps": step_service_pb2.CancelStepsRequest(step_ids=["1"]),
        "ClaimService/ClaimSteps": claim_service_pb2.ClaimStepsRequest(
            holder_id="holder-1", holder_name="n", max_steps=1, kinds=["k"], queues=["q"],
            request_id="r",
        ),
        "ClaimService/CompleteSteps": claim_service_pb2.CompleteStepsRequest(
            completions=[{"claim_token": TOKEN, "result": {"data": b"x"}}]
        ),
        "ClaimService/FailSteps": claim_service_pb2.FailStepsRequest(
            failures=[{"claim_token": TOKEN, "error": "E", "message": "m"}]
        ),
        "ClaimService/ReleaseSteps": claim_service_pb2.ReleaseStepsRequest(claim_tokens=[TOKEN]),
        "HeartbeatService/Beat": heartbeat_service_pb2.BeatRequest(
            holder_id="holder-1", holder_name="n",
            claims=[{"claim_token": TOKEN, "progress": b"x"}],
        ),
        "FleetService/DrainPod": fleet_service_pb2.DrainPodRequest(pod_id="p"),
        "FleetService/PauseQueue": fleet_service_pb2.PauseQueueRequest(queue="q"),
        "FleetService/ResumeQueue": fleet_service_pb2.ResumeQueueRequest(queue="q"),
        "FleetService/ListDeadSteps": fleet_service_pb2.ListDeadStepsRequest(
            filter=DEAD, page_token="t"
        ),
        "FleetService/RedriveSteps": fleet_service_pb2.RedriveStepsRequest(
            request_id="r", filter=DEAD
        ),
        "FleetService/PurgeSteps": fleet_service_pb2.PurgeStepsRequest(
            request_id="r", filter=DEAD
        ),
        "FleetService/WatchEvents": fleet_service_pb2.WatchEventsRequest(types=["completed"]),
    }.items()
}  # fmt: skip


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 3), max_size=200), st.floats(0.5, 50))
def test_nobody_makes_more_calls_than_rate_and_one_second_allow(
    pauses: list[float], rate: float
) -> None:
    time = Time()
    allowance = Allowance(rate, 1, time)
    for made, pause in enumerate(pauses, 1):
        time.now += pause
        try:
            allowance.spend("ada")
        except Overloaded as refusal:
            time.now += refusal.retry_after + 0.001  # rounded to milliseconds
            allowance.spend("ada")
        assert made <= max(1.0, rate) + time.now * rate + 0.001
    allowance.spend("bob")


def test_long_polls_are_counted_by_name_and_given_back() -> None:
    allowance = Allowance(1, 2)
    with allowance.hold("ada"), allowance.hold("ada"):
        with pytest.raises(Overloaded, match="2 calls of ada wait"), allowance.hold("ada"):
            pass
        with allowance.hold("bob"):
            pass
    with allowance.hold("ada"), allowance.hold("ada"):
        pass


def test_a_principal_that_calls_too_often_is_told_when_to_come_again(
    pods: Pods, keyring: Keyring
) -> None:
    often, seldom = keyring.add("often", Role.ADMIN), keyring.add("seldom", Role.ADMIN)
    pod = pods.start("", tokens=keyring.file, max_principal_calls_per_second=0.5)
    client = pods.client(pod, token=often)
    client.leader()
    with pytest.raises(Overloaded, match=r"often makes more than 0\.5 calls") as caught:
        call_often(client)
    assert 0 < caught.value.retry_after <= 2
    assert pods.client(pod, token=seldom).leader()


def call_often(client: Client) -> None:
    for _ in range(100):
        client.leader()


def test_a_principal_holds_a_bounded_number_of_long_polls(pods: Pods, keyring: Keyring) -> None:
    many, few = keyring.add("many", Role.ADMIN), keyring.add("few", Role.ADMIN)
    pod = pods.start("", tokens=keyring.file, max_principal_waiting_calls=2)
    client = pods.client(pod, token=many)
    (step_id,) = client.submit("k", [{}])

    def wait() -> bool:
        return client.wait([step_id], timeout=BOUND).ok

    def refused() -> bool:
        try:
            client.claim_steps("holder-1", kinds=["other"])
        except Overloaded as refusal:
            return refusal.retry_after > 0
        return False

    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(wait) for _ in range(2)]
        until(refused, "two wait, so no third may", BOUND)
        other = pods.client(pod, token=few)
        (claim,) = other.claim_steps("holder-2", kinds=["k"]).claims
        other.complete_steps([Completion(claim.step_id, claim.fence)])
        assert all(each.result(BOUND) for each in waits)
    until(lambda: not refused(), "those that ended make room", BOUND)


# --- sizes and lengths, at a pod that asks for no token ------------------------------------------


@pytest.fixture(scope="module")
def pod(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    fleet = Pods(tmp_path_factory.mktemp("limits"), fork_server.launch)
    try:
        yield fleet.start(HANDLERS)
    finally:
        fleet.end()


@pytest.fixture(scope="module")
def channel(pod: Pod) -> Iterator[grpc.Channel]:
    options = [("grpc.max_metadata_size", 1 << 24), ("grpc.absolute_max_metadata_size", 1 << 24)]
    with grpc.insecure_channel(pod.address, options) as channel:
        yield channel


def test_a_message_is_bounded(channel: grpc.Channel) -> None:
    payloads = [{"kind": "k", "payload": b"x" * 250_000}] * (MESSAGE_BYTES // 250_000 + 1)
    request = step_service_pb2.SubmitStepsRequest(steps=payloads)
    assert request.ByteSize() > MESSAGE_BYTES
    assert answer(channel, SUBMIT, request) is EXHAUSTED
    request.steps.pop()
    request.steps.pop()
    assert answer(channel, SUBMIT, request) is OK


@pytest.mark.parametrize("method", [m for m in RPCS if LISTS.get(m.rpartition("/")[2])])
def test_a_batch_is_bounded_and_its_items_are_not_looked_at(
    channel: grpc.Channel, method: str
) -> None:
    name = LISTS[method.rpartition("/")[2]]
    request = empty(method)
    field = request.DESCRIPTOR.fields_by_name[name]
    items = getattr(request, name)
    for _ in range(100_000):
        items.append(b"") if field.type == field.TYPE_BYTES else (
            items.append("") if field.type == field.TYPE_STRING else items.add()
        )
    told: list[str] = []
    assert answer(channel, method, request, told=told) is INVALID
    assert f"{name}: must have 1 to 1000 items, not 100000" in told[0] or "0 to 1000" in told[0]


@pytest.mark.parametrize("size", [METADATA_BYTES // 2, METADATA_BYTES + 2048])
def test_metadata_is_bounded(channel: grpc.Channel, size: int) -> None:
    method = "/fleetq.v1.FleetService/GetLeader"
    met = answer(channel, method, empty(method), ("x-large", "x" * size))
    assert met is (OK if size < METADATA_BYTES else EXHAUSTED)


def long_ones(message: Message) -> Iterator[tuple[str, Message]]:
    """For each text in it: its name, and the message with that one far too long."""
    for field, value in message.ListFields():
        first = value[0] if field.is_repeated and not is_map(field) else value
        if is_map(field):
            yield field.name, changed(message, field, {"x" * LONG: ""})
            yield field.name, changed(message, field, {"x": "x" * LONG})
        elif isinstance(first, Message):
            for name, inner in long_ones(first):
                yield name, changed(message, field, [inner] if field.is_repeated else inner)
        elif isinstance(first, str | bytes):
            text = "x" * LONG if isinstance(first, str) else b"x" * LONG
            yield field.name, changed(message, field, [text] if field.is_repeated else text)


def is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def changed(message: Message, field: FieldDescriptor, value: object) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField(field.name)
    copy.MergeFrom(type(message)(**{field.name: value}))
    return copy


def texts(kind: Any) -> Iterator[str]:
    """The names of all texts that such a request may hold."""
    for field in kind.fields:
        if field.type in TEXTS or is_map(field):
            yield field.name
        elif field.message_type is not None:
            yield from texts(field.message_type)


CASES = [(method, name, long) for method in RPCS for name, long in long_ones(FULL[method])]
CUT = {"message"}  # what a failing handler says is cut rather than lost


@pytest.mark.parametrize("method", RPCS)
def test_the_full_requests_below_are_full(method: str) -> None:
    assert {name for name, _ in long_ones(FULL[method])} == set(texts(RPCS[method].DESCRIPTOR))


@pytest.mark.parametrize(("method", "name", "long"), CASES, ids=lambda case: str(case)[-40:])
def test_every_text_of_every_request_has_a_longest(
    channel: grpc.Channel, method: str, name: str, long: Message
) -> None:
    told: list[str] = []
    if name != "page_token" and "page_token" in long.DESCRIPTOR.fields_by_name:
        long.ClearField("page_token")  # there is no page yet
    met = answer(channel, method, long, told=told)
    if name in CUT:
        assert met is OK
        return
    assert met is INVALID
    assert name in told[0].partition(":")[0]
    assert len(told[0]) < 1000
