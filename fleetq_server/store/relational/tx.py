"""One transaction in the making: its queries, and the counters and events it will have changed."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from fleetq_server.store.base import Applied

SCHEDULED, PENDING, CLAIMED, COMPLETED, FAILED, CANCELLED = range(6)
SUBMITTED, PRUNED = 6, 7  # counter columns after those of the states

BACK_AGAIN = frozenset({"submitted", "released", "recovered", "retrying", "redriven"})

Row = tuple[Any, ...]
Detail = Mapping[str, str | int | float]


def json_ids(ids: Iterable[int]) -> str:
    return repr(list(ids))  # for whole numbers that is JSON, made three times as fast


@dataclass(slots=True)
class Rules:
    """What the store decides by."""

    rng: Random
    max_crashes: int
    secret: bytes = b""


@dataclass(slots=True)
class Lanes:
    """Lane numbers by name and back, and holders' ids by key. Neither is ever renumbered, so a
    cache is safe; a rolled-back transaction drops it, for it may hold what never came to be."""

    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    holders: dict[int, str] = field(default_factory=dict)
    turn: int = 0  # the lane served last, so that very many lanes are served in turns

    def clear(self) -> None:
        self.ids.clear()
        self.names.clear()
        self.holders.clear()


class Tx(ABC):
    __slots__ = ("_claimed", "_counts", "_events", "applied", "lanes", "now", "rules")

    def __init__(self, lanes: Lanes, rules: Rules) -> None:
        self.lanes = lanes
        self.rules = rules
        self.applied = Applied()
        self._counts: dict[int, list[int]] = {}
        self._events: dict[tuple[str, str | None, str | None, str | None], list[str]] = {}
        self._claimed = False  # whether _events has any claim

    now: float

    @abstractmethod
    def run(self, name: str, *values: Any) -> list[Row]:
        """The rows of a named statement."""

    def foresee(self, name: str, *values: Any) -> None:  # noqa: B027 - most stores need not
        """Most likely this will be run next: where answers are waited for, it may go along with
        what is asked before. It must do no harm if it is not run after all."""

    @abstractmethod
    def run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        """The same with named values, in the order the statement first names them."""

    @abstractmethod
    def run_many(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """A statement without rows, once for each."""

    # --- lanes ---

    def lane(self, queue: str, kind: str) -> int:
        known = self.lanes.ids.get((queue, kind))
        if known is None:
            known = int(self.run("insert_lane", queue, kind)[0][0])
            self._learn(known, queue, kind)
        return known

    def lane_name(self, lane: int) -> tuple[str, str]:
        """(queue, kind)"""
        name = self.lanes.names.get(lane)
        if name is None:
            for number, queue, kind in self.run("all_lanes"):
                self._learn(number, queue, kind)
            name = self.lanes.names[lane]
        return name

    def holder_id(self, key: int) -> str:
        known = self.lanes.holders.get(key)
        if known is None:
            known = self.lanes.holders[key] = str(self.run("holder_status", key)[0][1])
        return known

    def _learn(self, lane: int, queue: str, kind: str) -> None:
        self.lanes.ids[queue, kind] = lane
        self.lanes.names[lane] = (queue, kind)

    # --- counters and events, written once at the end ---

    def add(self, lane: int, column: int, by: int = 1) -> None:
        counts = self._counts.get(lane)
        if counts is None:
            counts = self._counts[lane] = [0] * 8
        counts[column] += by

    def move(self, lane: int, source: int, target: int, by: int = 1) -> None:
        self.add(lane, source, -by)
        self.add(lane, target, by)

    def event(
        self,
        type: str,
        step_ids: Iterable[int] | str,
        lane: int | None = None,
        holder: str | None = None,
        detail: Detail | None = None,
    ) -> None:
        """Steps of one transaction with the same fate become one event. Their ids may come as the
        JSON that a query gave or was given."""
        if type in BACK_AGAIN and self._claimed:
            # The step may be claimed once more in this transaction, which must come after this.
            self._write_events()
        queue = self.lane_name(lane)[0] if lane is not None else None
        about = json.dumps(detail) if detail else None
        text = step_ids if isinstance(step_ids, str) else json_ids(step_ids)
        self._events.setdefault((type, queue, holder, about), []).append(text)
        self._claimed = self._claimed or type == "claimed"

    def fleet_event(
        self,
        type: str,
        detail: Detail | None = None,
        *,
        queue: str | None = None,
        holder: str | None = None,
        term: int | None = None,
    ) -> None:
        text = json.dumps(detail) if detail else None
        self.run("insert_event", self.now, type, queue, holder, term, None, text)

    def became_ready(self) -> list[int]:
        """Lanes with more PENDING steps than before this transaction."""
        return [lane for lane, counts in self._counts.items() if counts[PENDING] > 0]

    def finish(self) -> None:
        self._write_counts()
        self._write_events()

    def _write_counts(self) -> None:
        for lane, counts in self._counts.items():
            self.run("count", lane, *counts)
        self._counts.clear()

    def _write_events(self) -> None:
        for (kind, queue, holder, about), texts in self._events.items():
            ids = texts[0] if len(texts) == 1 else f"[{','.join(text[1:-1] for text in texts)}]"
            self.run("insert_event", self.now, kind, queue, holder, None, ids, about)
        self._events.clear()
        self._claimed = False
