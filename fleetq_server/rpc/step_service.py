"""StepService: submits steps and follows them to their end."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc.aio

from fleetq_server.core.fleet import Fleet
from fleetq_server.core.submit import Submitter
from fleetq_server.core.waiting import Waiting
from fleetq_server.model import StepId, StepState
from fleetq_server.pb import step_service_pb2 as pb
from fleetq_server.pb.step_service_pb2_grpc import StepServiceServicer
from fleetq_server.rpc import convert, fields, paging, sizes
from fleetq_server.rpc.enums import STATES
from fleetq_server.rpc.long_poll import patience

Context = grpc.aio.ServicerContext[Any, Any]


class StepService(StepServiceServicer):
    def __init__(self, submitter: Submitter, waiting: Waiting, fleet: Fleet) -> None:
        self._submitter = submitter
        self._waiting = waiting
        self._fleet = fleet

    async def SubmitSteps(
        self, request: pb.SubmitStepsRequest, context: Context
    ) -> pb.SubmitStepsResponse:
        fields.count("steps", request.steps)
        steps = fields.each("steps", request.steps, convert.new_step)
        response = pb.SubmitStepsResponse()
        for submitted in await self._submitter.submit(steps, request.request_id or None):
            convert.put_submitted(response.steps.add(), submitted)
        return response

    async def GetStep(self, request: pb.GetStepRequest, context: Context) -> pb.GetStepResponse:
        response = pb.GetStepResponse()
        step = await self._fleet.get_step(fields.step_id(request.step_id, "step_id"))
        convert.put_step(response.step, step)
        return response

    async def ListSteps(
        self, request: pb.ListStepsRequest, context: Context
    ) -> pb.ListStepsResponse:
        response = pb.ListStepsResponse()
        wanted = convert.step_filter(request)
        fetch = partial(self._fleet.list_steps, wanted)
        response.next_page_token = await paging.fill(
            response.steps, fetch, wanted, request.page_size, request.page_token
        )
        return response

    async def WaitSteps(
        self, request: pb.WaitStepsRequest, context: Context
    ) -> pb.WaitStepsResponse:
        step_ids = _step_ids(request.step_ids)
        ended = await self._waiting.wait(step_ids, patience(request.wait, context), request.any)
        response = pb.WaitStepsResponse()
        for each in ended:
            convert.put_ended(response.ended.add(), each)
        del response.ended[sizes.fitting(response, response.ended) :]
        return response

    async def CancelSteps(
        self, request: pb.CancelStepsRequest, context: Context
    ) -> pb.CancelStepsResponse:
        step_ids = _step_ids(request.step_ids)
        states = await self._submitter.cancel(step_ids)
        pairs = zip(request.step_ids, states, strict=True)
        return pb.CancelStepsResponse(outcomes=[_cancelled(*pair) for pair in pairs])


def _step_ids(texts: Sequence[str]) -> list[StepId]:
    fields.count("step_ids", texts)
    return fields.each("step_ids", texts, fields.step_id)


def _cancelled(step_id: str, state: StepState | None) -> pb.CancelOutcome:
    if state is None:
        return pb.CancelOutcome(step_id=step_id)
    return pb.CancelOutcome(step_id=step_id, found=True, state=STATES[state])
