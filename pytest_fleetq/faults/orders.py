"""Orders to a FLEET-Q pod, through its control file `faults.json`: how to fail, without a restart.

Several injections may hold orders for the same pod at once, also from several processes, so the
file keeps who ordered what, under `injections`, beside the sum that the pod obeys. The pod counts
in `faults.json.hits` what it met; the difference is an injection's evidence.
"""

import fcntl
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.names import counted

NAME = "faults.json"
_JOINED = "failpoints"  # the one order of which a pod can obey several

Value = float | str


class ControlFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def give(self, **orders: Value) -> str:
        """Adds orders. → their id, by which they are taken back"""
        order = uuid.uuid4().hex
        self._change(lambda injections: injections.update({order: orders}))
        return order

    def take_back(self, order: str) -> None:
        self._change(lambda injections: injections.pop(order, None))

    def hits(self) -> Counter[str]:
        """How often each order took effect, in all processes that obey this file."""
        try:
            return Counter(json.loads(self._beside(".hits").read_text() or "{}"))
        except FileNotFoundError:
            return Counter()

    def _change(self, change: Callable[[dict[str, Mapping[str, Value]]], object]) -> None:
        with self._turn():
            injections = self._injections()
            change(injections)
            new = self._beside(f".new.{os.getpid()}")
            new.write_text(json.dumps({**_sum(injections), "injections": injections}))
            new.replace(self.path)  # a pod never reads half of it

    def _injections(self) -> dict[str, Mapping[str, Value]]:
        try:
            found: dict[str, Mapping[str, Value]] = json.loads(self.path.read_text())["injections"]
        except (FileNotFoundError, KeyError):
            return {}
        return found

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._beside(".turn").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def _sum(injections: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    total: dict[str, Value] = {}
    for orders in injections.values():
        for name, value in orders.items():
            joined = f"{total[name]},{value}" if name == _JOINED and name in total else value
            total[name] = joined
    return total


class Orders:
    """What one injection ordered, of several pods, and what became of it."""

    def __init__(self) -> None:
        self._given: list[tuple[PodView, ControlFile, str, Counter[str]]] = []

    def give(self, pod: PodView, **orders: Value) -> None:
        file = ControlFile(pod.directory / NAME)
        before = file.hits()
        self._given.append((pod, file, file.give(**orders), before))

    def take_back(self) -> None:
        for _, file, order, _ in self._given:
            file.take_back(order)

    def effect(self, *names: str) -> str | None:
        """`pod-1: sync_error 3 times`, for those of these orders that were met."""
        found = [
            f"{pod.name}: {name} {counted(times, 'time')}"
            for pod, file, _, before in self._given
            for name, times in (file.hits() - before).items()
            if name in names
        ]
        return ", ".join(found) or None
