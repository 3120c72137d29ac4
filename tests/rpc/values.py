"""Strategies for the values that cross the wire, as the store may hold them."""

from hypothesis import strategies as st

from fleetq_server.model import (
    Attempt,
    Cause,
    Claim,
    Completion,
    Counts,
    DeadFilter,
    Ended,
    Event,
    Failure,
    Fence,
    Holder,
    HolderKey,
    HolderStatus,
    HolderType,
    Leadership,
    NewStep,
    QueueStats,
    Result,
    RetryPolicy,
    Stats,
    Step,
    StepFilter,
    StepId,
    StepState,
)

INT63 = 2**63 - 1

# Whole numbers of 1/512 s: exact in a float and in nanoseconds, so that equal means equal.
times = st.integers(0, 512 * 253_402_300_799).map(lambda n: n / 512)
# The client multiplies by 10⁹ in floats, which is exact for whole seconds of these years only.
client_times = st.integers(0, 2**32 - 1).map(float)
durations = st.integers(0, 512 * 7 * 86_400).map(lambda n: n / 512)
text = st.text(max_size=20)
filled = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,62}", fullmatch=True)
step_ids = st.integers(1, INT63).map(StepId)
fences = st.integers(0, INT63).map(Fence)
small = st.integers(0, 2**31 - 1)
metadata = st.dictionaries(filled, text, max_size=4)
data = st.binary(max_size=64)
results = st.builds(Result, data, st.booleans())
fractions = st.floats(0, 1000, allow_nan=False)

retry_policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 1000),
    initial_delay=durations,
    multiplier=fractions,
    max_delay=durations,
    jitter=fractions,
    non_retryable=st.lists(filled, max_size=3).map(tuple),
)
new_steps = st.builds(
    NewStep,
    kind=names,
    payload=data,
    queue=names,
    metadata=metadata,
    priority=st.integers(-1000, 1000),
    run_at=st.none() | client_times,
    timeout=st.none() | durations,
    retry=retry_policies,
    idempotency_key=st.none() | filled,
)
attempts = st.builds(Attempt, small, filled, times, times, st.sampled_from(Cause), text, text)
steps = st.builds(
    Step,
    step_id=step_ids,
    kind=names,
    queue=names,
    state=st.sampled_from(StepState),
    payload=data,
    metadata=metadata,
    priority=st.integers(-1000, 1000),
    idempotency_key=st.none() | filled,
    retry=retry_policies,
    timeout=st.none() | durations,
    attempt=small,
    failures=small,
    crashes=small,
    created_at=times,
    run_at=st.none() | times,
    claimed_at=st.none() | times,
    finished_at=st.none() | times,
    holder=st.none() | filled,
    cancel_requested=st.booleans(),
    progress=st.none() | st.binary(min_size=1, max_size=20),
    result=st.none() | results,
    cause=st.none() | st.sampled_from(Cause),
    error=st.none() | filled,
    message=st.none() | filled,
    attempts=st.lists(attempts, max_size=3).map(tuple),
)
claims = st.builds(
    Claim,
    step_id=step_ids,
    fence=fences,
    kind=names,
    queue=names,
    payload=data,
    metadata=metadata,
    idempotency_key=st.none() | filled,
    attempt=st.integers(1, 2**31),
    priority=st.integers(-1000, 1000),
    timeout=st.none() | durations,
    created_at=times,
    claimed_at=times,
)
completions = st.builds(Completion, step_ids, fences, st.none() | results)
failures = st.builds(
    Failure,
    step_id=step_ids,
    fence=fences,
    cause=st.sampled_from([cause for cause in Cause if cause is not Cause.CRASHED]),
    error=names,
    message=text.filter(lambda value: "\0" not in value),
    retryable=st.booleans(),
    retry_delay=st.none() | durations,
)
ended = st.builds(
    Ended,
    step_id=step_ids,
    state=st.sampled_from(StepState),
    result=st.none() | results,
    cause=st.none() | st.sampled_from(Cause),
    error=st.none() | filled,
    message=st.none() | filled,
    attempt=small,
)
holders = st.builds(
    Holder,
    key=small.map(HolderKey),
    holder_id=filled,
    type=st.sampled_from(HolderType),
    name=text,
    address=text,
    pid=small,
    version=text,
    max_parallelism=small,
    status=st.sampled_from(HolderStatus),
    born_at=times,
    beat_at=times,
    beats=small,
    running=small,
)
counts = st.builds(Counts, *[st.integers(0, INT63)] * 8)
stats = st.builds(
    Stats,
    totals=counts,
    queues=st.lists(st.builds(QueueStats, names, st.booleans(), counts), max_size=3).map(tuple),
    leadership=st.builds(Leadership, small, st.none() | filled, st.none()),
    live_pods=small,
    store=st.dictionaries(filled, st.floats(allow_nan=False), max_size=3),
)
events = st.builds(
    Event,
    seq=st.integers(0, INT63),
    at=times,
    type=names,
    queue=st.none() | names,
    holder=st.none() | filled,
    term=st.none() | st.integers(1, INT63),
    step_ids=st.lists(step_ids, max_size=3).map(tuple),
    detail=st.dictionaries(filled, text, max_size=3),
)
step_filters = st.builds(
    StepFilter,
    queue=st.none() | names,
    kind=st.none() | names,
    states=st.frozensets(st.sampled_from(StepState)),
)
dead_filters = st.builds(
    DeadFilter,
    queue=st.none() | names,
    kind=st.none() | names,
    cause=st.none() | st.sampled_from(Cause),
    error=st.none() | names,
    died_before=st.none() | client_times,
    died_after=st.none() | client_times,
    step_ids=st.lists(step_ids, max_size=3).map(tuple),
)

A_STEP = Step(
    step_id=StepId(1),
    kind="k",
    queue="default",
    state=StepState.PENDING,
    payload=b"",
    metadata={},
    priority=0,
    idempotency_key=None,
    retry=RetryPolicy(),
    timeout=None,
    attempt=0,
    failures=0,
    crashes=0,
    created_at=1.0,
    run_at=None,
    claimed_at=None,
    finished_at=None,
    holder=None,
    cancel_requested=False,
    progress=None,
    result=None,
    cause=None,
    error=None,
    message=None,
)
