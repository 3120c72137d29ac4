"""Faults by name. The built-in ones are imported when first asked for; plugins add their own."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from pytest_fleetq.faults.base import Fault
from pytest_fleetq.faults.errors import FaultError, UnknownFault
from pytest_fleetq.faults.names import nearest
from pytest_fleetq.faults.settings import build

_HERE = "pytest_fleetq.faults"
BUILT_IN: Mapping[str, str] = {
    "kill": f"{_HERE}.process.kill:Kill",
    "stop": f"{_HERE}.process.stop:Stop",
    "pause": f"{_HERE}.process.pause:Pause",
    "restart": f"{_HERE}.process.restart:Restart",
    "crash_at": f"{_HERE}.process.crash_at:CrashAt",
    "partition": f"{_HERE}.network.partition:Partition",
    "bridge": f"{_HERE}.network.bridge:Bridge",
    "ring": f"{_HERE}.network.ring:Ring",
    "latency": f"{_HERE}.network.latency:Latency",
    "bandwidth": f"{_HERE}.network.bandwidth:Bandwidth",
    "reset_peer": f"{_HERE}.network.reset_peer:ResetPeer",
    "timeout": f"{_HERE}.network.timeout:Timeout",
    "slow_close": f"{_HERE}.network.slow_close:SlowClose",
    "slicer": f"{_HERE}.network.slicer:Slicer",
    "limit_data": f"{_HERE}.network.limit_data:LimitData",
    "corrupt": f"{_HERE}.network.corrupt:Corrupt",
    "io_error": f"{_HERE}.storage.io_error:IoError",
    "disk_full": f"{_HERE}.storage.disk_full:DiskFull",
    "slow_sync": f"{_HERE}.storage.slow_sync:SlowSync",
    "power_loss": f"{_HERE}.storage.power_loss:PowerLoss",
    "held_write_lock": f"{_HERE}.storage.held_write_lock:HeldWriteLock",
    "clock_jump": f"{_HERE}.clock.jump:ClockJump",
    "clock_drift": f"{_HERE}.clock.drift:ClockDrift",
    "clock_freeze": f"{_HERE}.clock.freeze:ClockFreeze",
    "cpu_hog": f"{_HERE}.resources.cpu_hog:CpuHog",
    "memory_limit": f"{_HERE}.resources.memory_limit:MemoryLimit",
    "file_descriptors": f"{_HERE}.resources.file_descriptors:FileDescriptors",
}


class Registry:
    def __init__(self) -> None:
        self._known: dict[str, str | type[Fault]] = dict(BUILT_IN)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._known))

    def add(self, kind: type[Fault]) -> None:
        """A plugin's fault, under its own name, which may replace a built-in one."""
        if not (isinstance(kind, type) and issubclass(kind, Fault)):
            raise FaultError(f"{kind!r} is no fault: it must be a subclass of Fault")
        if not getattr(kind, "name", ""):
            raise FaultError(f"fault {kind.__qualname__} has no name")
        self._known[kind.name] = kind

    def get(self, name: str) -> type[Fault]:
        """Raises: UnknownFault, naming the nearest."""
        found = self._known.get(name)
        if found is None:
            raise UnknownFault(f"there is no fault {name!r}{nearest(name, self._known)}")
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            kind: type[Fault] = getattr(import_module(module), attribute)
            self._known[name] = found = kind
        return found

    def usual_targets(self, names: Iterable[str]) -> dict[str, str]:
        """For `Schedule.plan`."""
        return {name: self.get(name).usual_target for name in names}

    def make(self, name: str, **settings: object) -> Fault:
        """Raises: UnknownFault, BadSetting."""
        return build(self.get(name), settings)
