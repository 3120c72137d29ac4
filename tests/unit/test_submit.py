"""What may enter the queue; a refusal names the step and the field, and nothing was written."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleetq_server.core.submit import Submitter
from fleetq_server.errors import IdempotencyConflict, InvalidArgument
from fleetq_server.model import NewStep, RetryPolicy, StepId, StepState
from tests.unit.pieces import Bench

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    await one.begin()
    yield one
    await one.end()


def retry(**changes: Any) -> dict[str, Any]:
    return {"retry": RetryPolicy(**changes)}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("queue", {"queue": "Mail"}),
    ("queue", {"queue": ""}),
    ("kind", {"kind": "no spaces"}),
    ("payload", {"payload": b"x" * (256 * 1024 + 1)}),
    ("priority", {"priority": 1001}),
    ("priority", {"priority": -1001}),
    ("metadata", {"metadata": {str(n): "" for n in range(33)}}),
    ("metadata", {"metadata": {"": "no name"}}),
    ("metadata", {"metadata": {"k" * 65: "v"}}),
    ("metadata[long]", {"metadata": {"long": "v" * 1025}}),
    ("timeout", {"timeout": 0.0}),
    ("timeout", {"timeout": NAN}),
    ("timeout", {"timeout": 8 * 86_400.0}),
    ("run_at", {"run_at": -1.0}),
    ("run_at", {"run_at": INFINITY}),
    ("run_at", {"run_at": 253_402_300_800.0}),
    ("idempotency_key", {"idempotency_key": ""}),
    ("idempotency_key", {"idempotency_key": "k" * 257}),
    ("retry.max_attempts", retry(max_attempts=0)),
    ("retry.max_attempts", retry(max_attempts=1001)),
    ("retry.initial_delay", retry(initial_delay=-1.0)),
    ("retry.max_delay", retry(max_delay=INFINITY)),
    ("retry.multiplier", retry(multiplier=0.5)),
    ("retry.multiplier", retry(multiplier=NAN)),
    ("retry.jitter", retry(jitter=1.5)),
    ("retry.non_retryable", retry(non_retryable=("x",) * 33)),
    ("retry.non_retryable", retry(non_retryable=("",))),
]

LARGEST: list[dict[str, Any]] = [
    {"queue": "a" * 63},
    {"payload": b"x" * (256 * 1024)},
    {"priority": 1000},
    {"priority": -1000},
    {"metadata": {"k" * 60 + str(n): "v" * 1024 for n in range(32)}},
    {"timeout": 7 * 86_400.0},
    {"timeout": 0.001},
    {"run_at": 0.0},
    {"run_at": 253_402_300_799.0},
    {"idempotency_key": "k" * 256},
    retry(max_attempts=1000, multiplier=100.0, jitter=1.0, non_retryable=("E" * 128,) * 32),
]


@pytest.mark.parametrize(("field", "changes"), WRONG)
async def test_a_wrong_field_is_named(bench: Bench, field: str, changes: dict[str, Any]) -> None:
    steps = [NewStep("wash"), NewStep("wash")._replace(**changes)]
    with pytest.raises(InvalidArgument) as refusal:
        await Submitter(bench.writer).submit(steps, None)
    assert refusal.value.field == f"steps[1].{field}"
    assert bench.reader.stats().totals.submitted == 0


@pytest.mark.parametrize("changes", LARGEST)
async def test_the_limits_themselves_are_taken(bench: Bench, changes: dict[str, Any]) -> None:
    step = NewStep("wash")._replace(**changes)
    (submitted,) = await Submitter(bench.writer).submit([step], None)
    assert bench.step(submitted.step_id).payload == step.payload


@pytest.mark.parametrize("count", [0, 1001])
async def test_one_to_a_thousand_steps_go_at_a_time(bench: Bench, count: int) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await Submitter(bench.writer).submit([NewStep("wash")] * count, None)
    assert refusal.value.field == "steps"


async def test_a_malformed_request_id_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidArgument, match="request_id"):
        await Submitter(bench.writer).submit([NewStep("wash")], "two words")


async def test_the_same_request_gives_the_same_steps(bench: Bench) -> None:
    submitter = Submitter(bench.writer)
    first = await submitter.submit([NewStep("wash")] * 3, "r-1")
    assert await submitter.submit([NewStep("wash")] * 3, "r-1") == first
    with pytest.raises(IdempotencyConflict):
        await submitter.submit([NewStep("wash")] * 2, "r-1")
    assert bench.reader.stats().totals.submitted == 3


async def test_a_name_is_checked_once_and_still_refused_when_wrong(bench: Bench) -> None:
    submitter = Submitter(bench.writer)
    for _ in range(2):
        await submitter.submit([NewStep("wash", queue="mail")], None)
        with pytest.raises(InvalidArgument):
            await submitter.submit([NewStep("wash", queue="MAIL")], None)


async def test_cancel_tells_each_state(bench: Bench) -> None:
    submitter = Submitter(bench.writer)
    (one,) = await submitter.submit([NewStep("wash")], None)
    states = await submitter.cancel([one.step_id, StepId(999), one.step_id])
    assert states == [StepState.CANCELLED, None, StepState.CANCELLED]
