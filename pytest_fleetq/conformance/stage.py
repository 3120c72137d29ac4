"""One worker, its proxy, its queue: where a trial takes place."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from google.protobuf.duration_pb2 import Duration

from fleetq_server.client import AsyncClient
from fleetq_server.model import Release, RetryPolicy, Step, StepState, read_token
from pytest_fleetq.conformance.proxy import Proxy
from pytest_fleetq.conformance.rules import Trouble
from pytest_fleetq.conformance.subject import Subject
from pytest_fleetq.conformance.traffic import Call, Traffic

START = 30.0  # seconds for a worker to claim its first step
GLANCE = 0.05
ENDED = (StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED)


class Stage:
    def __init__(self, address: str, command: Sequence[str], *, kind: str, patience: float) -> None:
        self.queue = f"conformance-{secrets.token_hex(4)}"
        self.kind = kind
        self.patience = patience  # seconds beyond what the protocol gives
        self.traffic = Traffic()
        self.client = AsyncClient(address)
        self.proxy = Proxy(address, self.queue, self.traffic)
        self._command = command
        self._subject: Subject | None = None
        self.interval = self.threshold = 0.0

    async def __aenter__(self) -> Self:
        await self.proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subject is not None:
            await self._subject.end()
        await self.proxy.stop()
        await self.client.close()

    @property
    def subject(self) -> Subject:
        assert self._subject is not None
        return self._subject

    async def open(self) -> Call:
        """Starts the worker and lets it run one step, from whose claim the timing is known."""
        self._subject = Subject(self._command, self.proxy.address)
        await self._subject.start()
        step = await self.submit({})
        claimed = await self.claimed(step, START)
        self.interval = seconds(claimed.answer.heartbeat_interval)
        self.threshold = seconds(claimed.answer.dead_threshold)
        await self.ended(step, START)
        return claimed

    async def submit(self, payload: dict[str, object], timeout: float | None = None) -> str:
        return await self.client.submit_one(
            self.kind,
            payload,
            queue=self.queue,
            attempt_timeout=timeout,
            retry=RetryPolicy(max_attempts=1),
        )

    async def claimed(self, step: str, more: float = 0.0, since: float = 0.0) -> Call:
        """The ClaimSteps that was granted this step. Raises: Trouble."""

        def grants(call: Call) -> bool:
            return call.begun >= since and token_of(call, step) is not None

        within = self.patience + more
        return await self.call(grants, f"claimed nothing within {within:g} s", within)

    async def call(self, wanted: Callable[[Call], bool], without: str, within: float) -> Call:
        """The first such call. Raises: Trouble that tells what it did without one."""
        finding = asyncio.create_task(self.traffic.find(wanted, within))
        gone = asyncio.create_task(self.subject.gone())
        await asyncio.wait({finding, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        found = finding.result() if finding.done() else None
        finding.cancel()
        if found is None:
            code = self.subject.exit_code
            state = "runs" if code is None else f"ended with {code}"
            raise Trouble(f"{without}; it {state}, and said: {self.subject.said()}")
        return found

    async def ended(self, step: str, more: float = 0.0) -> Step:
        """Raises: Trouble if it has not."""
        within = self.patience + more
        found = await self.step_until(step, lambda seen: seen.state in ENDED, within)
        if found.state not in ENDED:
            raise Trouble(f"a step was still {found.state} after {within:g} s")
        return found

    async def step_until(self, step: str, look: Callable[[Step], bool], within: float) -> Step:
        """The step when it first looks so, or as it is after so many seconds."""
        deadline = time.monotonic() + within
        while True:
            found = await self.client.get(step)
            if look(found) or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(GLANCE)

    async def give_back(self, token: bytes) -> None:
        """Releases a claim behind the worker's back: its token proves it, whoever has that."""
        parts = read_token(token)
        assert parts is not None
        await self.client.release_steps([Release(*parts)])


def token_of(call: Call, step: str) -> bytes | None:
    """The claim of this step that the call was granted."""
    if call.rpc != "ClaimSteps" or not call.ok:
        return None
    tokens = [claim.claim_token for claim in call.answer.claims if claim.step_id == step]
    return bytes(tokens[0]) if tokens else None


def seconds(duration: Duration | Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


async def until(moment: float) -> None:
    """Sleeps to a monotonic time."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
