"""The Go example: against the protos always, and run for real where Go and its modules are."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from fleetq_server.pb import (
    claim_service_pb2,
    fleet_service_pb2,
    heartbeat_service_pb2,
    step_pb2,
    step_service_pb2,
)
from tests.cluster.fleet import Pods
from tests.cluster.launch import ROOT, environment

EXAMPLE = ROOT / "examples" / "go"
FILES = sorted(EXAMPLE.glob("*/*.go"))
FILE_DESCRIPTORS = [
    module.DESCRIPTOR
    for module in (
        step_pb2,
        step_service_pb2,
        claim_service_pb2,
        heartbeat_service_pb2,
        fleet_service_pb2,
    )
]
MESSAGES: dict[str, Descriptor] = {}
ENUMS: dict[str, EnumDescriptor] = {}
SERVICES = {}
for _file in FILE_DESCRIPTORS:
    MESSAGES.update(_file.message_types_by_name)
    ENUMS.update(_file.enum_types_by_name)
    SERVICES.update(_file.services_by_name)
RPCS = {method.name for service in SERVICES.values() for method in service.methods}
LITERAL = re.compile(r"&pb\.(\w+)\{")
NAME = re.compile(r"\bpb\.(\w+)")
RPC = re.compile(r"\b(?:claims|beats|steps)\.([A-Z]\w*)")
FIELD = re.compile(r"\b(?:answer|claim|end|outcome|outcomes|lost|request|step)\.(?:Get)?([A-Z]\w*)")


def go_name(field: FieldDescriptor) -> str:
    return "".join(part.capitalize() for part in field.name.split("_"))


FIELDS = {go_name(field) for message in MESSAGES.values() for field in message.fields}


def exists(name: str) -> bool:
    """A message, an enum or one of its values, or a service's client."""
    enum, _, value = name.partition("_")
    client = re.fullmatch(r"(?:New)?(\w+)Client", name)
    return (
        name in MESSAGES
        or (enum in ENUMS and (not value or value in ENUMS[enum].values_by_name))
        or (client is not None and client[1] in SERVICES)
    )


def body(text: str, start: int) -> str:
    """What stands between the braces that open before `start`, without inner ones."""
    depth, found = 1, []
    for character in text[start:]:
        depth += (character in "{(") - (character in "})")
        if depth == 0:
            break
        if depth == 1:
            found.append(character)
    return "".join(found)


def problems(text: str) -> Iterator[str]:
    yield from (f"pb.{name}" for name in NAME.findall(text) if not exists(name))
    yield from (f"rpc {name}" for name in RPC.findall(text) if name not in RPCS)
    yield from (f"field {name}" for name in FIELD.findall(text) if name not in FIELDS)
    for literal in LITERAL.finditer(text):
        if literal[1] not in MESSAGES:
            continue
        known = {go_name(field) for field in MESSAGES[literal[1]].fields}
        used = re.findall(r"(\w+):", body(text, literal.end()))
        yield from (f"{literal[1]}.{name}" for name in used if name not in known)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_go_example_uses_what_the_protos_have(file: Path) -> None:
    text = file.read_text()
    assert not list(problems(text))
    assert len(text.splitlines()) < 150


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("pb.Failure{", "pb.Failing{", "pb.Failing"),
        ("ClaimToken: token", "Token: token", "Failure.Token"),
        ("claims.ReleaseSteps", "claims.FreeSteps", "rpc FreeSteps"),
        ("OUTCOME_CODE_LEASE_LOST", "OUTCOME_CODE_LOST", "pb.OutcomeCode_OUTCOME_CODE_LOST"),
        ("claim.Payload", "claim.Data2", "field Data2"),
    ],
)
def test_what_the_protos_do_not_have_is_found(right: str, wrong: str, said: str) -> None:
    text = (EXAMPLE / "worker" / "main.go").read_text()
    assert right in text
    assert said in set(problems(text.replace(right, wrong)))


def test_the_go_worker_uses_every_rpc_of_a_worker() -> None:
    text = "".join(file.read_text() for file in FILES)
    wanted = {method.name for method in SERVICES["ClaimService"].methods} | {"Beat"}
    assert wanted <= set(RPC.findall(text))


def build(folder: Path) -> Path:
    """The worker's program. Skips where there is no Go, or no way to get its modules."""
    go = shutil.which("go")
    buf = shutil.which("buf", path=sysconfig.get_path("scripts")) or shutil.which("buf")
    if go is None or buf is None:
        pytest.skip("go or buf is not installed")
    there = folder / "examples" / "go"
    shutil.copytree(EXAMPLE, there)
    shutil.copytree(ROOT / "protos", folder / "protos")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=there, capture_output=True, text=True, timeout=600)

    got = run(go, "get", "tool")
    if got.returncode != 0:
        pytest.skip(f"Go modules are not to be had: {got.stderr.splitlines()[-1:]}")
    for command in (
        (buf, "generate"),
        (go, "mod", "tidy"),
        (go, "vet", "./..."),
        (go, "build", "-o", "bin/", "./..."),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    return there / "bin" / "worker"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_go_worker_keeps_every_rule(pods: Pods, tmp_path: Path) -> None:
    built = os.environ.get("FLEETQ_GO_WORKER")  # built elsewhere, with other versions say
    program = Path(built) if built else build(tmp_path)
    pod = pods.start("", heartbeat_interval_seconds=0.3, dead_pod_threshold_seconds=3)
    command = [sys.executable, "-m", "fleetq_server.cli.main", "conformance", pod.address]
    ran = subprocess.run(
        [*command, "--json", "--", str(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=200,
        env=environment(),
    )
    assert [each for each in json.loads(ran.stdout)["rules"] if not each["kept"]] == []
