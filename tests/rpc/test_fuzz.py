"""Nothing a client sends stops a pod or shows its inside."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetq_server.model import Fence, StepId, make_token
from fleetq_server.pb import (
    claim_service_pb2,
    fleet_service_pb2,
    heartbeat_service_pb2,
    step_service_pb2,
)
from tests.rpc.wire import requests

SERVE = "from fleetq_server.cli.serve import serve; serve()"
METHODS: list[MethodDescriptor] = [
    method
    for module in (step_service_pb2, claim_service_pb2, heartbeat_service_pb2, fleet_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]

HOLDER = "fuzz-0123456789abcdef"
TOKEN = make_token(StepId(1), Fence(1))
GOOD: Mapping[str, Message] = {
    "SubmitSteps": step_service_pb2.SubmitStepsRequest(steps=[{"kind": "kind"}]),
    "GetStep": step_service_pb2.GetStepRequest(step_id="1"),
    "WaitSteps": step_service_pb2.WaitStepsRequest(step_ids=["1"]),
    "CancelSteps": step_service_pb2.CancelStepsRequest(step_ids=["1"]),
    "ClaimSteps": claim_service_pb2.ClaimStepsRequest(
        holder_id=HOLDER, max_steps=2, kinds=["kind"]
    ),
    "CompleteSteps": claim_service_pb2.CompleteStepsRequest(completions=[{"claim_token": TOKEN}]),
    "FailSteps": claim_service_pb2.FailStepsRequest(failures=[{"claim_token": TOKEN}]),
    "ReleaseSteps": claim_service_pb2.ReleaseStepsRequest(claim_tokens=[TOKEN]),
    "Beat": heartbeat_service_pb2.BeatRequest(holder_id=HOLDER, claims=[{"claim_token": TOKEN}]),
    "DrainPod": fleet_service_pb2.DrainPodRequest(pod_id=HOLDER),
    "PauseQueue": fleet_service_pb2.PauseQueueRequest(queue="other"),
    "ResumeQueue": fleet_service_pb2.ResumeQueueRequest(queue="default"),
}

# UNAVAILABLE is not among them: it would mean that a request made the store fail.
PROPER = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
CALL_SECONDS = 0.4  # the pod keeps 0.2 s of it for the way back, so a long poll lasts 0.2 s
FUZZ = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

each_rpc = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


@dataclass
class Target:
    process: subprocess.Popen[bytes]
    channel: Any  # the type stubs want serializers, and these requests must have none
    log: Path

    def send(
        self, method: MethodDescriptor, raw: bytes, timeout: float = CALL_SECONDS
    ) -> grpc.StatusCode:
        path = f"/{method.containing_service.full_name}/{method.name}"
        try:
            if method.server_streaming:
                # Events never end; the first one, or none in time, is the answer.
                stream = self.channel.unary_stream(path)(raw, timeout=0.05)
                next(stream, None)
                stream.cancel()
            else:
                self.channel.unary_unary(path)(raw, timeout=timeout)
        except grpc.RpcError as error:
            call: Any = error
            code: grpc.StatusCode = call.code()
            return code
        return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, "-c", SERVE, "--store", f"sqlite:///{home}/fleet.db"]
    log = home / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*command, "--log-format", "json"], stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text()
        with grpc.insecure_channel(f"127.0.0.1:{json.loads(line)['port']}") as channel:
            yield Target(process, channel, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@each_rpc
@FUZZ
@given(raw=st.binary(max_size=200))
def test_random_bytes_get_a_proper_answer(
    pod: Target, method: MethodDescriptor, raw: bytes
) -> None:
    assert pod.send(method, raw) in PROPER


@each_rpc
@FUZZ
@given(data=st.data())
def test_absurd_fields_get_a_proper_answer(
    pod: Target, method: MethodDescriptor, data: st.DataObject
) -> None:
    good = GOOD.get(method.name)
    raw = data.draw(requests(method.input_type, good.SerializeToString() if good else b""))
    assert pod.send(method, raw) in PROPER


@each_rpc
def test_a_message_over_4_mib_is_refused(pod: Target, method: MethodDescriptor) -> None:
    if not method.server_streaming:
        code = pod.send(method, b"x" * (4 * 1024 * 1024 + 1), timeout=10)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("method", "number"),
    [(m, f.number) for m in METHODS for f in m.input_type.fields if f.is_repeated],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_two_million_empty_items_are_refused_before_they_cost(
    pod: Target, method: MethodDescriptor, number: int
) -> None:
    raw = bytes([number << 3 | 2, 0]) * 2_000_000
    late = set() if method.server_streaming else {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert pod.send(method, raw, timeout=10) in PROPER - late


def test_after_all_that_the_pod_is_well_and_has_nothing_to_report(pod: Target) -> None:
    health = health_pb2_grpc.HealthStub(pod.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service="fleetq.v1.StepService"), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert pod.process.poll() is None
    lines = pod.log.read_text().splitlines()
    assert [line for line in lines if json.loads(line)["level"] not in ("info", "debug")] == []
