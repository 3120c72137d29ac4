"""FLEET-Q's own worker, with the handler that `fleetq conformance` asks for."""

import asyncio
import os
import signal
from typing import Any

from fleetq_server.client import AsyncClient


class AskedFor(Exception):
    pass


async def work(context: Any) -> object:
    payload = context.json()
    await asyncio.sleep(payload.get("seconds", 0))
    if "fail" in payload:
        raise type(payload["fail"], (AskedFor,), {})
    return payload


async def main() -> None:
    async with AsyncClient(os.environ["FLEET_Q_ADDRESS"]) as client:
        worker = client.worker({"work": work}, parallelism=4)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.drain)
        await worker.run()


asyncio.run(main())
