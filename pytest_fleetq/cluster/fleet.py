"""A cluster while it runs."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fleetq_server.client import Client
from fleetq_server.errors import FleetError
from pytest_fleetq.cluster.channels import Channels
from pytest_fleetq.cluster.errors import ClusterError, PodFailed
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.journal import MARK, Journal
from pytest_fleetq.cluster.network import Network
from pytest_fleetq.cluster.plan import Plan
from pytest_fleetq.cluster.pod import STOP_SECONDS, Pod
from pytest_fleetq.cluster.recorded import RecordedClient
from pytest_fleetq.cluster.request import Request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.starters import lost_its_port
from pytest_fleetq.cluster.starting import make_starter, make_store
from pytest_fleetq.cluster.waiting import Nothing, until
from pytest_fleetq.verdict.recorder import Recorder

if TYPE_CHECKING:
    import grpc

    from pytest_fleetq.faults.base import LinksView

HISTORY = "history.jsonl"
READY_SECONDS = 10.0
END_SECONDS = 0.1
ATTEMPTS = 3  # to get ports that no stranger holds

T = TypeVar("T")


class Fleet:
    """Pods that run. Made by the fixture `cluster`, or as `pytest_fleetq.Cluster`.

    Attributes:
        name: As asked for.
        directory: Everything about it: a folder per pod, the history, the store if it is a file.
        history: The pen of this test's history, for what the test wants to add.
        request: What it was made from.
        is_common: Whether other processes use it at the same time.
    """

    is_common = False

    def __init__(
        self,
        session: Session,
        request: Request,
        *,
        extensions: Extensions | None = None,
        run: Mapping[str, object] | None = None,
        timeout: float = READY_SECONDS,
    ) -> None:
        extensions = extensions or Extensions()
        self.request = request
        self.name = request.name
        self.timeout = request.timeout or timeout
        self.directory = session.make_directory(request.name)
        self.store_url = make_store(request, self.directory, extensions)
        self._handed_out: set[str] = set()
        self.began = time.monotonic()
        self.ended = False
        self._session = session
        self._pods: list[Pod] = []
        self._made = 0
        self._clients: list[Client] = []
        self._making_clients = threading.RLock()  # each needs a name of its own
        self._current: RecordedClient | None = None
        self._stack = ExitStack()
        self.history = self._stack.enter_context(Recorder(self.directory / HISTORY, run=run))
        self._channels = Channels()
        self._stack.callback(self._channels.close)
        self._network = Network() if request.with_links else None
        if self._network is not None:
            self._stack.callback(self._network.close)
        self._starter = make_starter(session, request, self, extensions)
        own = f"{MARK}-{os.getpid()}" if self.is_common else MARK
        self._journal = Journal(self.history, lambda: session.loop, self._places, own)
        self._stack.callback(self._journal.close)

    def __repr__(self) -> str:
        return f"<cluster {self.name}: {', '.join(map(repr, self._pods))}>"

    # --- pods ---

    @property
    def pods(self) -> Sequence[Pod]:
        """All pods that were not removed, running or not, eldest first."""
        return tuple(self._pods)

    @property
    def is_fleetq(self) -> bool:
        return self.request.is_fleetq

    @property
    def leader(self) -> Pod:
        """The pod that leads now; waits until there is one.

        Raises:
            NotInTime: nobody leads.
            ClusterError: the pods are not FLEET-Q's, and `leader=` was not given.
        """
        if self.request.leader is not None:
            return self.request.leader(self)
        if not self.is_fleetq:
            raise ClusterError("who leads among these pods? tell it by cluster(leader=function)")
        return until(self._find_leader, "a leader among the pods that run", self.timeout)

    def start(self) -> None:
        """Starts the pods asked for, and waits until all are ready; on a failure none is left."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start_all(self.request.n_pods)
                return
            except PodFailed as error:
                self._drop_all()
                if self.is_fleetq or attempt == ATTEMPTS or not lost_its_port(error):
                    raise

    def add_pod(self) -> Pod:
        """One more pod, ready. Those that run already do not get it among their `{peers}`."""
        [pod] = self._start_all(1)
        return pod

    def remove_pod(self, pod: Pod, timeout: float = STOP_SECONDS) -> None:
        """Stops it in good order and forgets it."""
        pod.stop(timeout)
        self._forget(pod)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until every pod that runs is ready.

        Raises:
            PodFailed: one ended unasked, or is not ready in time.
        """
        for pod in self._pods:
            pod.check_alive()
            if pod.alive:
                pod.await_ready(self.timeout if timeout is None else timeout)

    def wait_until(
        self, look: Callable[[], T | Nothing], timeout: float | None = None, what: str = ""
    ) -> T:
        """The first true thing that `look` returns.

        Args:
            look: Called again and again.
            timeout: Seconds.
            what: What is waited for, for the message.

        Raises:
            NotInTime: nothing true within the time; tells what was seen last.
            PodFailed: a pod ended though nobody asked it to.
        """
        within = self.timeout if timeout is None else timeout
        return until(look, what or _name_of(look), within, self.check_alive)

    def check_alive(self) -> None:
        """Raises: PodFailed if a pod ended though neither the test nor a fault asked it to."""
        if not self.request.allow_exits:
            for pod in self._pods:
                pod.check_alive()

    # --- talking to them ---

    @property
    def store(self) -> str:
        """The URL of the store, or the folder that stands in for one."""
        self._handed_out.add("fleet.store")
        return self.store_url

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the test's client reaches the pods."""
        self._handed_out.add("fleet.addresses")
        return self._fronts()

    @property
    def python_path(self) -> Sequence[Path]:
        """Where pods find handlers, besides what this process can import."""
        return self._session.python_path

    @property
    def handed_out(self) -> set[str]:
        """What was asked for with which anybody can call the pods, past the history."""
        return self._handed_out | {f"{pod.name}.address" for pod in self._pods if pod.handed_out}

    @property
    def client(self) -> Client:
        """A FLEET-Q client of all pods, whose calls are in the history; may be used by threads."""
        if not self.is_fleetq:
            raise ClusterError(
                "fleet.client is for FLEET-Q pods; to your own there is fleet.channel()"
            )
        with self._making_clients:
            if self._current is None or self._current.addresses != self._fronts():
                self._current = self.client_of(*self._pods)
            return self._current

    def client_of(self, *pods: Pod) -> RecordedClient:
        """A client that knows only these pods."""
        addresses = [pod.front for pod in pods]
        with self._making_clients:
            name = f"client-{len(self._clients) + 1}"
            client = RecordedClient(addresses, self.history, name, self._session.loop)
            self._clients.append(client)
            return client

    def channel(self, pod: Pod | None = None) -> "grpc.Channel":
        """A gRPC channel to a pod, the first one unless given, for stubs of your own services."""
        self._handed_out.add("fleet.channel")
        return self._channels.open((pod or self._pods[0]).front)

    @property
    def links(self) -> "LinksView":
        """The proxies between clients and pods. ClusterError if it was made without."""
        if self._network is None:
            raise ClusterError("this cluster has no links: make it by cluster(…, links=True)")
        return self._network.links

    def logs(self, pod: Pod | None = None) -> str:
        """All that a pod wrote, or all pods one after the other."""
        chosen = self._pods if pod is None else [pod]
        return "\n".join(one.log.read_text(errors="replace") for one in chosen if one.log.exists())

    # --- its end ---

    def ended_unasked(self) -> list[Pod]:
        if self.request.allow_exits:
            return []
        return [pod for pod in self._pods if pod.ended_unasked]

    def drain_journal(self) -> None:
        """Brings the fleet's own events into the history. If it cannot be asked, the history tells
        that, and the verdict."""
        if self.is_fleetq and self._pods:
            with suppress(FleetError):
                self._journal.read()

    def follow_journal(self) -> None:
        """From now on they come as they happen."""
        if self.is_fleetq:
            self._journal.follow()

    def close(self) -> None:
        """Ends everything; harmless when repeated. What has to be saved was recorded before: the
        pods are given a moment, for coverage and the like, and then killed."""
        if self.ended:
            return
        self.ended = True
        self._journal.close()
        for pod in self._pods:
            pod.ask_to_end()
        self._close_clients()
        deadline = time.monotonic() + END_SECONDS
        for pod in self._pods:
            pod.stop(max(0.0, deadline - time.monotonic()))
        self._drop_all()
        self.let_go()

    def let_go(self) -> None:
        """Closes what this process has of it; the pods run on."""
        self.ended = True
        self._close_clients()
        self._stack.close()

    # --- for the starters ---

    def plan(self, pod: Pod) -> Plan:
        peers = {other.name: self._reach(pod, other) for other in self._pods if other is not pod}
        return Plan(
            pod.index, pod.name, pod.directory, pod.host, pod.port, peers, self.store_url,
            self.request.settings,
        )  # fmt: skip

    def _fronts(self) -> tuple[str, ...]:
        return tuple(pod.front for pod in self._pods)

    def _places(self) -> Sequence[str]:
        """Where the pods that run are, past any proxies."""
        return tuple(f"{pod.host}:{pod.port}" for pod in self._pods if pod.alive and pod.port)

    def _reach(self, source: Pod, target: Pod) -> str:
        if self._network is None:
            return f"{target.host}:{target.port}"
        return self._network.edge(source.name, target.name, target.host, target.port)

    def _start_all(self, number: int) -> list[Pod]:
        pods = [self._make_pod() for _ in range(number)]
        for pod in pods:
            pod.launch()
        deadline = time.monotonic() + self.timeout
        for pod in pods:
            pod.await_ready(max(0.0, deadline - time.monotonic()))
            if self._network is not None:
                pod.link = self._network.edge("client", pod.name, pod.host, pod.port)
        return pods

    def _make_pod(self) -> Pod:
        index = self._made
        self._made += 1
        directory = self.directory / f"pod-{index}"
        directory.mkdir(exist_ok=True)
        pod = Pod(index, directory, self._starter, self.request.host)
        if not self.is_fleetq:
            pod.port = self._session.ports.claim()
        self._pods.append(pod)
        return pod

    def _drop_all(self) -> None:
        for pod in self.pods:
            with suppress(ClusterError):
                pod.kill()
            self._forget(pod)
        self._made = 0

    def _close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _forget(self, pod: Pod) -> None:
        self._handed_out |= {f"{pod.name}.address"} if pod.handed_out else set()
        self._pods.remove(pod)
        if not self.is_fleetq:
            self._session.ports.give_back(pod.port)

    def _find_leader(self) -> Pod | None:
        with suppress(FleetError):
            alive = {pod.pid: pod for pod in self._pods if pod.alive}
            leading = [found.pid for found in self.client.pods(timeout=2) if found.leader]
            return next((alive[pid] for pid in leading if pid in alive), None)
        return None


def _name_of(look: Callable[[], object]) -> str:
    return getattr(look, "__qualname__", repr(look))
