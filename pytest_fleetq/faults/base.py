"""What a fault is, and what it may touch.

A fault is one small class: it starts, it heals, and it shows evidence that it took effect. A
fault that cannot show any by the end fails the test, for a test that passes because its fault
never happened is worse than none. Write one in about 30 lines:

    @dataclass
    class Nice(Fault):
        name = "nice"
        by: int = 10

        def start(self, fleet, pods):
            self._before = {pod.pid: os.getpriority(os.PRIO_PROCESS, pod.pid) for pod in pods}
            for pid, before in self._before.items():
                os.setpriority(os.PRIO_PROCESS, pid, before + self.by)

        def effect(self):
            ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol


class PodView(Protocol):
    """One pod of a cluster, as a fault sees it."""

    @property
    def index(self) -> int: ...

    @property
    def name(self) -> str:
        """`pod-0`, `pod-1`, …"""
        ...

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    @property
    def is_fleetq(self) -> bool:
        """Whether it is a FLEET-Q pod, with failpoints and a fault file of its own."""
        ...

    @property
    def directory(self) -> Path:
        """The pod's own folder: its log, its fault control file (`faults.json`)."""
        ...

    def signal(self, number: int) -> None:
        """Sends a signal to the pod's process."""
        ...

    def kill(self) -> None:
        """SIGKILL to the pod and everything it started; returns when it is gone."""
        ...

    def stop(self, timeout: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after `timeout` seconds; returns when it is gone."""
        ...

    def start(self) -> None:
        """Starts it again on its old port, if it is not running; returns when it is ready."""
        ...


class LinksView(Protocol):
    """The proxies between clients and pods, and between pods. Edges are (source, target) names;
    the test's client is the source `client`."""

    def edges(self) -> Sequence[tuple[str, str]]: ...

    def watch(self, see: Callable[[tuple[str, str]], object]) -> Callable[[], None]:
        """Has every edge seen, those there are now and each new one before anybody can use it.
        → what ends that"""
        ...

    def add_toxic(
        self,
        edge: tuple[str, str],
        toxic: str,
        stream: str,
        attributes: Mapping[str, float],
        toxicity: float = 1.0,
    ) -> str:
        """→ the toxic's id. `stream` is `upstream` (from the source) or `downstream`; `toxicity`
        is the share of connections that it acts on, drawn once for each."""
        ...

    def remove_toxic(self, toxic_id: str) -> None: ...

    def cut(self, edge: tuple[str, str]) -> None:
        """No new connection is taken, existing ones are reset."""
        ...

    def mend(self, edge: tuple[str, str]) -> None:
        """Takes back one cut; another may still be in force."""
        ...

    def hits(self, edge: tuple[str, str]) -> Mapping[str, int]:
        """What happened on this edge: connections, refused, reset, and per toxic id the number of
        chunks or connections it acted on."""
        ...


class FleetView(Protocol):
    """A cluster, as a fault sees it."""

    @property
    def pods(self) -> Sequence[PodView]: ...

    @property
    def leader(self) -> PodView: ...

    @property
    def links(self) -> LinksView:
        """Raises if the cluster was made without links."""
        ...

    @property
    def directory(self) -> Path: ...

    @property
    def store(self) -> str:
        """The store's URL."""
        ...


class Fault(ABC):
    """One kind of fault; an instance is one injection. Subclasses are dataclasses whose fields are
    the settings, all with defaults; what an instance remembers begins with an underscore."""

    name: ClassVar[str]
    colour: ClassVar[str] = "#c44"  # of its band in the timeline
    needs_links: ClassVar[bool] = False
    usual_target: ClassVar[str] = "random:1"  # where a schedule injects it, unless told otherwise

    @classmethod
    def unavailable(cls) -> str | None:
        """Why this machine cannot have this fault, or None if it can; asked before the test's body
        needs it, and turned into a skip with that reason."""
        return None

    @abstractmethod
    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        """Makes it happen to these pods. On an exception, what was done is undone by `heal`."""

    @abstractmethod
    def heal(self) -> None:
        """Undoes it; called at least once, possibly more often, also after a failed start."""

    @abstractmethod
    def effect(self) -> str | None:
        """Evidence that it took effect, in words for the report; None while there is none. Asked
        while it is active and once more after `heal`."""
