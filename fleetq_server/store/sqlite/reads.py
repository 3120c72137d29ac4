"""A pod's read connection. Every method is one or a few short statements, fetched whole, so that
no read ever pins the WAL."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from fleetq_server.errors import StoreUnavailable
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
from fleetq_server.store.sqlite.audit import audit
from fleetq_server.store.sqlite.connection import (
    connect,
    file_system_of,
    has_wal_reset_bug,
    wal_bytes,
)
from fleetq_server.store.sqlite.deadletters import filter_values
from fleetq_server.store.sqlite.submitting import STATES, read_retry
from fleetq_server.store.sqlite.tx import SQL, Row, json_ids

SCAN_WINDOW = 20_000  # ids looked at per statement when a listing filters


class SqliteReader:
    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self.path = path
        self._db = connect(path, read_only=True, vfs=vfs)

    def _run(self, name: str, *values: Any) -> list[Row]:
        return self._read(SQL[name], values)

    def _read(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise StoreUnavailable(
                f"the store cannot be read ({type(error).__name__}); try again"
            ) from error

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several statements that see the store as of one moment."""
        try:
            with self._db:
                yield
        except apsw.Error as error:
            raise StoreUnavailable(
                f"the store cannot be read ({type(error).__name__}); try again"
            ) from error

    def version(self) -> int:
        return int(self._read("PRAGMA data_version")[0][0])

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
            values = {"after": top, "states": states, "lanes": lanes, "limit": limit - len(found)}
            sql = SQL["list_ids"].replace("WHERE", f"WHERE s.id >= {top - SCAN_WINDOW} AND")
            found.extend(row[0] for row in self._read(sql, values))
            if len(found) >= limit:
                break
        return self._whole(found)

    def _windows(self, after: StepId | None) -> Iterator[int]:
        top: int = after or 0
        if after is None:
            top = self._read("SELECT coalesce(max(id), 0) + 1 FROM steps")[0][0]
        lowest = self._read("SELECT coalesce(min(id), 1) FROM steps")[0][0]
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
        rows = self._read(SQL["find_dead"], filter_values(filter, after or 0, limit))
        return self._whole([row[0] for row in rows])

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
        gauges = {"wal_bytes": float(wal_bytes(self.path))}
        return Stats(totals, queues, leadership, live_pods, gauges)

    def events(self, after: int, limit: int) -> list[Event]:
        rows = self._run("last_event") if after < 0 else self._run("read_events", after, limit)
        return [_to_event(row) for row in rows]

    def audit(self) -> Audit:
        with self._snapshot():
            return audit(self._run)

    def health(self) -> Mapping[str, str | int | float | bool]:
        version = apsw.sqlite_lib_version()
        return {
            "sqlite_version": version,
            "wal_reset_bug": has_wal_reset_bug(version),
            "journal_mode": str(self._db.pragma("journal_mode")),
            "synchronous": {0: "off", 1: "normal", 2: "full", 3: "extra"}[
                self._db.pragma("synchronous")
            ],
            "file_system": file_system_of(self.path.resolve().parent),
            "database_bytes": self.path.stat().st_size,
            "wal_bytes": wal_bytes(self.path),
            "schema_version": int(self._db.pragma("user_version")),
        }

    def close(self) -> None:
        self._db.close()


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


def _to_event(row: Row) -> Event:
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
