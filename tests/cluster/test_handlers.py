"""What becomes of a step is what its handler did."""

import time

import pytest

from fleetq_server.client import Client
from fleetq_server.model import Cause, RetryPolicy, StepState
from tests.cluster.fleet import Pods, until

ONCE = RetryPolicy(max_attempts=1)
SWIFT = RetryPolicy(max_attempts=3, initial_delay=0.05, jitter=0)
PROCESS = "tests.cluster.handlers,tests.cluster.process_handlers"


@pytest.fixture
def client(pods: Pods) -> Client:
    return pods.client(pods.start())


def test_results_come_back_as_they_were_given(pods: Pods, client: Client) -> None:
    kinds = ["json", "bytes", "none", "large"]
    steps = client.submit("give", [{"what": what} for what in kinds])
    result = client.wait(steps, timeout=60, strict=True)
    values = [result[step].value for step in steps]
    assert values[0] == {"answer": 42, "text": "grüß", "list": [1, None, True]}
    assert values[1:3] == [b"\x00\xff raw", None]
    assert values[3] == b"x" * (256 * 1024)


def test_a_result_that_cannot_be_kept_is_a_failure(pods: Pods, client: Client) -> None:
    kinds = ["set", "nan", "too large"]
    steps = client.submit("give", [{"what": what} for what in kinds], retry=ONCE)
    result = client.wait(steps, timeout=10)
    assert [result[step].cause for step in steps] == [Cause.HANDLER_ERROR] * 3
    assert [result[step].error for step in steps] == ["TypeError", "ValueError", "ValueError"]


def test_the_context_tells_all_about_the_attempt(pods: Pods, client: Client) -> None:
    step = client.submit_one(
        "about",
        queue="mail",
        metadata={"tenant": "acme"},
        attempt_timeout=60,
        idempotency_key="order-1",
    )
    about = client.wait([step], timeout=10)[step].value
    assert isinstance(about, dict)
    assert time.time() < about.pop("deadline") < time.time() + 60
    assert about.pop("idempotency_key").endswith(step)
    assert about == {
        "step_id": step,
        "kind": "about",
        "queue": "mail",
        "attempt": 1,
        "metadata": {"tenant": "acme"},
        "submit_key": "order-1",
    }


def test_a_failure_is_retried_after_its_backoff(pods: Pods, client: Client) -> None:
    retry = RetryPolicy(max_attempts=5, initial_delay=0.1, multiplier=2, jitter=0)
    step = client.submit_one("fail", pods.payload(error="ValueError", succeed_at=3), retry=retry)
    assert client.wait([step], timeout=10)[step].value == 3
    first, second, third = (line["wall"] for line in pods.told("ran", step))
    assert second - first >= 0.1
    assert third - second >= 0.2
    step_now = pods.step(step)
    assert (step_now.attempt, step_now.failures, step_now.crashes) == (3, 2, 0)
    assert [(a.attempt, a.cause, a.error, a.message) for a in step_now.attempts] == [
        (1, Cause.HANDLER_ERROR, "ValueError", "not today"),
        (2, Cause.HANDLER_ERROR, "ValueError", "not today"),
    ]


def test_failures_end_in_the_dlq_with_their_cause(pods: Pods, client: Client) -> None:
    exhausted = client.submit_one("fail", pods.payload(error="ValueError"), retry=SWIFT)
    refused = RetryPolicy(max_attempts=9, non_retryable=("ValueError",))
    named = client.submit_one("fail", pods.payload(error="ValueError"), retry=refused)
    permanent = client.submit_one("fail", pods.payload(error="PermanentError"))
    invalid = client.submit_one("fail", pods.payload(error="InvalidPayload"))
    unreadable = client.submit_one("parse", b"{no json")
    result = client.wait([exhausted, named, permanent, invalid, unreadable], timeout=10)
    seen = [(o.state, o.cause, o.error, o.attempt) for o in result]
    assert seen == [
        (StepState.FAILED, Cause.HANDLER_ERROR, "ValueError", 3),
        (StepState.FAILED, Cause.HANDLER_ERROR, "ValueError", 1),
        (StepState.FAILED, Cause.HANDLER_ERROR, "PermanentError", 1),
        (StepState.FAILED, Cause.INVALID_PAYLOAD, "InvalidPayload", 1),
        (StepState.FAILED, Cause.INVALID_PAYLOAD, "InvalidPayload", 1),
    ]
    assert {step.step_id for step in client.dead()} == {int(s) for s in result.results}


