"""A pod's edge: StepService with answers that a test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import grpc.aio

from fleetq_server.errors import FleetError
from fleetq_server.pb import step_pb2
from fleetq_server.pb import step_service_pb2 as pb
from fleetq_server.pb.step_service_pb2_grpc import (
    StepServiceServicer,
    add_StepServiceServicer_to_server,
)
from fleetq_server.rpc import status

Refuse = Callable[[Sequence[step_pb2.NewStep]], FleetError | None]
Context = grpc.aio.ServicerContext[pb.SubmitStepsRequest, pb.SubmitStepsResponse]


class FakeSteps(StepServiceServicer):
    """Numbers the steps it takes, remembers every call, and refuses what `refuse` says."""

    def __init__(self, refuse: Refuse = lambda _: None) -> None:
        self.calls: list[list[str]] = []
        self.request_ids: list[str] = []
        self.taken: list[str] = []
        self.refuse = refuse
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def SubmitSteps(
        self, request: pb.SubmitStepsRequest, context: Context
    ) -> pb.SubmitStepsResponse:
        self.calls.append([step.kind for step in request.steps])
        self.request_ids.append(request.request_id)
        self.arrived.set()
        await self.gate.wait()
        error = self.refuse(request.steps)
        if error is not None:
            told = status.status_of(error)
            code = status.code_of(error)
            await context.abort(code, told.message, status.trailers(told))
        answer = pb.SubmitStepsResponse()
        for step in request.steps:
            self.taken.append(step.kind)
            answer.steps.add(step_id=str(len(self.taken)))
        return answer

    async def WaitSteps(
        self,
        request: pb.WaitStepsRequest,
        context: grpc.aio.ServicerContext[pb.WaitStepsRequest, pb.WaitStepsResponse],
    ) -> pb.WaitStepsResponse:
        """Even ids have completed."""
        answer = pb.WaitStepsResponse()
        for step_id in request.step_ids:
            if int(step_id) % 2 == 0:
                answer.ended.add(step_id=step_id, state=step_pb2.STEP_STATE_COMPLETED)
        return answer


@asynccontextmanager
async def serving(service: StepServiceServicer) -> AsyncIterator[tuple[str, grpc.aio.Server]]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_StepServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        await server.stop(None)
