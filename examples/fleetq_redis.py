"""A plugin for pytest-fleetq: how to start Redis, and a fault of its own.

A primary and replicas of it. In a conftest: `pytest_plugins = ["fleetq_redis"]`; then

    fleet = cluster(3, launcher="redis")
    inject_failure("redis_readonly", fleet.leader)
"""

import socket
from dataclasses import dataclass, field

from pytest_fleetq import Command, Fault


def ask(pod, *words):
    """Redis's answer to one command: its first line."""
    with socket.create_connection((pod.host, pod.port), 5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.makefile().readline().strip()


def redis(plan):
    args = [plan.settings.get("program", "redis-server"), "--port", "{port}", "--dir", "{dir}"]
    args += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    if plan.index > 0:
        args += ["--replicaof", *plan.peers["pod-0"].split(":")]
    return Command(args + list(plan.settings.get("options", ())), ready="redis:")


def is_up(_):
    return lambda pod: ask(pod, "PING") == "+PONG"


@dataclass
class Readonly(Fault):
    """The pods refuse writes, as if they were short of replicas."""

    name = "redis_readonly"
    needed: int = 99
    _pods: list = field(default_factory=list, init=False)
    _seen: str = field(default="", init=False)

    def start(self, _fleet, pods):
        for pod in pods:
            self._pods.append(pod)
            ask(pod, "CONFIG", "SET", "min-replicas-to-write", str(self.needed))

    def heal(self):
        for pod in self._pods:
            ask(pod, "CONFIG", "SET", "min-replicas-to-write", "0")
        self._pods.clear()

    def effect(self):
        for pod in self._pods:
            self._seen = next((a for a in [ask(pod, "SET", "probe", "1")] if "NOREPL" in a), "")
        return self._seen or None


def pytest_fleetq_launchers():
    return {"redis": redis}


def pytest_fleetq_probes():
    return {"redis": is_up}


def pytest_fleetq_faults():
    return [Readonly]
