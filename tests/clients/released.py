"""A client as it was generated for the release before: its messages come from ci/released.binpb."""

from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.cluster.launch import ROOT

IMAGE = ROOT / "ci" / "released.binpb"
SERVICES = ("StepService", "ClaimService", "HeartbeatService", "FleetService")
LIMIT = 30.0


class Released:
    """Calls rpcs by name, with fields by name; keeps which ones it has called."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._pool = DescriptorPool()
        for file in FileDescriptorSet.FromString(IMAGE.read_bytes()).file:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._methods = {
            method.name: method
            for name in SERVICES
            for method in self._pool.FindServiceByName(f"fleetq.v1.{name}").methods
        }
        self.called: set[str] = set()

    @property
    def rpcs(self) -> set[str]:
        return set(self._methods)

    def message(self, name: str, **fields: Any) -> Message:
        return GetMessageClass(self._pool.FindMessageTypeByName(f"fleetq.v1.{name}"))(**fields)

    def call(self, rpc: str, **fields: Any) -> Any:
        """Its answer, or the stream of them."""
        method = self._methods[rpc]
        self.called.add(rpc)
        kind = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        function = kind(
            f"/{method.containing_service.full_name}/{rpc}",
            lambda message: message.SerializeToString(),
            GetMessageClass(method.output_type).FromString,
        )
        return function(self.message(method.input_type.name, **fields), timeout=LIMIT)

    def close(self) -> None:
        self._channel.close()
