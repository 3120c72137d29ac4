"""Pods that ask who calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetq_server.rpc.security.tokens import Role, file_line, new_token
from tests.cluster.fleet import Pods
from tests.cluster.launch import ForkServer, Launcher
from tests.security.pki import Authority


class Keyring:
    """The pods' file of tokens, and the tokens themselves."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def add(self, name: str, *roles: Role) -> str:
        token = new_token()
        with self.file.open("a") as lines:
            lines.write(f"{file_line(name, roles, token)}\n")
        return token


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def launcher(fork_server: ForkServer) -> Launcher:
    return fork_server.launch


@pytest.fixture
def pods(tmp_path: Path, launcher: Launcher) -> Iterator[Pods]:
    fleet = Pods(tmp_path, launcher)
    try:
        yield fleet
    finally:
        fleet.end()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "tokens")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")
