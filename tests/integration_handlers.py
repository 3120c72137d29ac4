"""What the pods of the integration suite run."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from fleetq_server import Context, handler


@handler("work")
async def work(ctx: Context) -> dict[str, Any]:
    request = ctx.json()
    await asyncio.sleep(request.get("seconds", 0))
    return {"n": request["n"], "pid": os.getpid()}


@handler("hold")
async def hold(ctx: Context) -> dict[str, Any]:
    """Ends when the test says so."""
    gate = Path(ctx.json()["gate"])
    while not gate.exists():
        await asyncio.sleep(0.01)
    return {"pid": os.getpid()}


@handler("fail")
async def fail(ctx: Context) -> int:
    if ctx.attempt < ctx.json()["succeed_at"]:
        raise ValueError("not yet")
    return ctx.attempt


@handler("keyed")
async def keyed(ctx: Context) -> dict[str, str]:
    request = ctx.json()
    with Path(request["journal"]).open("ab", buffering=0) as journal:
        journal.write(ctx.idempotency_key.encode() + b"\n")
    if ctx.attempt < request.get("fail", 0):
        raise ValueError("once more")
    return {"key": ctx.idempotency_key}


@handler("poison")
async def poison(_: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
