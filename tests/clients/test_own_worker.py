"""FLEET-Q's own worker, where `fleetq conformance` found it wrong."""

import asyncio
from typing import Any

from fleetq_server.client import AsyncClient, Grant
from fleetq_server.core.context import Context
from fleetq_server.model import Claim, Release
from tests.cluster.fleet import Pods


class Watched(AsyncClient):
    """Keeps what it was granted."""

    claims: list[Claim]

    async def claim_steps(self, *arguments: Any, **options: Any) -> Grant:
        grant = await super().claim_steps(*arguments, **options)
        self.claims = [*getattr(self, "claims", []), *grant.claims]
        return grant


async def test_a_lost_handler_is_stopped_though_its_step_runs_here_again(pods: Pods) -> None:
    pod = pods.start("", heartbeat_interval_seconds=0.2)
    began: asyncio.Queue[None] = asyncio.Queue()
    stopped: asyncio.Event = asyncio.Event()
    first = True

    async def handler(_: Context) -> None:
        nonlocal first
        lost, first = first, False
        began.put_nowait(None)
        try:
            if lost:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    async with asyncio.timeout(60), Watched(pod.address) as client:
        worker = client.worker({"work": handler})
        running = asyncio.create_task(worker.run())
        step = await client.submit_one("work")
        await began.get()
        (claim,) = client.claims
        await client.release_steps([Release(claim.step_id, claim.fence)])
        await began.get()
        await stopped.wait()
        assert (await client.wait([step], timeout=30)).completed == 1
        worker.drain()
        await running
