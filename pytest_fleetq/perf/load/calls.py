"""What a load driver can do: calls of FLEET-Q's client, or functions of the project under test."""

import asyncio
import base64
import inspect
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from random import Random
from typing import Any, NamedTuple, TypeAlias

from fleetq_server.client import AsyncClient
from fleetq_server.model import NewStep
from pytest_fleetq.perf.load.plan import BUILT_IN, Plan

KNOWN_STEPS = 10_000  # that `get` asks for
THREADS = 128  # for functions that are not async


class Turn(NamedTuple):
    """What a function of one's own is given.

    Attributes:
        number: Of the call, from 0.
        addresses: Of all pods, host:port.
        settings: What `load(…)` was given beside its own arguments.
        timeout: Seconds that it may take.
    """

    number: int
    addresses: Sequence[str]
    settings: Mapping[str, Any]
    timeout: float


Answer: TypeAlias = Mapping[str, object]
Call: TypeAlias = Callable[[Turn], Awaitable[Answer]]


class FleetqCalls:
    """One client for all, and a request for each call, as if from clients that are apart."""

    def __init__(self, plan: Plan) -> None:
        self._client = AsyncClient(plan.addresses, timeout=plan.timeout)
        told = plan.settings
        payload = base64.b64decode(told.get("payload", ""))
        step = NewStep(told.get("kind", ""), payload, told.get("queue", "default"))
        self._steps = [step] * int(told.get("batch", 1))
        self._known: deque[int] = deque(maxlen=KNOWN_STEPS)
        self._knows = asyncio.Event()
        self._rng = Random(plan.seed)

    async def connect(self) -> None:
        await self._client.stats()

    async def close(self) -> None:
        await self._client.close()

    async def submit(self, _: Turn) -> Answer:
        answer = await self._client.submit_steps(self._steps, request_id=secrets.token_hex(16))
        step_ids = [one.step_id for one in answer]
        self._known.extend(step_ids)
        self._knows.set()
        return {"step_ids": step_ids}

    async def get(self, _: Turn) -> Answer:
        await self._knows.wait()
        await self._client.get(self._known[self._rng.randrange(len(self._known))])
        return {}

    async def stats(self, _: Turn) -> Answer:
        await self._client.stats()
        return {}


def calls_of(plan: Plan, fleetq: FleetqCalls) -> dict[str, Call]:
    """By the name in the mix.

    Raises: ImportError, AttributeError for functions that are not there.
    """
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fleetq-load")
    return {
        name: getattr(fleetq, name) if name in BUILT_IN else _own(name, threads)
        for name in plan.mix
    }


def shown(name: str) -> str:
    """What the calls of an entry of the mix are called: `read` for `my.calls:read`."""
    return name.rpartition(":")[2]


def _own(name: str, threads: ThreadPoolExecutor) -> Call:
    module, _, attribute = name.partition(":")
    function = getattr(import_module(module), attribute)

    async def call(turn: Turn) -> Answer:
        if inspect.iscoroutinefunction(function):
            await function(turn)
        else:
            await asyncio.get_running_loop().run_in_executor(threads, function, turn)
        return {}

    return call
