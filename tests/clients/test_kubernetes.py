"""The manifests are valid, agree with the settings, and their pods start, are probed and drain."""

import os
import shutil
import socket
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fleetq_server.config import PREFIX, load_settings
from tests.cluster.fleet import Pod, Pods
from tests.cluster.launch import ROOT, Command

yaml = pytest.importorskip("yaml")

FOLDER = ROOT / "examples" / "kubernetes"
MANIFESTS = ("postgresql.yaml", "sqlite.yaml")
BIN = sysconfig.get_path("scripts")
OLDEST = "1.30"

Document = dict[str, Any]


def documents(manifest: str) -> list[Document]:
    return list(yaml.safe_load_all((FOLDER / manifest).read_text()))


def of_kind(manifest: str, *kinds: str) -> Document:
    (found,) = [each for each in documents(manifest) if each["kind"] in kinds]
    return found


def pod_spec(manifest: str) -> Document:
    spec: Document = of_kind(manifest, "Deployment", "StatefulSet")["spec"]["template"]["spec"]
    return spec


def container(manifest: str) -> Document:
    (found,) = pod_spec(manifest)["containers"]
    return dict(found)


def environment_of(manifest: str) -> dict[str, str]:
    """What the container finds there, as kubelet would put it together."""
    found = dict(of_kind(manifest, "ConfigMap")["data"])
    secret = of_kind(manifest, "Secret")["stringData"]
    for each in container(manifest)["env"]:
        source = each.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[each["name"]] = secret[source["secretKeyRef"]["key"]]
        else:
            found[each["name"]] = each.get("value", "fleetq-0")
    return found


@pytest.mark.parametrize("manifest", MANIFESTS)
@pytest.mark.parametrize("version", [OLDEST, None], ids=["oldest", "newest"])
def test_a_manifest_is_what_kubernetes_takes(manifest: str, version: str | None) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="the extra test has it")
    for each in documents(manifest):
        validator.validate(each, version or validator.latest_version(), strict=True)


def test_a_wrong_manifest_is_found() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="the extra test has it")
    wrong = of_kind("postgresql.yaml", "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["grpc"]["ports"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, OLDEST, strict=True)


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_parts_of_a_manifest_find_each_other(manifest: str) -> None:
    workload = of_kind(manifest, "Deployment", "StatefulSet")
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    assert of_kind(manifest, "Service")["spec"]["selector"] == labels
    assert of_kind(manifest, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind(manifest, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    secret = of_kind(manifest, "Secret")
    (volume,) = [each["secret"] for each in pod_spec(manifest)["volumes"] if "secret" in each]
    assert volume["secretName"] == secret["metadata"]["name"]
    assert {item["key"] for item in volume["items"]} <= set(secret["stringData"])


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_pod_has_time_to_drain(manifest: str) -> None:
    settings = load_settings({}, environ=environment_of(manifest), cwd=FOLDER)
    assert not settings.warnings
    (_, _, command) = container(manifest)["lifecycle"]["preStop"]["exec"]["command"]
    pause = float(command.rpartition("sleep ")[2])
    given = pod_spec(manifest)["terminationGracePeriodSeconds"]
    assert given > 10 + pause + settings.shutdown_grace_seconds


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_nothing_secret_is_in_a_manifest(manifest: str) -> None:
    for value in of_kind(manifest, "Secret")["stringData"].values():
        assert "CHANGE-ME" in value


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def local(manifest: str, folder: Path, port: int) -> dict[str, str]:
    """The container's environment, with its paths and its port on this machine."""
    (mount,) = [m for m in container(manifest)["volumeMounts"] if m["name"] == "secret"]
    found = {
        name: value.replace(mount["mountPath"], str(folder)).replace("7400", str(port))
        for name, value in environment_of(manifest).items()
    }
    return found | {"FLEET_Q_STORE": f"sqlite:///{folder / 'fleet.db'}"}


def make_secrets(folder: Path) -> None:
    """As docs/kubernetes.md has them made."""
    command = [f"{BIN}/fleetq", "token", "new", "--name", "pods", "--role", "admin"]
    done = subprocess.run(
        [*command, "--append", str(folder / "tokens")], capture_output=True, text=True, check=True
    )
    (folder / "admin.token").write_text(done.stdout)


def probe(address: str, service: str) -> int:
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        return int(stub.Check(request, timeout=30).status)


@pytest.fixture
def pod(pods: Pods, request: pytest.FixtureRequest, free_port: int) -> Pod:
    """The manifest's pod, as a process of this machine."""
    environment = local(request.param, pods.directory, free_port)
    make_secrets(pods.directory)
    log = pods.directory / "pod.log"
    prefix = ("env", *(f"{name}={value}" for name, value in environment.items()))
    process = Command([], log, prefix)
    pod = Pod(process, log).await_ready()
    pods.all.append(pod)
    return pod


@pytest.mark.parametrize("pod", ["postgresql.yaml"], indirect=True)
def test_a_pod_answers_its_probes_and_drains_before_it_is_stopped(pods: Pods, pod: Pod) -> None:
    port = int(pod.address.rpartition(":")[2])
    here = container("postgresql.yaml")
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        service = here[name]["grpc"].get("service", "")
        assert probe(f"127.0.0.1:{port}", service) == health_pb2.HealthCheckResponse.SERVING
    environment = {n: v for n, v in os.environ.items() if not n.startswith(PREFIX)}
    environment |= local("postgresql.yaml", pods.directory, port)
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    asked = here["lifecycle"]["preStop"]["exec"]["command"]
    command = [word.replace("sleep 3", "true") for word in asked]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "drains" in told.stdout, told.stderr
    assert pod.exit_status(within=60) == 0


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    for name in (line[1:] for line in lines if line.startswith("!")):
        assert (ROOT / name).exists()
    text = (FOLDER / "Dockerfile").read_text()
    assert "ci/constraints.txt" in text
    (port,) = container("postgresql.yaml")["ports"]
    assert f"EXPOSE {port['containerPort']}" in text


def test_the_dockerfile_has_no_known_mistake() -> None:
    program = shutil.which("hadolint", path=BIN) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, str(FOLDER / "Dockerfile")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
