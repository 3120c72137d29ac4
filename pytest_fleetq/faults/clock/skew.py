"""What the clock faults have in common: two ways to a pod's clock, by what the pod is."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.clock.faketime import FalseClock
from pytest_fleetq.faults.names import counted
from pytest_fleetq.faults.orders import Orders


@dataclass
class ClockFault(Fault):
    """A FLEET-Q pod's clock obeys its control file, any other pod's libfaketime. Monotonic time
    stays true: no operator and no time server can falsify it either."""

    colour = "#393"
    _orders: Orders = field(default_factory=Orders)
    _clocks: list[FalseClock] = field(default_factory=list)

    @abstractmethod
    def orders(self) -> Mapping[str, float]:
        """To a FLEET-Q pod."""

    @abstractmethod
    def falsify(self, clock: FalseClock) -> None:
        """Another pod's."""

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if not pod.alive:
                continue
            if pod.is_fleetq:
                self._orders.give(pod, **self.orders())
            else:
                clock = FalseClock(pod)
                self._clocks.append(clock)
                self.falsify(clock)

    def heal(self) -> None:
        self._orders.take_back()
        for clock in self._clocks:
            clock.heal()

    def effect(self) -> str | None:
        told = [
            f"{clock.pod.name}: told a false time {counted(clock.reads, 'time')}"
            for clock in self._clocks
            if clock.reads
        ]
        ordered = self._orders.effect(*self.orders())
        return ", ".join([*([ordered] if ordered else []), *told]) or None
