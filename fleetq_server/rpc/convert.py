"""Proto ↔ model: the only code on the server that knows both."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fleetq_server.core.deadletter import MAX_AT_ONCE
from fleetq_server.core.names import (
    MAX_ERROR,
    MAX_MESSAGE,
    MAX_METADATA,
    MAX_PROGRESS_BYTES,
    MAX_RESULT_BYTES,
    check_kind,
    check_queue,
)
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import (
    DEFAULT_RETRY,
    EVENT_TYPES,
    NO_METADATA,
    Attempt,
    Cause,
    Claim,
    Completion,
    Counts,
    DeadFilter,
    Ended,
    Event,
    Failure,
    Holder,
    NewStep,
    Progress,
    Release,
    Result,
    RetryPolicy,
    Stats,
    Step,
    StepFilter,
    StepState,
    Submitted,
    Verdict,
)
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import heartbeat_service_pb2 as heartbeat_pb
from fleetq_server.pb import step_pb2
from fleetq_server.pb import step_service_pb2 as step_service_pb
from fleetq_server.rpc import fields
from fleetq_server.rpc.enums import (
    CAUSE_OF,
    CAUSES,
    HOLDER_STATUSES,
    HOLDER_TYPES,
    OUTCOMES,
    STATE_OF,
    STATES,
)

# Each may have a text of 16 KiB; a step must fit into one message.
MAX_ATTEMPTS = 50
MAX_ERROR_NAMES = 32


# --- requests ---------------------------------------------------------------------------------


def new_step(message: step_pb2.NewStep) -> NewStep:
    # The hot path of a submit: every access below costs a call into protobuf.
    metadata, has = message.metadata, message.HasField
    entries = len(metadata)
    if entries > MAX_METADATA:
        raise InvalidArgument("metadata", f"{entries} entries; at most {MAX_METADATA}")
    return NewStep(
        message.kind,
        message.payload,
        message.queue or "default",
        {key: metadata[key] for key in metadata} if entries else NO_METADATA,
        message.priority,
        fields.timestamp("run_at", message.run_at) if has("run_at") else None,
        fields.duration("timeout", message.timeout) if has("timeout") else None,
        retry_policy(message.retry) if has("retry") else DEFAULT_RETRY,
        message.idempotency_key or None,
    )


def retry_policy(message: step_pb2.RetryPolicy) -> RetryPolicy:
    default, has = DEFAULT_RETRY, message.HasField
    fields.count("retry.non_retryable", message.non_retryable, 0, MAX_ERROR_NAMES)
    initial, longest = "retry.initial_delay", "retry.max_delay"
    return RetryPolicy(
        message.max_attempts if has("max_attempts") else default.max_attempts,
        fields.duration(initial, message.initial_delay)
        if has("initial_delay")
        else default.initial_delay,
        message.multiplier if has("multiplier") else default.multiplier,
        fields.duration(longest, message.max_delay) if has("max_delay") else default.max_delay,
        message.jitter if has("jitter") else default.jitter,
        tuple(message.non_retryable),
    )


def completion(message: claim_pb.Completion) -> Completion:
    step_id, fence = fields.token(message.claim_token)
    if not message.HasField("result"):
        return Completion(step_id, fence)
    result = message.result
    data = result.data
    if len(data) > MAX_RESULT_BYTES:
        raise InvalidArgument("result.data", f"is over {MAX_RESULT_BYTES} bytes")
    return Completion(step_id, fence, Result(data, result.json))


def failure(message: claim_pb.Failure) -> Failure:
    step_id, fence = fields.token(message.claim_token)
    cause = _cause(message.cause) or Cause.HANDLER_ERROR
    if cause is Cause.CRASHED:
        raise InvalidArgument("cause", "CRASHED is the fleet's to say")
    delay = message.HasField("retry_delay")
    return Failure(
        step_id,
        fence,
        cause,
        fields.printable("error", message.error, MAX_ERROR),
        # PostgreSQL has no text with a NUL in it.
        message.message[:MAX_MESSAGE].replace("\0", "\ufffd"),
        not message.permanent,
        fields.duration("retry_delay", message.retry_delay) if delay else None,
    )


def release(claim_token: bytes) -> Release:
    return Release(*fields.token(claim_token, ""))


def held(message: heartbeat_pb.HeldClaim) -> tuple[Release, Progress | None]:
    step_id, fence = fields.token(message.claim_token)
    if not message.HasField("progress"):
        return Release(step_id, fence), None
    data = message.progress
    if len(data) > MAX_PROGRESS_BYTES:
        raise InvalidArgument("progress", f"is over {MAX_PROGRESS_BYTES} bytes")
    return Release(step_id, fence), Progress(step_id, fence, data)


def step_filter(message: step_service_pb.ListStepsRequest) -> StepFilter:
    if message.queue:
        check_queue(message.queue, "queue")
    if message.kind:
        check_kind(message.kind, "kind")
    fields.count("states", message.states, least=0)
    states = frozenset(fields.each("states", message.states, _state))
    return StepFilter(message.queue or None, message.kind or None, states)


def dead_filter(message: fleet_pb.DeadFilter) -> DeadFilter:
    has = message.HasField
    fields.count("filter.step_ids", message.step_ids, 0, MAX_AT_ONCE)
    before, after = "filter.died_before", "filter.died_after"
    return DeadFilter(
        queue=message.queue or None,
        kind=message.kind or None,
        cause=_cause(message.cause, "filter.cause"),
        error=fields.printable("filter.error", message.error, MAX_ERROR) or None,
        died_before=fields.timestamp(before, message.died_before) if has("died_before") else None,
        died_after=fields.timestamp(after, message.died_after) if has("died_after") else None,
        step_ids=tuple(fields.each("filter.step_ids", message.step_ids, fields.step_id)),
    )


def watch(message: fleet_pb.WatchEventsRequest) -> tuple[int | None, frozenset[str]]:
    fields.count("types", message.types, least=0)
    if message.after < 0:
        raise InvalidArgument("after", "must not be negative")
    fields.each("types", message.types, _event_type)
    return message.after if message.HasField("after") else None, frozenset(message.types)


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise InvalidArgument("", f"{name[:32]!r} is no type of event")
    return name


def _state(number: int) -> StepState:
    state = STATE_OF.get(number)
    if state is None:
        raise InvalidArgument("", "is not a state of a step")
    return state


def _cause(number: int, field: str = "cause") -> Cause | None:
    """None if it was left out."""
    cause = CAUSE_OF.get(number)
    if number and cause is None:
        raise InvalidArgument(field, "is not a cause")
    return cause


# --- answers ----------------------------------------------------------------------------------


def outcomes(verdicts: Sequence[Verdict]) -> list[claim_pb.ClaimOutcome]:
    return [OUTCOMES[verdict] for verdict in verdicts]


def put_submitted(message: step_service_pb.SubmittedStep, submitted: Submitted) -> None:
    message.step_id = str(submitted.step_id)
    message.deduplicated = submitted.deduplicated


def put_claim(message: claim_pb.Claim, claim: Claim) -> None:
    # The hot path of a claim: filling in place takes half the time of the constructor.
    message.claim_token = claim.token
    message.step_id = str(claim.step_id)
    message.kind = claim.kind
    message.queue = claim.queue
    message.payload = claim.payload
    message.attempt = claim.attempt
    if claim.metadata:
        message.metadata.update(claim.metadata)
    if claim.idempotency_key is not None:
        message.idempotency_key = claim.idempotency_key
    if claim.priority:
        message.priority = claim.priority
    if claim.timeout is not None:
        put_seconds(message.timeout, claim.timeout)
    put_seconds(message.create_time, claim.created_at)
    put_seconds(message.claim_time, claim.claimed_at)


def put_step(message: step_pb2.Step, step: Step) -> None:
    message.step_id = str(step.step_id)
    message.kind = step.kind
    message.queue = step.queue
    message.state = STATES[step.state]
    message.payload = step.payload
    message.metadata.update(step.metadata)
    message.priority = step.priority
    message.idempotency_key = step.idempotency_key or ""
    _put_retry(message.retry, step.retry)
    message.attempt = step.attempt
    message.failures = step.failures
    message.crashes = step.crashes
    put_seconds(message.create_time, step.created_at)
    message.holder_id = step.holder or ""
    message.cancel_requested = step.cancel_requested
    message.progress = step.progress or b""
    message.error = step.error or ""
    message.message = step.message or ""
    if step.cause is not None:
        message.cause = CAUSES[step.cause]
    if step.result is not None:
        put_result(message.result, step.result)
    _put_times(message, step)
    for attempt in step.attempts[-MAX_ATTEMPTS:]:
        _put_attempt(message.attempts.add(), attempt)


def _put_times(message: step_pb2.Step, step: Step) -> None:
    if step.timeout is not None:
        put_seconds(message.timeout, step.timeout)
    if step.run_at is not None:
        put_seconds(message.run_at, step.run_at)
    if step.claimed_at is not None:
        put_seconds(message.claim_time, step.claimed_at)
    if step.finished_at is not None:
        put_seconds(message.finish_time, step.finished_at)


def _put_retry(message: step_pb2.RetryPolicy, policy: RetryPolicy) -> None:
    message.max_attempts = policy.max_attempts
    put_seconds(message.initial_delay, policy.initial_delay)
    message.multiplier = policy.multiplier
    put_seconds(message.max_delay, policy.max_delay)
    message.jitter = policy.jitter
    message.non_retryable.extend(policy.non_retryable)


def _put_attempt(message: step_pb2.Attempt, attempt: Attempt) -> None:
    message.attempt = attempt.attempt
    message.holder_id = attempt.holder
    put_seconds(message.start_time, attempt.started_at)
    put_seconds(message.end_time, attempt.ended_at)
    message.cause = CAUSES[attempt.cause]
    message.error = attempt.error
    message.message = attempt.message


def put_result(message: step_pb2.StepResult, result: Result) -> None:
    message.data = result.data
    message.json = result.json


def put_ended(message: step_service_pb.EndedStep, ended: Ended) -> None:
    message.step_id = str(ended.step_id)
    message.state = STATES[ended.state]
    message.attempt = ended.attempt
    message.error = ended.error or ""
    message.message = ended.message or ""
    if ended.cause is not None:
        message.cause = CAUSES[ended.cause]
    if ended.result is not None:
        put_result(message.result, ended.result)


def pod(holder: Holder, leader: str | None) -> fleet_pb.Pod:
    return fleet_pb.Pod(
        pod_id=holder.holder_id,
        type=HOLDER_TYPES[holder.type],
        name=holder.name,
        address=holder.address,
        pid=holder.pid,
        version=holder.version,
        max_parallelism=holder.max_parallelism,
        status=HOLDER_STATUSES[holder.status],
        birth_time=time(holder.born_at),
        beat_time=time(holder.beat_at),
        running=holder.running,
        leader=holder.holder_id == leader,
    )


def counts(values: Counts) -> fleet_pb.Counts:
    return fleet_pb.Counts(
        submitted=values.submitted,
        scheduled=values.scheduled,
        pending=values.pending,
        claimed=values.claimed,
        completed=values.completed,
        failed=values.failed,
        cancelled=values.cancelled,
        pruned=values.pruned,
    )


def stats(values: Stats) -> fleet_pb.GetStatsResponse:
    return fleet_pb.GetStatsResponse(
        totals=counts(values.totals),
        queues=[
            fleet_pb.QueueStats(queue=q.queue, paused=q.paused, counts=counts(q.counts))
            for q in values.queues
        ],
        leader_id=values.leadership.holder_id,
        term=values.leadership.term,
        live_pods=values.live_pods,
        store=values.store,
    )


def event(happened: Event) -> fleet_pb.Event:
    return fleet_pb.Event(
        seq=happened.seq,
        time=time(happened.at),
        type=happened.type,
        queue=happened.queue or "",
        pod_id=happened.holder or "",
        term=happened.term or 0,
        step_ids=[str(step_id) for step_id in happened.step_ids],
        detail={key: str(value) for key, value in happened.detail.items()},
    )


def put_seconds(message: Timestamp | Duration, seconds: float) -> None:
    whole = int(seconds // 1)
    nanos = round((seconds - whole) * 1e9)
    # Less than half a nanosecond below a whole second rounds up to it.
    message.seconds, message.nanos = (whole + 1, 0) if nanos == 1_000_000_000 else (whole, nanos)


def time(seconds: float) -> Timestamp:
    message = Timestamp()
    put_seconds(message, seconds)
    return message


def duration(seconds: float) -> Duration:
    message = Duration()
    put_seconds(message, seconds)
    return message
