import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultUnavailable
from pytest_fleetq.faults.orders import Orders
from pytest_fleetq.faults.process.ending import Ended
from pytest_fleetq.faults.settings import number
from pytest_fleetq.faults.waiting import until

# Only the server can read what its file layer noted; in a process of its own.
_LOSE_POWER = "fleetq_server.cli.losepower"


@dataclass
class PowerLoss(Fault):
    """The host loses its power: all its FLEET-Q pods die at once, and what they wrote to the SQLite
    file but never synced is gone. With `torn`, each lost write may have arrived, whole or in part,
    by chance from `seed`. It strikes at the `nth` disk operation of a target from now; with 0, at
    once. Hits the whole fleet, whatever the target. Heals by starting the pods again."""

    name = "power_loss"
    colour = "#85c"
    usual_target = "all"
    torn: bool = False
    seed: int = number(0)
    nth: int = number(0)
    within: float = number(10.0)
    _orders: Orders = field(default_factory=Orders)
    _ended: Ended = field(default_factory=Ended)
    _lost: list[int] = field(default_factory=list)

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        if not fleet.store.startswith("sqlite:") or not all(pod.is_fleetq for pod in fleet.pods):
            raise FaultUnavailable("power_loss is a fault of FLEET-Q pods on a SQLite store")
        for pod in fleet.pods:
            self._ended.watch(pod)
        if self.nth:
            self._strike_at_operation(pods)
        for pod in fleet.pods:
            pod.kill()
        self._lost.append(self._lose(database_of(fleet.store)))

    def heal(self) -> None:
        self._orders.take_back()  # before they start: it would strike again
        self._ended.start_again()

    def effect(self) -> str | None:
        if not self._lost:
            return None
        return self._ended.effect(f"{self._lost[0]} unsynced writes lost, killed")

    def _strike_at_operation(self, pods: Sequence[PodView]) -> None:
        for pod in pods:
            self._orders.give(pod, power_loss=self.nth)
        until(self._ended.gone, f"disk operation {self.nth} of a pod", self.within)

    def _lose(self, database: Path) -> int:
        command = [sys.executable, "-m", _LOSE_POWER, str(database)]
        command += ["--seed", str(self.seed)] if self.torn else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lost: int = json.loads(done.stdout)["lost"]
        return lost


def database_of(store: str) -> Path:
    """The file of `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    return Path(unquote(urlsplit(store).path[1:]))
