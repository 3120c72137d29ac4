"""The gRPC server of one pod."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from fleetq_server.core import Core
from fleetq_server.errors import ConfigError
from fleetq_server.pb import (
    claim_service_pb2,
    claim_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    heartbeat_service_pb2,
    heartbeat_service_pb2_grpc,
    step_service_pb2,
    step_service_pb2_grpc,
)
from fleetq_server.rpc.claim_service import ClaimService
from fleetq_server.rpc.fleet_service import FleetService
from fleetq_server.rpc.heartbeat_service import HeartbeatService
from fleetq_server.rpc.interceptors import CallGuard
from fleetq_server.rpc.security.ownership import OwnedClaimService, OwnedHeartbeatService
from fleetq_server.rpc.security.setup import OPEN, Security
from fleetq_server.rpc.sizes import MESSAGE_BYTES
from fleetq_server.rpc.step_service import StepService

SERVICES = tuple(
    service.full_name
    for module in (step_service_pb2, claim_service_pb2, heartbeat_service_pb2, fleet_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)

METADATA_BYTES = 8 * 1024

OPTIONS: Sequence[tuple[str, int]] = (
    # With it, a second pod on the same port would silently take half of the calls.
    ("grpc.so_reuseport", 0),
    # Whatever a batch may hold by its item count, a request is never larger than this.
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # Headers of all sorts together; more is refused before anybody looks at it.
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES),
    # Clients may ping every 20 s, also between calls; by default they would be sent away.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Notices that the other end of a long poll is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Clients find new pods when they connect anew; the grace outlasts the longest poll.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)

# gRPC's core (1.78) crashes now and then when told to stop while a connection is being made: three
# in a thousand pods that were stopped as soon as they were ready, none of 784 with this.
SETTLE_SECONDS = 0.03
FLUSH_SECONDS = 0.1  # for answers that are on their way out

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class RpcServer:
    """Serves `core` on HOST:PORT.

    `interceptors` run inside FLEET-Q's own, outermost first. Without `allow_insecure` only a
    loopback address is taken, unless `security` keeps strangers out.
    """

    def __init__(
        self,
        core: Core,
        *,
        listen: str,
        allow_insecure: bool = False,
        reflection: bool = False,
        security: Security = OPEN,
        interceptors: "Sequence[grpc.aio.ServerInterceptor[Any, Any]]" = (),
    ) -> None:
        if not allow_insecure and (refusal := security.exposure(listen)):
            raise ConfigError(f"{refusal} (or --allow-insecure)")
        inner = (security.gate, *interceptors) if security.gate else tuple(interceptors)
        self._core = core
        self._listen = listen
        self._reflection = reflection
        self._security = security
        self._guard = CallGuard(innermost=not inner)
        self._interceptors = (self._guard, *inner)
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Begins to serve; not healthy before `set_serving(True)`. → the port"""
        # Made here, because it binds itself to the running event loop.
        server = grpc.aio.server(interceptors=self._interceptors, options=OPTIONS)
        self._add_services(server)
        if self._reflection:
            _add_reflection(server)
        port = self._bind(server)
        if port is None:
            del server  # or the error's traceback keeps it until its event loop is gone
            raise ConfigError(f"listen={self._listen}: in use, or no address of this host")
        await self.set_serving(False)
        await server.start()
        self._server = server
        return port

    async def set_serving(self, serving: bool) -> None:
        """What health checks answer. "" means that the process lives, whatever the store does."""
        await self._health.set("", _SERVING)
        for service in SERVICES:
            await self._health.set(service, _SERVING if serving else _NOT_SERVING)

    async def drain(self) -> None:
        """Unhealthy for good; takes in no new steps, and sends those who wait to other pods."""
        await self._health.enter_graceful_shutdown()
        self._guard.drain()

    async def stop(self, grace: float) -> None:
        """Refuses new calls at once; those still running after `grace` seconds are cut."""
        server, self._server = self._server, None
        if server is not None:
            # The server's own grace waits for idle connections too, whose other end may be asleep.
            await self._guard.close(grace)
            await asyncio.sleep(SETTLE_SECONDS)
            await server.stop(FLUSH_SECONDS)

    async def wait_closed(self) -> None:
        """Returns when the server has stopped, for whatever reason."""
        if self._server is not None:
            await self._server.wait_for_termination()

    def _add_services(self, server: grpc.aio.Server) -> None:
        core = self._core
        steps = StepService(core.submitter, core.waiting, core.fleet)
        step_service_pb2_grpc.add_StepServiceServicer_to_server(steps, server)
        claims, heartbeats = self._of_workers()
        claim_service_pb2_grpc.add_ClaimServiceServicer_to_server(claims, server)
        heartbeat_service_pb2_grpc.add_HeartbeatServiceServicer_to_server(heartbeats, server)
        fleet = FleetService(core.fleet, core.dead)
        fleet_service_pb2_grpc.add_FleetServiceServicer_to_server(fleet, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    def _of_workers(self) -> tuple[ClaimService, HeartbeatService]:
        desk, masks = self._core.claims, self._security.masks
        if masks is None:
            return ClaimService(desk), HeartbeatService(desk)
        return OwnedClaimService(desk, masks), OwnedHeartbeatService(desk, masks)

    def _bind(self, server: grpc.aio.Server) -> int | None:
        certificates = self._security.certificates
        try:
            if certificates is None:
                return server.add_insecure_port(self._listen)
            return server.add_secure_port(self._listen, certificates.credentials())
        except RuntimeError:
            return None


def _add_reflection(server: grpc.aio.Server) -> None:
    try:
        reflection = import_module("grpc_reflection.v1alpha.reflection")
    except ImportError:
        raise ConfigError("reflection=true needs the package grpcio-reflection") from None
    names = (*SERVICES, "grpc.health.v1.Health", reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
