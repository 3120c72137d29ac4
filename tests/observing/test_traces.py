"""One trace from a step's submit to its end, whoever runs its attempts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fleetq_server.client import AsyncClient
from fleetq_server.config import Settings
from fleetq_server.core.context import Context
from fleetq_server.core.handlers import handler
from fleetq_server.model import RetryPolicy, StepState
from fleetq_server.pod import Pod
from fleetq_server.tracing import submitting, traced
from tests.cluster.fleet import Pods
from tests.observing.apart import apart, crash

BOUND = 60.0
AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0)


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """OpenTelemetry has one provider per process, for good."""
    one = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(one))
    trace.set_tracer_provider(provider)
    return one


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    exporter.clear()
    return exporter


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


@handler("flaky")
async def flaky(context: Context) -> int:
    await asyncio.sleep(0)
    with trace.get_tracer("mine").start_as_current_span("work"):
        if context.attempt == 1:
            raise KeyError("as it should")
    return context.attempt


@handler("plain")
def plain(context: Context) -> None:
    with trace.get_tracer("mine").start_as_current_span("work"):
        pass


@handler("hold")
async def hold(context: Context) -> int:
    return context.attempt


@asynccontextmanager
async def pod_in_here(url: str) -> AsyncIterator[AsyncClient]:
    handlers = (flaky, plain, hold, apart, crash)
    pod = Pod(Settings(store=url, traces=True, process_workers=1), handlers=handlers)
    ready = await pod.start()
    try:
        async with AsyncClient(str(ready["address"])) as client:
            yield client
    finally:
        await pod.drain()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with pod_in_here(f"sqlite:///{tmp_path / 'fleet.db'}") as one:
        yield one


async def ended(client: AsyncClient, step_id: str) -> StepState:
    (found,) = await client.wait([step_id], timeout=BOUND)
    return found.state


async def test_all_attempts_are_in_the_trace_of_the_submit(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    with submitting() as metadata:
        step = await client.submit_one("flaky", metadata=metadata, retry=AT_ONCE)
    assert await ended(client, step) is StepState.COMPLETED
    (send,) = named(spans, "send default")
    first, second = named(spans, "process default")
    assert send.kind is SpanKind.PRODUCER
    for number, span in enumerate((first, second), 1):
        assert span.kind is SpanKind.CONSUMER
        assert parent_of(span) == send.context.span_id
        assert span.attributes is not None
        assert dict(span.attributes) | {"error.type": ""} == {
            "messaging.system": "fleetq",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": "default",
            "messaging.message.id": step,
            "messaging.message.body.size": 0,
            "fleetq.step.kind": "flaky",
            "fleetq.step.attempt": number,
            "error.type": "",
        }
    assert (first.status.status_code, second.status.status_code) == (
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert first.attributes is not None
    assert first.attributes["error.type"] == "KeyError"
    receives = named(spans, "receive default")
    assert [parent_of(span) for span in receives] == [send.context.span_id] * 2
    works = named(spans, "work")
    assert [parent_of(span) for span in works] == [first.context.span_id, second.context.span_id]
    assert len({span.context.trace_id for span in spans.get_finished_spans()}) == 1


async def test_a_handler_in_a_thread_is_traced_and_a_step_without_trace_begins_one(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    with submitting(metadata={"of": "ada"}) as metadata:
        assert metadata["of"] == "ada"
        theirs = await client.submit_one("plain", metadata=metadata)
    alone = await client.submit_one("plain")
    for step in (theirs, alone):
        assert await ended(client, step) is StepState.COMPLETED
    (send,) = named(spans, "send default")
    by_step = {
        span.attributes["messaging.message.id"]: span
        for span in named(spans, "process default")
        if span.attributes
    }
    assert parent_of(by_step[theirs]) == send.context.span_id
    assert parent_of(by_step[alone]) is None
    assert {parent_of(span) for span in named(spans, "work")} == {
        span.context.span_id for span in by_step.values()
    }


async def test_a_handler_in_another_process_is_traced_by_its_pod_and_goes_on_in_its_trace(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    with submitting() as metadata:
        step = await client.submit_one("apart", metadata=metadata)
    (found,) = await client.wait([step], timeout=BOUND)
    (send,), (process,) = named(spans, "send default"), named(spans, "process default")
    (receive,) = named(spans, "receive default")
    assert parent_of(process) == parent_of(receive) == send.context.span_id
    assert found.value == {"trace": send.context.trace_id, "span": process.context.span_id}


async def test_an_attempt_that_took_its_process_down_has_failed(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    step = await client.submit_one("crash", retry=RetryPolicy(max_attempts=1))
    assert await ended(client, step) is StepState.FAILED
    (process,) = named(spans, "process default")
    assert process.status.status_code is StatusCode.ERROR
    assert process.attributes is not None
    assert process.attributes["error.type"] == "ProcessDied"


async def test_a_workers_attempt_is_in_the_trace_if_its_handler_is_wrapped(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    async def remote(context: Context) -> int:
        return context.attempt

    with submitting("far") as metadata:
        step = await client.submit_one("remote", queue="far", metadata=metadata)
    worker = client.worker({"remote": traced(remote)})
    running = asyncio.create_task(worker.run())
    assert await ended(client, step) is StepState.COMPLETED
    worker.drain()
    await asyncio.wait_for(running, BOUND)
    (send,), (process,) = named(spans, "send far"), named(spans, "process far")
    assert parent_of(process) == send.context.span_id
    assert named(spans, "receive far") == []


async def test_the_same_submit_in_another_trace_is_the_same(
    client: AsyncClient, spans: InMemorySpanExporter
) -> None:
    steps = []
    for _ in range(2):
        with submitting() as metadata:
            steps.append(
                await client.submit_one("plain", idempotency_key="once", metadata=metadata)
            )
    assert steps[0] == steps[1]


async def test_an_attempt_after_a_recovery_is_in_the_same_trace(
    pods: Pods, spans: InMemorySpanExporter
) -> None:
    doomed = pods.start()
    with submitting() as metadata:
        step = pods.client(doomed).submit_one("hold", pods.payload(), metadata=metadata)
    pods.await_told("started", step)
    doomed.kill()
    async with pod_in_here(pods.url) as client:
        assert await ended(client, step) is StepState.COMPLETED
    (send,), (process,) = named(spans, "send default"), named(spans, "process default")
    assert parent_of(process) == send.context.span_id
    assert process.attributes is not None
    assert process.attributes["fleetq.step.attempt"] == 2
