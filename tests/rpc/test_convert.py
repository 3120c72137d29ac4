"""What the client says is what the pod understands, and the other way round."""

import math
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.client import convert as client
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import (
    DEFAULT_RETRY,
    NO_METADATA,
    Attempt,
    Cause,
    Claim,
    Completion,
    DeadFilter,
    Ended,
    Event,
    Failure,
    Fence,
    Holder,
    HolderStatus,
    HolderType,
    NewStep,
    Release,
    RetryPolicy,
    Stats,
    Step,
    StepFilter,
    StepId,
    StepState,
    Submitted,
    Verdict,
    make_token,
)
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import heartbeat_service_pb2 as heartbeat_pb
from fleetq_server.pb import step_pb2
from fleetq_server.pb import step_service_pb2 as step_service_pb
from fleetq_server.rpc import convert, enums, fields
from tests.rpc import values

TOKEN = make_token(StepId(1), Fence(2))

# Untyped: they take numbers that are not in an enum, as anybody may send them.
ListSteps: Any = step_service_pb.ListStepsRequest
InTheDlq: Any = fleet_pb.DeadFilter


def over_the_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@given(values.new_steps)
def test_a_step_to_submit_arrives_as_it_was(step: NewStep) -> None:
    assert convert.new_step(over_the_wire(client.to_new_step(step))) == step


def test_what_a_submitter_leaves_out_takes_the_shared_defaults() -> None:
    step = convert.new_step(step_pb2.NewStep(kind="k"))
    assert step == NewStep("k")
    assert step.retry is DEFAULT_RETRY
    assert step.metadata is NO_METADATA


def test_a_retry_policy_takes_the_default_for_each_field_left_out() -> None:
    assert convert.retry_policy(step_pb2.RetryPolicy()) == DEFAULT_RETRY
    partly = convert.retry_policy(step_pb2.RetryPolicy(max_attempts=7, jitter=0))
    assert partly == RetryPolicy(max_attempts=7, jitter=0)


@given(values.steps)
def test_a_step_read_arrives_as_it_was(step: Step) -> None:
    message = step_pb2.Step()
    convert.put_step(message, step)
    assert client.from_step(over_the_wire(message)) == step


def test_of_a_long_history_the_latest_attempts_are_shown() -> None:
    attempts = tuple(Attempt(n, "h", 0.0, 1.0, Cause.TIMEOUT, "", "") for n in range(200))
    assert [a.attempt for a in shown(attempts)] == list(range(200 - convert.MAX_ATTEMPTS, 200))


def shown(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    message = step_pb2.Step()
    convert.put_step(message, replace(values.A_STEP, attempts=attempts))
    return client.from_step(message).attempts


@given(values.claims)
def test_a_claim_arrives_as_it_was(claim: Claim) -> None:
    message = claim_pb.Claim()
    convert.put_claim(message, claim)
    assert client.from_claim(over_the_wire(message)) == claim


@given(values.completions)
def test_a_completion_arrives_as_it_was(item: Completion) -> None:
    assert convert.completion(over_the_wire(client.to_completion(item))) == item


@given(values.failures)
def test_a_failure_arrives_as_it_was(item: Failure) -> None:
    assert convert.failure(over_the_wire(client.to_failure(item))) == item


def test_a_failures_message_is_cut_and_freed_of_what_no_store_holds() -> None:
    message = claim_pb.Failure(claim_token=TOKEN, message="\0" + "x" * 10_000)
    assert convert.failure(message).message == "\ufffd" + "x" * 4095


@given(values.ended)
def test_an_ended_step_arrives_as_it_was(ended: Ended) -> None:
    message = step_service_pb.EndedStep()
    convert.put_ended(message, ended)
    assert client.from_ended(over_the_wire(message)) == ended


@given(values.step_ids, st.booleans())
def test_the_answer_to_a_submit_arrives_as_it_was(step_id: StepId, deduplicated: bool) -> None:
    message = step_service_pb.SubmittedStep()
    convert.put_submitted(message, Submitted(step_id, deduplicated))
    assert client.from_submitted(over_the_wire(message)) == Submitted(step_id, deduplicated)


@given(values.holders, st.booleans())
def test_a_pod_arrives_as_it_was(holder: Holder, leads: bool) -> None:
    message = convert.pod(holder, holder.holder_id if leads else None)
    pod = client.from_pod(over_the_wire(message))
    assert (pod.pod_id, pod.leader) == (holder.holder_id, leads)
    same = set(Holder.__slots__) & set(type(pod).__slots__)
    assert {n: getattr(pod, n) for n in same} == {n: getattr(holder, n) for n in same}


@given(values.stats)
def test_stats_arrive_as_they_were(stats: Stats) -> None:
    assert client.from_stats(over_the_wire(convert.stats(stats))) == stats


@given(values.events)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    assert client.from_event(over_the_wire(convert.event(event))) == event


@given(values.step_filters)
def test_a_step_filter_arrives_as_it_was(wanted: StepFilter) -> None:
    request = client.to_list_request(wanted, 10, "")
    assert convert.step_filter(over_the_wire(request)) == wanted


@given(values.dead_filters)
def test_a_dlq_filter_arrives_as_it_was(wanted: DeadFilter) -> None:
    assert convert.dead_filter(over_the_wire(client.to_dead_filter(wanted))) == wanted


@pytest.mark.parametrize("verdict", Verdict)
def test_each_verdict_arrives_as_it_was(verdict: Verdict) -> None:
    [outcome] = convert.outcomes([verdict])
    assert client.from_outcome(over_the_wire(outcome)) is verdict


@pytest.mark.parametrize(
    ("table", "model", "proto"),
    [
        (enums.STATES, StepState, step_pb2.StepState),
        (enums.CAUSES, Cause, step_pb2.Cause),
        (enums.HOLDER_TYPES, HolderType, fleet_pb.HolderType),
        (enums.HOLDER_STATUSES, HolderStatus, fleet_pb.HolderStatus),
    ],
)
def test_each_value_of_an_enum_has_its_counterpart(table: Any, model: Any, proto: Any) -> None:
    assert set(table) == set(model)
    assert set(table.values()) == set(proto.values()) - {0}
    for value, number in table.items():
        assert proto.Name(number).endswith(f"_{value.name}")


@given(st.floats(0, 253_402_300_799))
def test_any_time_arrives_to_the_nanosecond(seconds: float) -> None:
    message = convert.time(seconds)
    assert 0 <= message.nanos < 1_000_000_000
    assert math.isclose(fields.timestamp("t", message), seconds, rel_tol=1e-15, abs_tol=1e-9)


NAN, INF = math.nan, math.inf
LONG = {str(n): "" for n in range(33)}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("run_at", step_pb2.NewStep(run_at=Timestamp(seconds=-1))),
        ("run_at", step_pb2.NewStep(run_at=Timestamp(seconds=2**62))),
        ("run_at", step_pb2.NewStep(run_at=Timestamp(nanos=-1))),
        ("run_at", step_pb2.NewStep(run_at=Timestamp(nanos=10**9))),
        ("timeout", step_pb2.NewStep(timeout=Duration(seconds=-1))),
        ("timeout", step_pb2.NewStep(timeout=Duration(seconds=2**63 - 1))),
        ("metadata", step_pb2.NewStep(metadata=LONG)),
        ("retry.max_delay", step_pb2.NewStep(retry={"max_delay": {"seconds": -1}})),
        ("retry.initial_delay", step_pb2.NewStep(retry={"initial_delay": {"nanos": -1}})),
        ("retry.non_retryable", step_pb2.NewStep(retry={"non_retryable": ["x"] * 33})),
    ],
)
def test_a_step_that_cannot_be_understood_is_named(field: str, message: step_pb2.NewStep) -> None:
    good = step_pb2.NewStep(kind="k")
    with pytest.raises(InvalidArgument) as caught:
        fields.each("steps", [good, good, message, good], convert.new_step)
    assert caught.value.field == f"steps[2].{field}"


