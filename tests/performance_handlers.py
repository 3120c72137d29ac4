"""What the pods of the performance suite run."""

import asyncio

from fleetq_server import Context, handler


@handler("work")
async def work(ctx: Context) -> int:
    """As long as it is told to, in seconds; and no longer once its pod was killed over it."""
    request = ctx.json()
    if ctx.attempt == 1:
        await asyncio.sleep(request.get("seconds", 0))
    return int(request.get("n", 0))


@handler("digest")
async def digest(ctx: Context) -> int:
    return len(ctx.payload)
