import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultUnavailable
from pytest_fleetq.faults.names import nearest
from pytest_fleetq.faults.orders import Orders
from pytest_fleetq.faults.process.ending import Ended
from pytest_fleetq.faults.settings import number

FAILPOINTS = (
    "store.before_begin",
    "store.between_statements",
    "store.between_ops",
    "store.before_commit",
    "store.after_commit",
    "executor.before_handler",
    "executor.after_handler",
    "pod.ready",
    "leader.elected",
    "recovery.between_batches",
    "retention.between_batches",
)
_ACTION = re.compile(r"kill|exit|stop|raise|delay:[0-9]+(\.[0-9]+)?")


@dataclass
class CrashAt(Fault):
    """A FLEET-Q pod does `action` when it comes to the failpoint `at` for the `nth` time from now;
    with 0, each time. Actions: kill, exit, stop (SIGSTOP), raise, delay:SECONDS. Armed while the
    pod runs; heals by starting again a pod that ended, and by SIGCONT to one that stopped."""

    name = "crash_at"
    at: str = "store.before_commit"
    nth: int = number(1)
    action: str = "kill"
    _orders: Orders = field(default_factory=Orders)
    _ended: Ended = field(default_factory=Ended)
    _pods: list[PodView] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.at not in FAILPOINTS:
            raise ValueError(f"at={self.at!r} is no failpoint{nearest(self.at, FAILPOINTS)}")
        if not _ACTION.fullmatch(self.action):
            raise ValueError(
                f"action={self.action!r} must be one of kill, exit, stop, raise, delay:SECONDS"
            )

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        if foreign := [pod.name for pod in pods if not pod.is_fleetq]:
            raise FaultUnavailable(
                f"only FLEET-Q pods have failpoints, {', '.join(foreign)} does not"
            )
        spec = f"{self.at}={self.action}" + (f"@{self.nth}" if self.nth else "")
        for pod in pods:
            self._ended.watch(pod)
            self._pods.append(pod)
            self._orders.give(pod, failpoints=spec)

    def heal(self) -> None:
        self._orders.take_back()
        for pod in self._pods:
            if self.action == "stop" and pod.alive and proc.state(pod.pid) == "T":
                pod.signal(signal.SIGCONT)
        self._ended.start_again()

    def effect(self) -> str | None:
        return self._orders.effect(f"failpoint:{self.at}")
