"""Every rpc there is, called without the client."""

from contextlib import suppress
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

MODULES = (step_service_pb2, claim_service_pb2, heartbeat_service_pb2, fleet_service_pb2)
RPCS: dict[str, type[Message]] = {
    f"/{service.full_name}/{method.name}": GetMessageClass(method.input_type)
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
BOUND = 60.0


def empty(method: str) -> Message:
    """A request with nothing in it, but one that is answered soon."""
    if method.endswith("WatchEvents"):
        return fleet_service_pb2.WatchEventsRequest(after=0)
    return RPCS[method]()


def raw(channel: grpc.Channel) -> Any:
    """As the type stubs do not know it: what is sent and received are bytes."""
    return channel


def answer(
    channel: grpc.Channel,
    method: str,
    request: Message,
    *metadata: tuple[str, str],
    told: list[str] | None = None,
) -> grpc.StatusCode:
    """The status, OK as soon as a message came; `told` gets the text of another one."""
    call = raw(channel).unary_stream(method)(request.SerializeToString(), BOUND, metadata)
    with suppress(grpc.RpcError, StopIteration):  # its code is the call's
        next(call)
        call.cancel()
        return grpc.StatusCode.OK
    if told is not None:
        told.append(call.details())
    code: grpc.StatusCode = call.code()
    return code


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")
