"""proto ↔ model, in the client's direction: requests out, answers in."""

from collections.abc import Iterable, Sequence

from fleetq_server.client.results import Pod
from fleetq_server.client.scalars import (
    TO_CAUSE,
    TO_STATE,
    UNFIT,
    from_cause,
    from_duration,
    from_state,
    from_step_id,
    from_timestamp,
    to_duration,
    to_step_id,
    to_timestamp,
)
from fleetq_server.errors import InternalError, InvalidArgument
from fleetq_server.model import (
    DEFAULT_RETRY,
    Attempt,
    Cause,
    Claim,
    Completion,
    Counts,
    DeadFilter,
    Ended,
    Event,
    Failure,
    HolderStatus,
    HolderType,
    Leadership,
    NewStep,
    Progress,
    QueueStats,
    Release,
    Result,
    RetryPolicy,
    Stats,
    Step,
    StepFilter,
    StepState,
    Submitted,
    Verdict,
    make_token,
    read_token,
)
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import heartbeat_service_pb2 as heartbeat_pb
from fleetq_server.pb import step_pb2 as pb
from fleetq_server.pb import step_service_pb2 as step_pb

_LOST = {
    claim_pb.LOST_REASON_SUPERSEDED: Verdict.SUPERSEDED,
    claim_pb.LOST_REASON_EXPIRED: Verdict.EXPIRED,
    claim_pb.LOST_REASON_CANCELLED: Verdict.CANCELLED,
    claim_pb.LOST_REASON_FINISHED: Verdict.FINISHED,
}


# --- steps --------------------------------------------------------------------------------------


def to_new_step(step: NewStep) -> pb.NewStep:
    message = pb.NewStep(
        kind=step.kind,
        payload=step.payload,
        queue=step.queue,
        priority=step.priority,
        idempotency_key=step.idempotency_key,
    )
    # Absent fields are skipped, because this runs once per step of every submit.
    if step.metadata:
        message.metadata.update(step.metadata)
    if step.run_at is not None:
        message.run_at.CopyFrom(to_timestamp(step.run_at))
    if step.timeout is not None:
        message.timeout.CopyFrom(to_duration(step.timeout))
    # The default object itself means that the caller said nothing, and the fleet decides.
    if step.retry is not DEFAULT_RETRY:
        message.retry.CopyFrom(to_retry(step.retry))
    return message


def to_new_steps(steps: Iterable[NewStep]) -> list[pb.NewStep]:
    return [_numbered(index, step) for index, step in enumerate(steps)]


def _numbered(index: int, step: NewStep) -> pb.NewStep:
    try:
        return to_new_step(step)
    except UNFIT as problem:
        raise InvalidArgument(f"steps[{index}]", str(problem)) from problem


def to_retry(policy: RetryPolicy) -> pb.RetryPolicy:
    return pb.RetryPolicy(
        max_attempts=policy.max_attempts,
        initial_delay=to_duration(policy.initial_delay),
        multiplier=policy.multiplier,
        max_delay=to_duration(policy.max_delay),
        jitter=policy.jitter,
        non_retryable=policy.non_retryable,
    )


def from_submitted(message: step_pb.SubmittedStep) -> Submitted:
    return Submitted(from_step_id(message.step_id), message.deduplicated)


def from_result(message: pb.StepResult) -> Result:
    return Result(message.data, message.json)


def from_ended(message: step_pb.EndedStep) -> Ended:
    return Ended(
        step_id=from_step_id(message.step_id),
        state=from_state(message.state),
        result=from_result(message.result) if message.HasField("result") else None,
        cause=from_cause(message.cause),
        error=message.error or None,
        message=message.message or None,
        attempt=message.attempt,
    )


def from_cancelled(message: step_pb.CancelOutcome) -> StepState | None:
    return from_state(message.state) if message.found else None


def from_step(message: pb.Step) -> Step:
    has = message.HasField
    return Step(
        step_id=from_step_id(message.step_id),
        kind=message.kind,
        queue=message.queue,
        state=from_state(message.state),
        payload=message.payload,
        metadata=dict(message.metadata),
        priority=message.priority,
        idempotency_key=message.idempotency_key or None,
        retry=from_retry(message.retry),
        timeout=from_duration(message.timeout) if has("timeout") else None,
        attempt=message.attempt,
        failures=message.failures,
        crashes=message.crashes,
        created_at=from_timestamp(message.create_time),
        run_at=from_timestamp(message.run_at) if has("run_at") else None,
        claimed_at=from_timestamp(message.claim_time) if has("claim_time") else None,
        finished_at=from_timestamp(message.finish_time) if has("finish_time") else None,
        holder=message.holder_id or None,
        cancel_requested=message.cancel_requested,
        progress=message.progress or None,
        result=from_result(message.result) if has("result") else None,
        cause=from_cause(message.cause),
        error=message.error or None,
        message=message.message or None,
        attempts=tuple(from_attempt(attempt) for attempt in message.attempts),
    )


def from_retry(message: pb.RetryPolicy) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=message.max_attempts,
        initial_delay=from_duration(message.initial_delay),
        multiplier=message.multiplier,
        max_delay=from_duration(message.max_delay),
        jitter=message.jitter,
        non_retryable=tuple(message.non_retryable),
    )


def from_attempt(message: pb.Attempt) -> Attempt:
    return Attempt(
        attempt=message.attempt,
        holder=message.holder_id,
        started_at=from_timestamp(message.start_time),
        ended_at=from_timestamp(message.end_time),
        cause=from_cause(message.cause) or Cause.HANDLER_ERROR,
        error=message.error,
        message=message.message,
    )