@pytest.mark.parametrize("kind", ["fail", "plain-fail"])
def test_whatever_a_handler_raises_costs_only_its_step(
    pods: Pods, client: Client, kind: str
) -> None:
    errors = ["SystemExit", "StopIteration", "Surrogate", "Unprintable", "Group", "Cancelled"]
    steps = client.submit(kind, [pods.payload(error=e) for e in errors], retry=ONCE)
    result = client.wait(steps, timeout=10)
    assert [result[step].cause for step in steps] == [Cause.HANDLER_ERROR] * 6, result
    after = client.submit("note", [pods.payload()] * 20)
    client.wait(after, timeout=60, strict=True)
    until(lambda: pods.holder_of(pods.all[0]).running == 0, "no slot is taken any more")


@pytest.mark.parametrize("kind", ["hold", "plain-hold"])
def test_an_attempt_out_of_time_fails_as_timeout(pods: Pods, client: Client, kind: str) -> None:
    step = client.submit_one(kind, pods.payload(), attempt_timeout=0.2, retry=ONCE)
    outcome = client.wait([step], timeout=10)[step]
    assert (outcome.cause, outcome.error) == (Cause.TIMEOUT, "Timeout")
    assert [line["event"] for line in pods.told(step=step)] == ["started", "cancelled"]


def test_a_deaf_handler_out_of_time_does_not_hold_up_its_step(pods: Pods) -> None:
    """Its next attempt may run in the same pod while the old one still does."""
    client = pods.client(pods.start(heartbeat_interval_seconds=0.2))
    retry = RetryPolicy(max_attempts=2, initial_delay=0)
    step = client.submit_one("deaf", pods.payload(), attempt_timeout=0.1, retry=retry)
    outcome = client.wait([step], timeout=10)[step]
    assert (outcome.cause, outcome.attempt) == (Cause.TIMEOUT, 2)
    assert len(pods.told("started", step)) == 2
    pods.go_on()
    pods.await_told("ended", step, count=2)
    client.wait(client.submit("plain-note", [pods.payload()] * 20), timeout=10, strict=True)
    until(lambda: pods.holder_of(pods.all[0]).running == 0, "no slot is taken any more")


def test_an_unknown_kind_waits_for_a_pod_that_knows_it(pods: Pods) -> None:
    ignorant = pods.start("tests.cluster.process_handlers", process_workers=1)
    client = pods.client(ignorant)
    step = client.submit_one("note", pods.payload())
    client.wait(client.submit("process-exit", [pods.payload(succeed_at=1)]), timeout=10)
    assert pods.step(step).state is StepState.PENDING
    pods.start()
    assert client.wait([step], timeout=60, strict=True)[step].attempt == 1


def test_progress_is_seen_while_the_step_runs(pods: Pods) -> None:
    pod = pods.start(heartbeat_interval_seconds=0.1)
    client = pods.client(pod)
    step = client.submit_one("report", pods.payload())
    assert until(lambda: client.get(step).progress, "progress") == b'{"share": 0.5}'
    pods.go_on()
    client.wait([step], timeout=60, strict=True)


def test_pending_steps_are_cancelled_at_once(pods: Pods) -> None:
    client = pods.client(pods.start(""))
    waiting, due_later = client.submit_one("note"), client.submit_one("note", run_at=2e9)
    assert client.cancel([waiting, due_later]) == [StepState.CANCELLED] * 2


@pytest.mark.parametrize("kind", ["hold", "plain-hold", "process-hold"])
def test_a_running_step_is_cancelled_through_the_heartbeat(pods: Pods, kind: str) -> None:
    """By way of another pod than its own."""
    owner = pods.start(PROCESS, process_workers=1)
    other = pods.start("")
    client = pods.client(other)
    step = client.submit_one(kind, pods.payload())
    pods.await_told("started", step)
    assert client.cancel([step]) == [StepState.CLAIMED]
    asked = time.monotonic()
    assert client.wait([step], timeout=10)[step].state is StepState.CANCELLED
    print(f"{kind} cancelled by way of another pod after {time.monotonic() - asked:.3f} s")
    assert time.monotonic() - asked < 3
    if kind != "process-hold":
        assert pods.told("cancelled", step)
    assert not pods.told("ended", step)
    until(lambda: pods.holder_of(owner).running == 0, "the slot is free again")


