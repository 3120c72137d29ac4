"""Submit, and the life of a waiting step before any claim."""

import json
from collections.abc import Sequence

from fleetq_server.errors import IdempotencyConflict
from fleetq_server.model import DEFAULT_RETRY, NewStep, RetryPolicy, StepId, StepState, Submitted
from fleetq_server.store.base import Cancel, SetPaused, Submit
from fleetq_server.store.digest import digest_step, digest_steps
from fleetq_server.store.relational.tx import (
    CANCELLED,
    CLAIMED,
    PENDING,
    SCHEDULED,
    SUBMITTED,
    Tx,
    json_ids,
)

PROMOTE_AT_ONCE = 2000
STATES = tuple(StepState)


def submit(tx: Tx, op: Submit) -> list[Submitted]:
    digest = b""
    has_keys = any(step.idempotency_key for step in op.steps)
    if op.request_id is not None:
        digest = digest_steps(op.steps)
        if op.steps and not has_keys:
            tx.foresee("take_step_ids", len(op.steps))
        if known := tx.run("find_request", "submit:" + op.request_id):
            return _first_answer(op.request_id, digest, known[0])
    keyed = _keyed(tx, op.steps) if has_keys else {}
    answer = _insert(tx, op.steps, keyed)
    if op.request_id is not None:
        tx.run(
            "insert_request", "submit:" + op.request_id, digest, json.dumps(_pack(answer)), tx.now
        )
    return answer


def _first_answer(request_id: str, digest: bytes, known: tuple[bytes, str]) -> list[Submitted]:
    if known[0] != digest:
        raise IdempotencyConflict(request_id)
    answer = json.loads(known[1])
    if isinstance(answer, dict):
        first, count = answer["first"], answer["count"]
        return [Submitted(StepId(step_id), False) for step_id in range(first, first + count)]
    return [Submitted(StepId(step_id), bool(dedup)) for step_id, dedup in answer]


def _pack(answer: list[Submitted]) -> object:
    """New steps of one submit have consecutive ids, so most answers are two numbers."""
    if not answer or any(one.deduplicated for one in answer):
        return [[one.step_id, int(one.deduplicated)] for one in answer]
    return {"first": answer[0].step_id, "count": len(answer)}


def _keyed(tx: Tx, steps: Sequence[NewStep]) -> dict[int, StepId | int]:
    """Index of each step whose key was used → the step it is, or its earlier place in here."""
    same: dict[int, StepId | int] = {}
    here: dict[tuple[str, str], tuple[int, bytes]] = {}
    for index, step in enumerate(steps):
        if step.idempotency_key is None:
            continue
        digest, name = digest_step(step), (step.queue, step.idempotency_key)
        found = tx.run("find_key", *name)
        if found:
            if found[0][1] != digest:
                raise IdempotencyConflict(step.idempotency_key, str(found[0][0]))
            same[index] = StepId(found[0][0])
        elif name in here:
            if here[name][1] != digest:
                raise IdempotencyConflict(step.idempotency_key)
            same[index] = (
                -1 - here[name][0]
            )  # negative: an index, known to be a step's only after the insert
        else:
            here[name] = (index, digest)
    return same


def _insert(tx: Tx, steps: Sequence[NewStep], same: dict[int, StepId | int]) -> list[Submitted]:
    fresh = len(steps) - len(same)
    step_id = int(tx.run("take_step_ids", fresh)[0][0]) if fresh else 0
    now = tx.now
    rows: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    answer: list[Submitted] = []
    lanes: dict[tuple[int, int], list[int]] = {}
    for index, step in enumerate(steps):
        if index in same:
            known = same[index]
            answer.append(
                Submitted(StepId(known) if known > 0 else answer[-1 - known].step_id, True)
            )
            continue
        lane = tx.lane(step.queue, step.kind)
        state = SCHEDULED if step.run_at is not None and step.run_at > now else PENDING
        rows.append((step_id, lane, state, step.priority, step.timeout, now, step.run_at))
        key = step.idempotency_key
        metadata = json.dumps(dict(step.metadata)) if step.metadata else None
        bodies.append((step_id, metadata, key, write_retry(step.retry), step.payload))
        if key is not None:
            tx.run("insert_key", step.queue, key, step_id, digest_step(step))
        ids = lanes.get((lane, state))
        if ids is None:
            ids = lanes[lane, state] = []
        ids.append(step_id)
        answer.append(Submitted(StepId(step_id), False))
        step_id += 1
    tx.run_many("insert_step", rows)
    tx.run_many("insert_body", bodies)
    for (lane, state), ids in lanes.items():
        tx.add(lane, SUBMITTED, len(ids))
        tx.add(lane, state, len(ids))
        tx.event("submitted", ids, lane)
        if state == PENDING:
            tx.applied.made_ready = True
    return answer


def write_retry(retry: RetryPolicy) -> str | None:
    if retry is DEFAULT_RETRY or retry == DEFAULT_RETRY:
        return None
    values = (
        retry.max_attempts,
        retry.initial_delay,
        retry.multiplier,
        retry.max_delay,
        retry.jitter,
    )
    return json.dumps([*values, list(retry.non_retryable)])


def read_retry(text: str | None) -> RetryPolicy:
    if text is None:
        return DEFAULT_RETRY
    attempts, initial, multiplier, longest, jitter, non_retryable = json.loads(text)
    return RetryPolicy(attempts, initial, multiplier, longest, jitter, tuple(non_retryable))


def promote_due(tx: Tx) -> None:
    """SCHEDULED steps whose time has come are PENDING from now on."""
    due = tx.run("next_due")[0][0]
    if due is None or due > tx.now:
        return
    for (lane,) in tx.run("promote", tx.now, PROMOTE_AT_ONCE):
        tx.move(lane, SCHEDULED, PENDING)
    tx.applied.made_ready = True


def cancel(tx: Tx, op: Cancel) -> list[StepState | None]:
    found = {row[0]: row for row in tx.run("to_cancel", json_ids(op.step_ids))}
    waiting, claimed = [], []
    for step_id, state, lane, holder in found.values():
        if state in (SCHEDULED, PENDING):
            waiting.append(step_id)
            tx.move(lane, state, CANCELLED)
            tx.event("cancelled", [step_id], lane)
        elif state == CLAIMED:
            claimed.append(step_id)
            tx.applied.cancelling.append(holder)
    if waiting:
        tx.run("cancel_waiting", json_ids(waiting), tx.now)
        tx.applied.ended.extend(StepId(step_id) for step_id in waiting)
    if claimed:
        tx.run("cancel_claimed", json_ids(claimed))
    ended = set(waiting)
    return [
        None
        if step_id not in found
        else StepState.CANCELLED
        if step_id in ended
        else STATES[found[step_id][1]]
        for step_id in op.step_ids
    ]


def set_paused(tx: Tx, op: SetPaused) -> None:
    tx.run("set_paused", op.queue, int(op.paused))
    tx.fleet_event("paused" if op.paused else "resumed", queue=op.queue)
    if not op.paused:
        tx.applied.made_ready = True
