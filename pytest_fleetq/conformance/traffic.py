"""The calls of one worker, as they went through the proxy."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from fleetq_server.pb import (
    claim_service_pb2,
    fleet_service_pb2,
    heartbeat_service_pb2,
    step_service_pb2,
)

_MODULES = (step_service_pb2, claim_service_pb2, heartbeat_service_pb2, fleet_service_pb2)
_METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
REPORTS = ("CompleteSteps", "FailSteps")


@dataclass(slots=True)
class Call:
    """One call; times are monotonic seconds, `limit` is what was left of its deadline."""

    path: str
    request: Any
    limit: float | None
    begun: float = field(default_factory=time.monotonic)
    answer: Any = None
    answered: float | None = None
    code: grpc.StatusCode | None = None

    @property
    def rpc(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def ok(self) -> bool:
        return self.code is grpc.StatusCode.OK

    def tokens(self) -> list[bytes]:
        """The claims it reports on, or keeps alive."""
        match self.rpc:
            case "CompleteSteps":
                items = self.request.completions
            case "FailSteps":
                items = self.request.failures
            case "Beat":
                items = self.request.claims
            case "ReleaseSteps":
                return list(self.request.claim_tokens)
            case _:
                return []
        return [item.claim_token for item in items]


def known(path: str) -> bool:
    return path in _METHODS


def parse_request(path: str, data: bytes) -> Message:
    return GetMessageClass(_METHODS[path].input_type).FromString(data)


def parse_answer(path: str, data: bytes) -> Message:
    return GetMessageClass(_METHODS[path].output_type).FromString(data)


class Traffic:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._news = asyncio.Event()

    def tell(self) -> None:
        """Something about a call has changed."""
        self._news.set()

    def of(self, *rpcs: str, since: float = 0.0) -> Iterator[Call]:
        return (call for call in self.calls if call.rpc in rpcs and call.begun >= since)

    def reports(self, token: bytes, since: float = 0.0) -> list[Call]:
        return [call for call in self.of(*REPORTS, since=since) if token in call.tokens()]

    async def find(self, wanted: Callable[[Call], bool], within: float) -> Call | None:
        """The first such call; None if there is none within so many seconds."""
        try:
            async with asyncio.timeout(within):
                while True:
                    self._news.clear()
                    for call in self.calls:
                        if wanted(call):
                            return call
                    await self._news.wait()
        except TimeoutError:
            return None
