"""Ending an attempt: fail, release, and what completing is besides its own statement. Every write
is fenced by the claim token."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

from fleetq_server.backoff import retry_delay
from fleetq_server.model import Ending, Failure, Fence, Release, StepId, Verdict
from fleetq_server.store.base import Complete, Fail, ReleaseSteps
from fleetq_server.store.relational.submitting import read_retry
from fleetq_server.store.relational.tx import (
    CANCELLED,
    CLAIMED,
    FAILED,
    PENDING,
    SCHEDULED,
    Tx,
    json_ids,
)

Done = set[tuple[int, int]]  # (step_id, fence): one call may hold an old and a new claim of a step


class Item(Protocol):
    @property
    def step_id(self) -> StepId: ...
    @property
    def fence(self) -> Fence: ...


def completed(tx: Tx, op: Complete, done: Done) -> list[Verdict]:
    """Keeps the results of those that are done, and answers for all."""
    results = [
        (item.step_id, item.result.data, int(item.result.json))
        for item in op.items
        if item.result is not None and (item.step_id, item.fence) in done
    ]
    if results:
        tx.run_many("insert_result", results)
    return verdicts(tx, op.items, done, Ending.COMPLETED)


def release(tx: Tx, op: ReleaseSteps) -> list[Verdict]:
    done: Done = set()
    for fence, ids in by_fence(op.items).items():
        rows = tx.run("release", tx.now, json_ids(ids), fence)
        done.update((row[0], fence) for row in rows)
        account_released(tx, rows)
    return verdicts(tx, op.items, done, Ending.RELEASED)


def account_released(tx: Tx, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """Counts released (id, lane, new state, holder): PENDING, or CANCELLED where that was asked
    for."""
    for step_id, lane, state, holder in rows:
        tx.move(lane, CLAIMED, state)
        word = "cancelled" if state == CANCELLED else "released"
        tx.event(word, [step_id], lane, tx.holder_id(holder))
        if state == CANCELLED:
            tx.applied.ended.append(StepId(step_id))
        else:
            tx.applied.made_ready = True


def fail(tx: Tx, op: Fail) -> list[Verdict]:
    # By id, as all lock who name several steps: where writers write at once, two would wait for
    # each other.
    done: Done = {
        (item.step_id, item.fence)
        for item in sorted(op.items, key=attrgetter("step_id"))
        if fail_one(tx, item) or _reported(tx, item)
    }
    return verdicts(tx, op.items, done, Ending.FAILED)


def _reported(tx: Tx, item: Failure) -> bool:
    return bool(tx.run("reported_failure", item.step_id, item.fence))


def fail_one(tx: Tx, item: Failure, *, keep_fence: bool = True) -> bool:
    """Ends one attempt as failed: another try, the DLQ, or CANCELLED where that was asked for.

    The fence stays, so that a repeat of the same call is recognised, unless the attempt
    was ended over its holder's head. False: the claim is not that of the item.
    """
    found = tx.run("claim_to_fail", item.step_id, item.fence)
    if not found:
        return False
    lane, attempt, failures, cancel, claimed_at, holder, retry_text = found[0]
    policy = read_retry(retry_text)
    state, run_at, delay = FAILED, None, None
    if cancel:
        state = CANCELLED
    elif (
        item.retryable
        and item.error not in policy.non_retryable
        and failures + 1 < policy.max_attempts
    ):
        delay = item.retry_delay
        if delay is None:
            delay = retry_delay(policy, failures + 1, tx.rules.rng)
        state, run_at = (SCHEDULED, tx.now + delay) if delay > 0 else (PENDING, None)
    finished_at = tx.now if state in (FAILED, CANCELLED) else None
    fence = item.fence if keep_fence else None
    tx.run("end_failed_attempt", item.step_id, state, run_at, finished_at, fence)
    record = (
        fence,
        attempt,
        holder or "",
        claimed_at,
        tx.now,
        item.cause,
        item.error,
        item.message,
    )
    tx.run("insert_attempt", item.step_id, *record)
    if state == FAILED:
        tx.run("insert_dead", item.step_id, lane, item.cause, item.error, item.message, tx.now)
    tx.move(lane, CLAIMED, state)
    word = {FAILED: "dead", CANCELLED: "cancelled"}.get(state, "retrying")
    tx.event(word, [item.step_id], lane, holder, _about(item, delay))
    if finished_at is not None:
        tx.applied.ended.append(item.step_id)
    tx.applied.made_ready |= state == PENDING
    return True


def _about(item: Failure, delay: float | None) -> Mapping[str, str | float]:
    """What the journal says of a failure: enough to judge whether its consequence was right."""
    about: dict[str, str | float] = {"cause": item.cause, "error": item.error}
    if not item.retryable:
        about["retryable"] = "false"
    if delay is not None:
        about["delay"] = round(delay, 6)
        about["delay_by"] = "policy" if item.retry_delay is None else "holder"
    return about


def ask(tx: Tx, items: Sequence[Release]) -> list[Verdict]:
    """What a write with each of these claims would meet now."""
    rows = {
        row[0]: row
        for row in tx.run("standing_of_claims", json_ids(item.step_id for item in items))
    }
    return [_standing(rows.get(item.step_id), item.fence, None) for item in items]


class _Standing(NamedTuple):
    step_id: int
    state: int
    fence: int | None
    ending: int | None
    cancel: int


def verdicts(tx: Tx, items: Sequence[Item], done: Done, ending: Ending) -> list[Verdict]:
    if len(done) == len(items):
        return [Verdict.OK] * len(items)
    missing = [item.step_id for item in items if (item.step_id, item.fence) not in done]
    rows = {row[0]: row for row in tx.run("standing_of_claims", json_ids(missing))}
    return [
        Verdict.OK
        if (item.step_id, item.fence) in done
        else _standing(rows.get(item.step_id), item.fence, ending)
        for item in items
    ]


def _standing(row: tuple[int, ...] | None, fence: Fence, ending: Ending | None) -> Verdict:
    """`ending`: how the caller says the attempt ended; the same again is OK."""
    if row is None:
        return Verdict.FINISHED
    step = _Standing(*row)
    if step.fence == fence:
        if step.state == CLAIMED:
            return Verdict.CANCEL_REQUESTED if step.cancel else Verdict.OK
        if ending is not None and step.ending == ending:
            return Verdict.OK
        return Verdict.CANCELLED if step.state == CANCELLED else Verdict.FINISHED
    if step.state == CLAIMED:
        return Verdict.SUPERSEDED
    if step.state == CANCELLED:
        return Verdict.CANCELLED
    return Verdict.EXPIRED if step.state in (PENDING, SCHEDULED) else Verdict.FINISHED


def by_fence(items: Iterable[Item]) -> dict[Fence, list[StepId]]:
    groups: dict[Fence, list[StepId]] = {}
    for item in items:
        group = groups.get(item.fence)
        if group is None:
            group = groups[item.fence] = []
        group.append(item.step_id)
    return groups
