"""The way every call goes: channels, deadline, repeats.

Why the repeats are made here and not by gRPC's retryPolicy: that one stops after five attempts
however much of the deadline is left, and knows neither google.rpc.RetryInfo nor several names.
A repeat is the same message, so it carries the same request id or tokens, and is harmless.
"""

import asyncio
import json
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeVar

import grpc
import grpc.aio

from fleetq_server.client.addresses import split_addresses, targets
from fleetq_server.client.credentials import Metadata, Tls, Token, refuse_in_the_clear
from fleetq_server.client.errors import from_rpc_error
from fleetq_server.client.tasks import this_task
from fleetq_server.errors import (
    ClientClosed,
    ConfigError,
    FleetError,
    NoPodReachable,
    Overloaded,
    Unavailable,
)
from fleetq_server.pb.claim_service_pb2_grpc import ClaimServiceStub
from fleetq_server.pb.fleet_service_pb2_grpc import FleetServiceStub
from fleetq_server.pb.heartbeat_service_pb2_grpc import HeartbeatServiceStub
from fleetq_server.pb.step_service_pb2_grpc import StepServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")

FIRST_BACKOFF = 0.02
LONGEST_BACKOFF = 1.0

FORKED = (
    "this process was forked from one that had called pods already, and gRPC works in no such "
    "process; fork before the first call, or use multiprocessing's method 'spawn'"
)

CHANNEL_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted pod should be found within a second; gRPC's own backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A claim or wait of 1000 steps may carry 256 KiB each; a client trusts its own fleet.
    ("grpc.max_receive_message_length", -1),
    # Pods are neighbours; a proxy for the web in the environment must not catch calls to them.
    ("grpc.enable_http_proxy", 0),
]


class Stubs:
    """The services, over one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.steps = StepServiceStub(channel)
        self.claims = ClaimServiceStub(channel)
        self.heartbeat = HeartbeatServiceStub(channel)
        self.fleet = FleetServiceStub(channel)


Pick = Callable[[Stubs], grpc.aio.UnaryUnaryMultiCallable[Request, Response]]


class Link:
    """Channels to the pods of one fleet; opened on first use, on the loop of that use."""

    _process: ClassVar[int | None] = None  # that uses gRPC

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        timeout: float,
        patience: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        tls: Tls | None = None,
        token: str | Path | None = None,
        allow_insecure: bool = False,
    ) -> None:
        self.addresses = split_addresses(addresses)
        self.timeout = timeout
        if tls is not None and credentials is not None:
            raise ConfigError("tls and credentials say the same thing; give one of them")
        self._token = Token(token) if token is not None else None
        encrypted = tls is not None or credentials is not None
        if self._token and not (encrypted or allow_insecure):
            refuse_in_the_clear(self.addresses)
        # One certificate seldom names several addresses: then each is a target of its own.
        apart = encrypted and not (tls and tls.server_name)
        self._targets = targets(self.addresses, apart=apart)
        self._options = [*CHANNEL_OPTIONS, *(tls.options if tls else ())]
        self.patience = float("inf") if patience is None else patience
        self._credentials = tls.credentials() if tls else credentials
        self._stubs: list[Stubs] = []
        self._current = 0
        self._closed = False

    @property
    def metadata(self) -> Metadata | None:
        return self._token.metadata if self._token is not None else None

    @property
    def stubs(self) -> Stubs:
        self._check_open()
        if not self._stubs:
            self._stubs = [Stubs(self._open(target)) for target in self._targets]
        return self._stubs[self._current]

    async def call(
        self,
        pick: Pick[Request, Response],
        request: Request,
        timeout: float | None = None,
        *,
        outlast_overload: bool = False,
    ) -> Response:
        """Calls until there is an answer, an error other than Unavailable, or no time left."""
        attempts = self.attempts(self.timeout if timeout is None else timeout, outlast_overload)
        while True:
            try:
                return await pick(self.stubs)(
                    request, timeout=attempts.remaining(), metadata=self.metadata
                )
            except grpc.aio.AioRpcError as raw:
                error = from_rpc_error(raw)
                self.turn_from(error)
                await attempts.pause_after(self.explain(error), raw)
            except asyncio.CancelledError:
                # A channel that is closed cancels its calls, though nobody cancelled the task.
                if not this_task().cancelling():
                    self._check_open()
                raise

    def attempts(self, timeout: float, outlast_overload: bool = False) -> "Attempts":
        begin = asyncio.get_running_loop().time()
        give_up = begin + min(timeout, self.patience)
        return Attempts(begin + timeout, give_up, outlast_overload)

    def turn_from(self, error: FleetError) -> None:
        """After an error that another channel may not have, the next attempt takes that one."""
        if isinstance(error, Unavailable) and self._stubs:
            self._current = (self._current + 1) % len(self._stubs)

    def explain(self, error: FleetError) -> FleetError:
        """gRPC's account of failed connections says little to people; the addresses do."""
        if isinstance(error, NoPodReachable):
            at = ", ".join(self.addresses)
            if "handshake" in str(error).lower():
                return NoPodReachable(f"TLS with {at} failed: another CA, or a name not in it?")
            return NoPodReachable(f"no pod answered at {at}")
        return error

    async def close(self) -> None:
        self._closed = True
        stubs, self._stubs = self._stubs, []
        for each in stubs:
            await each.channel.close(None)

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("this client is closed")

    def _open(self, target: str) -> grpc.aio.Channel:
        process = os.getpid()
        if Link._process not in (None, process):  # gRPC's threads were not forked: it would hang
            raise ClientClosed(FORKED)
        Link._process = process
        if self._credentials is None:
            return grpc.aio.insecure_channel(target, options=self._options)
        return grpc.aio.secure_channel(target, self._credentials, options=self._options)


class Attempts:
    """Decides after each failed attempt whether, and when, there is another."""

    def __init__(self, deadline: float, give_up: float, outlast_overload: bool) -> None:
        self._deadline = deadline
        self._give_up = give_up
        self._outlast_overload = outlast_overload
        self._backoff = FIRST_BACKOFF
        self._doubtful = False

    def remaining(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def pause_after(self, error: FleetError, cause: BaseException | None) -> None:
        """Sleeps until the next attempt, or raises `error` if there is to be none."""
        delay = self._delay(error)
        if delay is None or asyncio.get_running_loop().time() + delay >= self._limit(error):
            if self._doubtful and not isinstance(error, Unavailable):
                error.add_note("an earlier attempt got no answer and may have had its effect")
            raise error from cause
        self._doubtful = self._doubtful or isinstance(error, Unavailable)
        await asyncio.sleep(delay)

    def _delay(self, error: FleetError) -> float | None:
        if isinstance(error, NoPodReachable):
            return self._next_backoff()
        if isinstance(error, Unavailable) or (
            isinstance(error, Overloaded) and self._outlast_overload
        ):
            return max(self._next_backoff(), error.retry_after * random.uniform(1.0, 1.3))
        return None

    def _limit(self, error: FleetError) -> float:
        return self._give_up if isinstance(error, Unavailable) else self._deadline

    def _next_backoff(self) -> float:
        delay = self._backoff * random.uniform(0.7, 1.3)
        self._backoff = min(LONGEST_BACKOFF, self._backoff * 2)
        return delay
