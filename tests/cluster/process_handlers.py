"""Handlers for the process pool: pods that load this module need process_workers."""

import os
import time
from typing import Any

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import handler
from tests.cluster.handlers import GLANCE, may_go_on, tell


@handler("process-hold", process=True)
def process_hold(ctx: Context) -> dict[str, Any]:
    tell(ctx, "started")
    while not may_go_on(ctx):
        time.sleep(GLANCE)
    tell(ctx, "ended")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@handler("process-exit", process=True)
def process_exit(ctx: Context) -> int:
    """Takes its process with it, until the attempt named."""
    tell(ctx, "started")
    if ctx.attempt < ctx.json()["succeed_at"]:
        os._exit(3)
    return ctx.attempt
