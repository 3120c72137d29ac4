"""Looks at a fleet and its machine again and again."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from fleetq_server.client import Client, Pod
from fleetq_server.client.credentials import credentials
from fleetq_server.errors import FleetError, NoPodReachable
from pytest_fleetq.perf.monitor.counting import Counting
from pytest_fleetq.perf.monitor.model import MB, Look, PodLook, QueueLook, SystemLook

ANSWER_SECONDS = 2.0
POD, LIVE = "pod", ("live", "draining")

Find = Callable[[], Sequence[str]]  # raises NoPodReachable


class Watching:
    """`find` gives the addresses of pods, again whenever none of those known answers."""

    def __init__(self, find: Find | None, disk: str) -> None:
        self._find = find
        self._disk = disk
        self._client: Client | None = None
        self._counting = Counting()
        self._processes: dict[str, psutil.Process] = {}
        self._names: dict[str, str] = {}
        self._answered = True
        self._began: float | None = None
        self._here = _own_hosts()
        psutil.cpu_percent()  # the first one has nothing to compare with

    def look(self) -> Look:
        events: list[str] = []
        pods, queues = self._ask(events)
        if self._began is None:  # only now: it may take seconds to find the fleet
            self._began = time.monotonic()
        local = [pod for pod in pods if pod.address.rpartition(":")[0] in self._here]
        seen = self._look_at(local, events)
        return Look(
            time.time(),
            time.monotonic() - self._began,
            SystemLook(
                psutil.cpu_percent(),
                psutil.virtual_memory().percent,
                psutil.disk_usage(self._disk).percent,
            ),
            tuple(seen),
            queues,
            tuple(_name(pod) for pod in pods if pod not in local),
            tuple(events),
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _ask(self, events: list[str]) -> tuple[list[Pod], QueueLook | None]:
        if self._find is None:
            return [], None
        try:
            client = self._connected(self._find)
            pods = [pod for pod in client.pods() if pod.type == POD and pod.status in LIVE]
            queues = self._counting.look(time.monotonic(), client.stats().totals)
        except FleetError as error:
            self._disconnect()
            if self._answered:
                events.append(f"the fleet does not answer: {error}")
            self._answered = False
            return [], None
        if not self._answered:
            events.append("the fleet answers again")
        self._answered = True
        return pods, queues

    def _connected(self, find: Find) -> Client:
        if self._client is None:
            addresses = find()
            if not addresses:
                raise NoPodReachable("no live pod is registered")
            self._client = Client(
                list(addresses),
                timeout=ANSWER_SECONDS,
                patience=ANSWER_SECONDS,
                **credentials(),
            )
        return self._client

    def _disconnect(self) -> None:
        self.close()
        self._client = None

    def _look_at(self, pods: Sequence[Pod], events: list[str]) -> list[PodLook]:
        first = not self._processes
        looks: list[PodLook] = []
        for pod in pods:
            new = pod.pod_id not in self._processes
            look = self._look_at_one(pod)
            if look is None:
                continue
            looks.append(look)
            if new and not first:
                events.append(f"{look.pod} joined, process {pod.pid}")
        for pod_id, process in list(self._processes.items()):
            if not _runs(process):
                del self._processes[pod_id]
                events.append(f"{self._names.pop(pod_id)} is gone, process {process.pid}")
        return looks

    def _look_at_one(self, pod: Pod) -> PodLook | None:
        try:
            process = self._processes.get(pod.pod_id)
            if process is None:
                process = psutil.Process(pod.pid)
                process.cpu_percent()  # the first one has nothing to compare with
            with process.oneshot():
                look = PodLook(
                    _name(pod),
                    pod.pid,
                    process.cpu_percent(),
                    process.memory_info().rss / MB,
                    process.num_threads(),
                    _descriptors(process),
                    pod.running,
                    pod.leader,
                )
        except psutil.Error:
            return None  # it ended, or is another user's; which of them, the next look tells
        self._processes[pod.pod_id] = process
        self._names[pod.pod_id] = look.pod
        return look


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _descriptors(process: psutil.Process) -> int | None:
    with suppress(psutil.Error, AttributeError):
        return int(process.num_fds())
    return None


def _name(pod: Pod) -> str:
    return pod.name or pod.pod_id[:8]


def _own_hosts() -> frozenset[str]:
    addresses = (one.address for all_of in psutil.net_if_addrs().values() for one in all_of)
    return frozenset({"localhost", "[::1]", *addresses})
