"""What the disk faults have in common: two ways to the disk, by what the pod is."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import FaultUnavailable
from pytest_fleetq.faults.orders import Orders
from pytest_fleetq.faults.storage.strace import Traced


@dataclass
class DiskFault(Fault):
    """In a FLEET-Q pod the file layer below its SQLite store obeys orders; any other pod is traced
    with strace, on `path` or on the regular files it has open when this starts."""

    colour = "#85c"
    path: str = ""
    _orders: Orders = field(default_factory=Orders)
    _traced: Traced = field(default_factory=Traced)

    @abstractmethod
    def orders(self) -> Mapping[str, float]:
        """To a FLEET-Q pod."""

    @abstractmethod
    def tampering(self) -> Sequence[tuple[Sequence[str], str]]:
        """With other pods: system calls, and what happens to them in strace's words."""

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if not pod.alive:
                continue
            if pod.is_fleetq:
                self._order(fleet, pod)
            else:
                self.start_foreign(pod)

    def start_foreign(self, pod: PodView) -> None:
        for calls, what in self.tampering():
            self._traced.attach(pod, calls, what, self.path)

    def heal(self) -> None:
        self._orders.take_back()
        self._traced.detach()

    def effect(self) -> str | None:
        found = (self._orders.effect(*self.orders()), self._traced.effect(self.name))
        return ", ".join(part for part in found if part) or None

    def _order(self, fleet: FleetView, pod: PodView) -> None:
        if not fleet.store.startswith("sqlite:"):
            raise FaultUnavailable(
                f"{self.name} of a FLEET-Q pod is a fault of its SQLite file; this store has none"
            )
        self._orders.give(pod, **self.orders())
