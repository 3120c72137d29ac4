"""A real pod that may be watched by HTTP."""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.cluster.fleet import Pod, Pods, pods_over
from tests.cluster.launch import ForkServer, Launcher


class Answer(NamedTuple):
    status: HTTPStatus
    text: str
    headers: Mapping[str, str]


def ask(
    address: str,
    path: str,
    *,
    method: str = "GET",
    tls: ssl.SSLContext | None = None,
    token: str = "",
) -> Answer:
    if tls is None:
        connection = http.client.HTTPConnection(address, timeout=60)
    else:
        connection = http.client.HTTPSConnection(address, timeout=60, context=tls)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return Answer(HTTPStatus(response.status), response.read().decode(), dict(response.headers))
    finally:
        connection.close()


class Scrape:
    """What one /metrics says."""

    def __init__(self, address: str) -> None:
        answer = ask(address, "/metrics")
        assert answer.status == HTTPStatus.OK, answer.text
        self.text = answer.text
        self.samples: list[Sample] = [
            sample
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        found = [one.value for one in self.samples if one.name == name and one.labels == labels]
        assert len(found) == 1, f"{name}{labels}: {found} in\n{self.text}"
        return found[0]


def metrics_of(pod: Pod) -> str:
    """Where it serves them."""
    (line,) = pod.said("serving metrics")
    address: str = line["address"]
    return address


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def launcher(fork_server: ForkServer) -> Launcher:
    return fork_server.launch


@pytest.fixture
def pods(tmp_path: Path, launcher: Launcher) -> Iterator[Pods]:
    with pods_over(tmp_path, launcher) as fleet:
        yield fleet