def to_list_request(filter: StepFilter, page_size: int, token: str) -> step_pb.ListStepsRequest:
    return step_pb.ListStepsRequest(
        queue=filter.queue,
        kind=filter.kind,
        states=[TO_STATE[state] for state in sorted(filter.states)],
        page_size=page_size,
        page_token=token,
    )


def to_dead_filter(filter: DeadFilter) -> fleet_pb.DeadFilter:
    message = fleet_pb.DeadFilter(
        queue=filter.queue,
        kind=filter.kind,
        cause=TO_CAUSE[filter.cause] if filter.cause else None,
        error=filter.error,
        step_ids=[to_step_id(step_id) for step_id in filter.step_ids],
    )
    if filter.died_before is not None:
        message.died_before.CopyFrom(to_timestamp(filter.died_before))
    if filter.died_after is not None:
        message.died_after.CopyFrom(to_timestamp(filter.died_after))
    return message


# --- claims -------------------------------------------------------------------------------------


def from_claim(message: claim_pb.Claim) -> Claim:
    parts = read_token(message.claim_token)
    if parts is None:
        raise InternalError("the pod sent a claim token of another version")
    step_id, fence = parts
    return Claim(
        step_id=step_id,
        fence=fence,
        kind=message.kind,
        queue=message.queue,
        payload=message.payload,
        metadata=dict(message.metadata),
        idempotency_key=message.idempotency_key or None,
        attempt=message.attempt,
        priority=message.priority,
        timeout=from_duration(message.timeout) if message.HasField("timeout") else None,
        created_at=from_timestamp(message.create_time),
        claimed_at=from_timestamp(message.claim_time),
    )


def to_completion(item: Completion) -> claim_pb.Completion:
    result = pb.StepResult(data=item.result.data, json=item.result.json) if item.result else None
    return claim_pb.Completion(claim_token=make_token(item.step_id, item.fence), result=result)


def to_failure(item: Failure) -> claim_pb.Failure:
    return claim_pb.Failure(
        claim_token=make_token(item.step_id, item.fence),
        cause=TO_CAUSE[item.cause],
        error=item.error,
        message=item.message,
        permanent=not item.retryable,
        retry_delay=None if item.retry_delay is None else to_duration(item.retry_delay),
    )


def from_outcome(message: claim_pb.ClaimOutcome) -> Verdict:
    match message.code:
        case claim_pb.OUTCOME_CODE_OK:
            return Verdict.OK
        case claim_pb.OUTCOME_CODE_CANCEL_REQUESTED:
            return Verdict.CANCEL_REQUESTED
        case _:
            return _LOST.get(message.reason, Verdict.EXPIRED)


def from_outcomes(messages: Sequence[claim_pb.ClaimOutcome]) -> list[Verdict]:
    return [from_outcome(message) for message in messages]


def to_held(progress: Iterable[Progress], ask: Iterable[Release]) -> list[heartbeat_pb.HeldClaim]:
    """The claims of a beat: those asked about, in order, then others that only report progress."""
    reported = {make_token(each.step_id, each.fence): each.data for each in progress}
    asked = [make_token(each.step_id, each.fence) for each in ask]
    tokens = dict.fromkeys([*asked, *reported])
    return [heartbeat_pb.HeldClaim(claim_token=t, progress=reported.get(t)) for t in tokens]


# --- the fleet ----------------------------------------------------------------------------------


def from_pod(message: fleet_pb.Pod) -> Pod:
    return Pod(
        pod_id=message.pod_id,
        type=HolderType(_word(fleet_pb.HolderType.Name(message.type), "HOLDER_TYPE_")),
        name=message.name,
        address=message.address,
        pid=message.pid,
        version=message.version,
        max_parallelism=message.max_parallelism,
        status=HolderStatus(_word(fleet_pb.HolderStatus.Name(message.status), "HOLDER_STATUS_")),
        born_at=from_timestamp(message.birth_time),
        beat_at=from_timestamp(message.beat_time),
        running=message.running,
        leader=message.leader,
    )


def from_leader(message: fleet_pb.GetLeaderResponse) -> Leadership:
    since = from_timestamp(message.since) if message.HasField("since") else None
    return Leadership(message.term, message.pod_id or None, since)


def from_counts(message: fleet_pb.Counts) -> Counts:
    return Counts(
        submitted=message.submitted,
        scheduled=message.scheduled,
        pending=message.pending,
        claimed=message.claimed,
        completed=message.completed,
        failed=message.failed,
        cancelled=message.cancelled,
        pruned=message.pruned,
    )


def from_stats(message: fleet_pb.GetStatsResponse) -> Stats:
    return Stats(
        totals=from_counts(message.totals),
        queues=tuple(
            QueueStats(queue.queue, queue.paused, from_counts(queue.counts))
            for queue in message.queues
        ),
        leadership=Leadership(message.term, message.leader_id or None, None),
        live_pods=message.live_pods,
        store=dict(message.store),
    )


def from_event(message: fleet_pb.Event) -> Event:
    return Event(
        seq=message.seq,
        at=from_timestamp(message.time),
        type=message.type,
        queue=message.queue or None,
        holder=message.pod_id or None,
        term=message.term or None,
        step_ids=tuple(from_step_id(step_id) for step_id in message.step_ids),
        detail=dict(message.detail),
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
