"""Hosts of one's own: network namespaces with addresses, joined by a bridge."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster.launch import Command, Process

NETWORK = "10.213.77"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self._wire = f"{name}-w"

    @property
    def inside(self) -> tuple[str, ...]:
        """Before a command, it runs on that host."""
        return ("ip", "netns", "exec", self.name)

    def launch(self, arguments: Sequence[str], log: Path) -> Process:
        listen = ["--listen", f"{self.address}:0", "--allow-insecure"]
        return Command([*arguments, *listen], log, prefix=self.inside)

    def cut_off(self) -> None:
        """Nothing arrives, and nobody is told so."""
        _ip("link", "set", self._wire, "down")

    def join_again(self) -> None:
        _ip("link", "set", self._wire, "up")

    def create(self, bridge: str) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._wire, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self._wire, "master", bridge, "up")
        for words in (
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self.name, *words)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Skips the test where none can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("hosts of one's own need root and the command ip")
    tag = f"fq{os.getpid() % 100_000}"
    bridge = f"{tag}b"
    with ExitStack() as stack:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            stack.callback(_quietly, "link", "del", bridge)
            _ip("addr", "add", f"{NETWORK}.254/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            made = [Host(f"{tag}{chr(97 + number)}", number + 1) for number in range(count)]
            for host in made:
                stack.callback(host.remove)
                host.create(bridge)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield made


def _quietly(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True)
