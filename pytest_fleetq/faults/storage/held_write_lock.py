import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultError, FaultUnavailable
from pytest_fleetq.faults.names import counted
from pytest_fleetq.faults.storage.power_loss import database_of
from pytest_fleetq.faults.storage.write_lock import waiting
from pytest_fleetq.faults.tether import own_module, tethered

_HOLDER = "pytest_fleetq.faults.storage.write_lock"


@dataclass
class HeldWriteLock(Fault):
    """Another process holds the write lock of the fleet's SQLite file, and its turn at the gate, so
    that no pod can write. Hits the whole fleet, whatever the target."""

    name = "held_write_lock"
    colour = "#85c"
    usual_target = "all"
    _holding: list[tuple["subprocess.Popen[str]", Path]] = field(default_factory=list)
    _waited: set[int] = field(default_factory=set)

    def start(self, fleet: FleetView, _pods: Sequence[PodView]) -> None:
        if not fleet.store.startswith("sqlite:"):
            raise FaultUnavailable("held_write_lock is a fault of a SQLite store, and this is none")
        database = database_of(fleet.store).absolute()
        if not database.exists():
            raise FaultError(f"there is no {database} to lock")
        holder = subprocess.Popen(
            tethered(own_module(_HOLDER, str(database))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._holding.append((holder, database))
        assert holder.stdout is not None
        if holder.stdout.readline() != "held\n":
            raise FaultError(f"the write lock of {database} could not be taken")

    def heal(self) -> None:
        for holder, _ in self._holding:
            if holder.returncode is None:
                # Closing its input makes it let go; it answers who had been waiting.
                answer, _ = holder.communicate(timeout=10.0)
                self._waited.update(json.loads(answer or "[]"))

    def effect(self) -> str | None:
        for holder, database in self._holding:
            if holder.returncode is None:
                self._waited |= waiting(database)
        waited = len(self._waited)
        return f"{counted(waited, 'process', 'processes')} waited to write" if waited else None