def test_a_cancelled_handler_may_clean_up_in_peace(pods: Pods) -> None:
    """The heartbeat names the step again and again; the handler is interrupted once."""
    client = pods.client(pods.start(heartbeat_interval_seconds=0.05))
    step = client.submit_one("slow-cleanup", pods.payload())
    pods.await_told("started", step)
    client.cancel([step])
    pods.await_told("cleaning", step)
    pods.await_beats(pods.all[0], 4)
    pods.go_on()
    assert client.wait([step], timeout=10)[step].state is StepState.CANCELLED
    assert [line["event"] for line in pods.told(step=step)] == ["started", "cleaning", "clean"]


def test_a_process_handler_runs_elsewhere_and_times_out(pods: Pods) -> None:
    pod = pods.start(PROCESS, process_workers=1)
    client = pods.client(pod)
    warm = client.submit_one("process-exit", pods.payload(succeed_at=1))
    client.wait([warm], timeout=60, strict=True)  # its time counts from before a process starts
    step = client.submit_one("process-hold", pods.payload(), attempt_timeout=1.5, retry=ONCE)
    (started,) = pods.await_told("started", step)
    assert started["pid"] != pod.pid
    assert client.wait([step], timeout=10)[step].cause is Cause.TIMEOUT
    pods.go_on()
    after = client.submit_one("process-hold", pods.payload())
    value = client.wait([after], timeout=60, strict=True)[after].value
    assert isinstance(value, dict)
    assert value["pid"] not in (pod.pid, started["pid"])
    assert not pods.told("ended", step)


def test_a_process_handler_that_takes_its_process_down_fails_and_is_retried(pods: Pods) -> None:
    client = pods.client(pods.start(PROCESS, process_workers=1))
    cured = client.submit_one("process-exit", pods.payload(succeed_at=2), retry=SWIFT)
    hopeless = client.submit_one("process-exit", pods.payload(succeed_at=99), retry=SWIFT)
    result = client.wait([cured, hopeless], timeout=20)
    assert (result[hopeless].cause, result[hopeless].attempt) == (Cause.CRASHED, 3)
    assert (result[cured].value, result[cured].attempt) == (2, 2)
    assert len(pods.told("started", hopeless)) == 3
    pods.go_on()
    after = client.submit_one("process-hold", pods.payload())
    client.wait([after], timeout=60, strict=True)


def test_a_process_that_dies_takes_no_other_step_with_it(pods: Pods) -> None:
    client = pods.client(pods.start(PROCESS, process_workers=2))
    beside = client.submit_one("process-hold", pods.payload(), retry=ONCE)
    pods.await_told("started", beside)
    dying = client.submit_one("process-exit", pods.payload(succeed_at=99), retry=SWIFT)
    queued = client.submit("process-exit", [pods.payload(succeed_at=1)] * 6, retry=ONCE)
    result = client.wait([dying, *queued], timeout=20)
    assert (result[dying].cause, result[dying].attempt) == (Cause.CRASHED, 3)
    assert [result[step].ok for step in queued] == [True] * 6
    pods.go_on()
    client.wait([beside], timeout=60, strict=True)
    assert pods.tells_of(beside) == [("started", 1), ("ended", 1)]


def test_a_process_that_is_ended_takes_no_other_step_with_it(pods: Pods) -> None:
    client = pods.client(pods.start(PROCESS, process_workers=2))
    beside, meant = client.submit("process-hold", [pods.payload()] * 2)
    pods.await_told("started", beside)
    pods.await_told("started", meant)
    behind = client.submit_one("process-hold", pods.payload())
    client.cancel([meant])
    assert client.wait([meant], timeout=10)[meant].state is StepState.CANCELLED
    pods.await_told("started", behind)
    pods.go_on()
    client.wait([beside, behind], timeout=60, strict=True)
    assert pods.tells_of(beside) == [("started", 1), ("ended", 1)]


def test_a_killed_pod_leaves_no_pool_process_behind(pods: Pods) -> None:
    pod = pods.start(PROCESS, process_workers=2)
    client = pods.client(pod)
    client.submit("process-hold", [pods.payload()] * 2)
    started = pods.await_told("started", count=2)
    assert {line["pid"] for line in started} <= {p.pid for p in pod.relatives()}
    pod.kill()
    pod.await_nothing_left()