@pytest.mark.parametrize(
    ("field", "read", "message"),
    [
        ("claim_token", convert.completion, claim_pb.Completion(claim_token=b"x")),
        ("claim_token", convert.completion, claim_pb.Completion(claim_token=b"\xff" * 16)),
        (
            "result.data",
            convert.completion,
            claim_pb.Completion(claim_token=TOKEN, result={"data": b"x" * (256 * 1024 + 1)}),
        ),
        ("claim_token", convert.failure, claim_pb.Failure()),
        ("cause", convert.failure, claim_pb.Failure(claim_token=TOKEN, cause="CAUSE_CRASHED")),
        ("error", convert.failure, claim_pb.Failure(claim_token=TOKEN, error="x" * 129)),
        ("error", convert.failure, claim_pb.Failure(claim_token=TOKEN, error="a\0b")),
        (
            "retry_delay",
            convert.failure,
            claim_pb.Failure(claim_token=TOKEN, retry_delay={"seconds": -1}),
        ),
        ("claim_token", convert.held, heartbeat_pb.HeldClaim(progress=b"x")),
        (
            "progress",
            convert.held,
            heartbeat_pb.HeldClaim(claim_token=TOKEN, progress=b"x" * 4097),
        ),
        ("queue", convert.step_filter, ListSteps(queue="No")),
        ("kind", convert.step_filter, ListSteps(kind="a b")),
        ("states[1]", convert.step_filter, ListSteps(states=[1, 0])),
        ("states[0]", convert.step_filter, ListSteps(states=[-7])),
        ("states", convert.step_filter, ListSteps(states=[1] * 1001)),
        ("filter.cause", convert.dead_filter, InTheDlq(cause=99)),
        ("filter.step_ids[0]", convert.dead_filter, InTheDlq(step_ids=["0"])),
        ("filter.step_ids", convert.dead_filter, InTheDlq(step_ids=["1"] * 10_001)),
        ("filter.died_after", convert.dead_filter, InTheDlq(died_after={"seconds": -1})),
        ("after", convert.watch, fleet_pb.WatchEventsRequest(after=-1)),
        ("types[1]", convert.watch, fleet_pb.WatchEventsRequest(types=["dead", "ded"])),
    ],
)
def test_a_request_that_cannot_be_understood_is_named(field: str, read: Any, message: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(message)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "wrong", ["", "0", "-1", "+1", "1.0", " 1", "1_0", "٣", "9" * 19, "1" * 9999]
)
def test_a_malformed_step_id_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        fields.each("step_ids", ["1", wrong], fields.step_id)
    assert caught.value.field == "step_ids[1]"


@given(values.step_ids, values.fences)
def test_a_released_claim_is_the_one_of_its_token(step_id: StepId, fence: Fence) -> None:
    assert convert.release(make_token(step_id, fence)) == Release(step_id, fence)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e-9, 1e7, NAN, INF, -INF])
def test_a_senseless_rate_is_refused(rate: float) -> None:
    with pytest.raises(InvalidArgument):
        fields.rate(rate)


def test_an_empty_wait_for_events_starts_now_and_zero_at_the_beginning() -> None:
    assert convert.watch(fleet_pb.WatchEventsRequest()) == (None, frozenset())
    request = fleet_pb.WatchEventsRequest(after=0, types=["dead"])
    assert convert.watch(request) == (0, frozenset({"dead"}))
