"""Reading what is recorded, in SQL whose dialect somebody else knows. Every method is one or a few
short statements, fetched whole, so that no read keeps the store from cleaning up."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from fleetq_server.model import (
    NO_METADATA,
    Attempt,
    Audit,
    Cause,
    Counts,
    DeadFilter,
    Ended,
    Event,
    Holder,
    HolderKey,
    HolderStatus,
    HolderType,
    Leadership,
    QueueStats,
    Result,
    Stats,
    Step,
    StepFilter,
    StepId,
    StepState,
)
from fleetq_server.store.relational.audit import audit
from fleetq_server.store.relational.deadletters import filter_values
from fleetq_server.store.relational.submitting import STATES, read_retry
from fleetq_server.store.relational.tx import Row, json_ids

SCAN_WINDOW = 20_000  # ids looked at per statement when a listing filters


class SqlReader(ABC):
    """What a store's reader is, but for how it asks."""

    @abstractmethod
    def _run(self, name: str, *values: Any) -> list[Row]: ...

    @abstractmethod
    def _run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]: ...

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see the store as of one moment."""

    @abstractmethod
    def _gauges(self) -> Mapping[str, float]: ...

    def get_step(self, step_id: StepId) -> Step | None:
        with self._snapshot():
            rows = self._run("read_step", step_id)
            return _to_step(rows[0], self._attempts(step_id)) if rows else None

    def _attempts(self, step_id: int) -> tuple[Attempt, ...]:
        return tuple(
            Attempt(number, holder, started, ended, Cause(cause), error, message)
            for number, holder, started, ended, cause, error, message in self._run(
                "read_attempts", step_id
            )
        )

    def list_steps(self, filter: StepFilter, after: StepId | None, limit: int) -> list[Step]:
        lanes = None
        if filter.queue is not None or filter.kind is not None:
            lanes = self._run("lanes_matching", filter.queue, filter.kind)[0][0]
        states = json_ids(STATES.index(state) for state in filter.states) if filter.states else None
        found: list[int] = []
        for top in self._windows(after):
            values = {
                "after": top,
                "down_to": top - SCAN_WINDOW,
                "states": states,
                "lanes": lanes,
                "limit": limit - len(found),
            }
            found.extend(row[0] for row in self._run_named("list_ids", values))
            if len(found) >= limit:
                break
        return self._whole(found)

    def _windows(self, after: StepId | None) -> Iterator[int]:
        lowest, highest = self._run("id_range")[0]
        top: int = highest + 1 if after is None else after
        while top > lowest:
            yield top
            top -= SCAN_WINDOW

    def _whole(self, ids: Sequence[int]) -> list[Step]:
        steps = (self.get_step(StepId(step_id)) for step_id in ids)
        return [step for step in steps if step is not None]

    def ended(self, step_ids: Sequence[StepId]) -> list[Ended]:
        return [
            Ended(
                StepId(step_id),
                STATES[state],
                Result(data, bool(is_json)) if data is not None else None,
                Cause(cause) if cause else None,
                error,
                message,
                attempt,
            )
            for step_id, state, data, is_json, cause, error, message, attempt in self._run(
                "ended", json_ids(step_ids)
            )
        ]

    def unknown(self, step_ids: Sequence[StepId]) -> list[StepId]:
        known = {row[0] for row in self._run("known", json_ids(step_ids))}
        return [step_id for step_id in step_ids if step_id not in known]

    def list_dead(self, filter: DeadFilter, after: StepId | None, limit: int) -> list[Step]:
        rows = self._run_named("find_dead", filter_values(filter, after or 0, limit))
        return self._whole([row[0] for row in rows])

    def dead_causes(self) -> Mapping[Cause, int]:
        return {Cause(cause): count for cause, count in self._run("dead_causes")}

    def holders(self, include_ended: bool = False) -> list[Holder]:
        return [_to_holder(row) for row in self._run("list_holders", int(include_ended))]

    def leadership(self) -> Leadership:
        term, _, since, holder_id = self._run("leadership")[0]
        return Leadership(term, holder_id, since)

    def stats(self) -> Stats:
        with self._snapshot():
            rows, leadership = self._run("queue_counts"), self.leadership()
            live_pods = self._run("count_live_pods")[0][0]
        queues = tuple(QueueStats(row[0], bool(row[1]), Counts(*row[2:])) for row in rows)
        columns = zip(*(_columns(queue.counts) for queue in queues), strict=True)
        totals = Counts(*(sum(column) for column in columns))
        return Stats(totals, queues, leadership, live_pods, self._gauges())

    def events(self, after: int, limit: int) -> list[Event]:
        rows = self._run("last_event") if after < 0 else self._run("read_events", after, limit)
        return [to_event(row) for row in rows]

    def audit(self) -> Audit:
        with self._snapshot():
            return audit(self._run)


def _columns(counts: Counts) -> tuple[int, ...]:
    return (
        counts.submitted,
        counts.scheduled,
        counts.pending,
        counts.claimed,
        counts.completed,
        counts.failed,
        counts.cancelled,
        counts.pruned,
    )


def _to_holder(row: Row) -> Holder:
    key, holder_id, type_, name, address, pid, version, parallelism, status, *times = row
    born_at, beat_at, beats, running = times
    return Holder(
        key=HolderKey(key),
        holder_id=holder_id,
        type=HolderType(type_),
        name=name,
        address=address,
        pid=pid,
        version=version,
        max_parallelism=parallelism,
        status=HolderStatus(status),
        born_at=born_at,
        beat_at=beat_at,
        beats=beats,
        running=running,
    )


def to_event(row: Row) -> Event:
    seq, at, type_, queue, holder, term, steps, detail = row
    step_ids = tuple(map(StepId, json.loads(steps))) if steps else ()
    return Event(
        seq, at, type_, queue, holder, term, step_ids, json.loads(detail) if detail else {}
    )


def _to_step(row: Row, attempts: tuple[Attempt, ...]) -> Step:
    step_id, kind, queue, state, payload, metadata, priority, key, retry, timeout, *rest = row
    attempt, failures, crashes, created_at, run_at, claimed_at, finished_at, *rest = rest
    holder, cancel, progress, data, is_json, cause, error, message = rest
    return Step(
        step_id=StepId(step_id),
        kind=kind,
        queue=queue,
        state=StepState(STATES[state]),
        payload=payload,
        metadata=json.loads(metadata) if metadata else NO_METADATA,
        priority=priority,
        idempotency_key=key,
        retry=read_retry(retry),
        timeout=timeout,
        attempt=attempt,
        failures=failures,
        crashes=crashes,
        created_at=created_at,
        run_at=run_at,
        claimed_at=claimed_at,
        finished_at=finished_at,
        holder=holder,
        cancel_requested=bool(cancel),
        progress=progress,
        result=Result(data, bool(is_json)) if data is not None else None,
        cause=Cause(cause) if cause else None,
        error=error,
        message=message,
        attempts=attempts,
    )
