"""Clients of the last release with the pods of today, and either with what is yet to come."""

import asyncio
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from fleetq_server.client import AsyncClient
from fleetq_server.pb import (
    claim_service_pb2,
    fleet_service_pb2,
    heartbeat_service_pb2,
    step_pb2,
    step_service_pb2,
)
from pytest_fleetq.conformance.proxy import Forward, Proxy
from pytest_fleetq.conformance.traffic import Call, Traffic
from tests.clients.released import IMAGE, Released
from tests.cluster.fleet import Pods
from tests.cluster.launch import ROOT

HOLDER = "a-worker-of-the-last-release"
FUTURE = b"\xa2\x1f\x06future"  # field 500, a string
MODULES = (
    step_pb2,
    step_service_pb2,
    claim_service_pb2,
    heartbeat_service_pb2,
    fleet_service_pb2,
)


@pytest.fixture
def old(pods: Pods) -> Iterator[Released]:
    client = Released(pods.start("").address)
    yield client
    client.close()


def submit(old: Released, *steps: dict[str, Any], request_id: str) -> list[str]:
    answer = old.call("SubmitSteps", request_id=request_id, steps=steps)
    return [step.step_id for step in answer.steps]


def claim(old: Released, count: int, request_id: str) -> list[Any]:
    found = old.call(
        "ClaimSteps",
        holder_id=HOLDER,
        max_steps=count,
        kinds=["work"],
        request_id=request_id,
        wait={"seconds": 10},
    )
    assert found.heartbeat_interval.seconds or found.heartbeat_interval.nanos
    return list(found.claims)


def work(old: Released) -> list[str]:
    """A step completed, one released and then cancelled, one failed."""
    once = {"max_attempts": 1}
    ids = submit(old, *({"kind": "work", "retry": once} for _ in range(3)), request_id="all")
    good, given, bad = (each.claim_token for each in claim(old, 3, "three"))
    beat = old.call("Beat", holder_id=HOLDER, claims=[{"claim_token": good, "progress": b"half"}])
    assert [outcome.code for outcome in beat.outcomes] == [1]
    done = old.call("CompleteSteps", completions=[{"claim_token": good, "result": {"data": b"1"}}])
    failed = old.call("FailSteps", failures=[{"claim_token": bad, "error": "Oops"}])
    released = old.call("ReleaseSteps", claim_tokens=[given])
    for answer in (done, failed, released):
        assert [outcome.code for outcome in answer.outcomes] == [1]
    return ids


def look(old: Released, ids: list[str]) -> None:
    cancelled = old.call("CancelSteps", step_ids=[ids[1]])
    assert cancelled.outcomes[0].found
    ended = old.call("WaitSteps", step_ids=ids, wait={"seconds": 10}).ended
    assert {end.step_id: end.state for end in ended} == dict(zip(ids, (4, 6, 5), strict=True))
    step = old.call("GetStep", step_id=ids[0]).step
    assert (step.kind, step.result.data, step.progress) == ("work", b"1", b"half")
    assert len(old.call("ListSteps", page_size=2).steps) == 2


def steer(old: Released, ids: list[str]) -> None:
    assert [step.step_id for step in old.call("ListDeadSteps").steps] == [ids[2]]
    assert old.call("RedriveSteps", request_id="r", dry_run=True).step_ids == [ids[2]]
    assert old.call("PurgeSteps", request_id="p").step_ids == [ids[2]]
    old.call("PauseQueue", queue="default")
    assert [queue.paused for queue in old.call("GetStats").queues] == [True]
    old.call("ResumeQueue", queue="default")
    assert old.call("GetLeader").pod_id
    assert HOLDER in {pod.pod_id for pod in old.call("ListPods").pods}
    assert next(old.call("WatchEvents", after=0)).event.seq > 0
    old.call("DrainPod", pod_id=HOLDER)
    assert old.call("Beat", holder_id=HOLDER).drain


def test_a_client_of_the_last_release_can_do_all_it_could(old: Released) -> None:
    ids = work(old)
    look(old, ids)
    steer(old, ids)
    assert old.called == old.rpcs


async def test_fields_that_are_yet_to_come_disturb_neither_side(pods: Pods) -> None:
    """What a newer client sends, and a newer pod answers, is read as if it were not there."""
    seen: list[str] = []

    async def newer(call: Call, forward: Forward) -> bytes:
        call.request.MergeFromString(FUTURE)
        seen.append(call.rpc)
        return await forward() + FUTURE

    proxy = Proxy(pods.start("").address, "default", Traffic())
    proxy.meddle = newer
    await proxy.start()
    async with AsyncClient(proxy.address) as client:
        worker = client.worker({"work": lambda context: context.json()})
        step = await client.submit_one("work", {"n": 1})
        running = asyncio.create_task(worker.run())
        assert (await client.wait([step], timeout=30))[step].value == {"n": 1}
        worker.drain()
        await running
    await proxy.stop()
    assert {"SubmitSteps", "ClaimSteps", "Beat", "CompleteSteps", "WaitSteps"} <= set(seen)


def buf(folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("buf", path=sysconfig.get_path("scripts")) or shutil.which("buf")
    if program is None:
        pytest.skip("buf is not installed")
    command = [program, "breaking", "--against", str(IMAGE)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("old_text", "new_text", "said"),
    [
        ("bytes claim_token = 1;", "bytes claim_token = 1;", ""),
        ("bytes claim_token = 1;", "bytes claim_token = 90;", "claim_token"),
        ("uint32 attempt = 8;", "string attempt = 8;", "attempt"),
        ("rpc FailSteps(", "rpc FailStep(", "FailSteps"),
        ("LOST_REASON_CANCELLED = 3;", "", "LostReason"),
    ],
    ids=["nothing", "number", "type", "rpc", "enum value"],
)
def test_changes_that_break_clients_are_found(
    tmp_path: Path, old_text: str, new_text: str, said: str
) -> None:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    file = tmp_path / "protos/fleetq/v1/claim_service.proto"
    text = file.read_text()
    assert old_text in text
    file.write_text(text.replace(old_text, new_text))
    found = buf(tmp_path)
    assert (found.returncode == 0) == (said == ""), found.stdout
    assert said in found.stdout


def everything() -> Iterator[Descriptor | EnumDescriptor]:
    for module in MODULES:
        yield from module.DESCRIPTOR.message_types_by_name.values()
        yield from module.DESCRIPTOR.enum_types_by_name.values()


def test_a_number_that_is_no_longer_used_is_reserved() -> None:
    for each in everything():
        if isinstance(each, EnumDescriptor):
            used, first = {value.number for value in each.values}, 0
        else:
            used, first = {field.number for field in each.fields}, 1
        gone = set(range(first, max(used, default=0) + 1)) - used
        assert gone <= reserved(each), f"{each.name}: {sorted(gone)} used to mean something else"


def reserved(each: Descriptor | EnumDescriptor) -> set[int]:
    if isinstance(each, EnumDescriptor):
        enum = EnumDescriptorProto()
        each.CopyToProto(enum)
        return {n for span in enum.reserved_range for n in range(span.start, span.end + 1)}
    message = DescriptorProto()
    each.CopyToProto(message)
    return {n for span in message.reserved_range for n in range(span.start, span.end)}
