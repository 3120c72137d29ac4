"""Pods that ask who calls."""

from pathlib import Path

import pytest

from fleetq_server.rpc.security.tokens import Role, file_line, new_token
from tests.cluster.conftest import fork_server, launcher, pods
from tests.security.pki import Authority

__all__ = ["fork_server", "launcher", "pods"]


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


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "tokens")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")
