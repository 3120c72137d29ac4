"""Handlers that tell what they do, line by line, in a journal file their payload names, and go on
only when a test says so."""

import asyncio
import json
import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import InvalidPayload, PermanentError, handler

GLANCE = 0.005  # between two looks at whether to go on


def tell(ctx: Context, event: str, **more: Any) -> None:
    line = {"step": ctx.step_id, "attempt": ctx.attempt, "event": event, "pid": os.getpid()}
    text = json.dumps({**line, "at": time.monotonic(), "wall": time.time(), **more})
    # One write in append mode: lines of several pods never mix.
    with Path(ctx.json()["journal"]).open("ab", buffering=0) as journal:
        journal.write(text.encode() + b"\n")


def may_go_on(ctx: Context) -> bool:
    return Path(ctx.json()["until"]).exists()


@handler("note")
async def note(ctx: Context) -> dict[str, Any]:
    tell(ctx, "ran")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@handler("other-note")
async def other_note(ctx: Context) -> dict[str, Any]:
    return await note(ctx)


@handler("plain-note")
def plain_note(ctx: Context) -> dict[str, Any]:
    tell(ctx, "ran")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@handler("hold")
async def hold(ctx: Context) -> dict[str, Any]:
    tell(ctx, "started")
    try:
        while not may_go_on(ctx):
            await asyncio.sleep(GLANCE)
    except asyncio.CancelledError:
        tell(ctx, "cancelled")
        raise
    tell(ctx, "ended")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@handler("plain-hold")
def plain_hold(ctx: Context) -> dict[str, Any]:
    tell(ctx, "started")
    while not may_go_on(ctx):
        if ctx.cancelled.wait(GLANCE):
            tell(ctx, "cancelled")
            raise RuntimeError("told to stop")
    tell(ctx, "ended")
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@handler("deaf")
def deaf(ctx: Context) -> None:
    """Never looks whether it should stop."""
    tell(ctx, "started")
    while not may_go_on(ctx):
        time.sleep(GLANCE)
    tell(ctx, "ended")


@handler("tick")
async def tick(ctx: Context) -> None:
    while not may_go_on(ctx):
        tell(ctx, "tick")
        await asyncio.sleep(ctx.json().get("pause", GLANCE))
    tell(ctx, "ended")


@handler("block")
async def block(ctx: Context) -> None:
    """What no coroutine should do."""
    tell(ctx, "started")
    await asyncio.sleep(0)  # whoever submitted it is answered meanwhile
    time.sleep(ctx.json()["seconds"])
    tell(ctx, "woke")
    await asyncio.sleep(0)
    tell(ctx, "ended")


@handler("slow-cleanup")
async def slow_cleanup(ctx: Context) -> None:
    tell(ctx, "started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        tell(ctx, "cleaning")
        while not may_go_on(ctx):
            await asyncio.sleep(GLANCE)
        tell(ctx, "clean")
        raise


@handler("poison")
async def poison(ctx: Context) -> None:
    tell(ctx, "started")
    os.kill(os.getpid(), signal.SIGKILL)


@handler("fail")
async def fail(ctx: Context) -> int:
    request = ctx.json()
    tell(ctx, "ran")
    if ctx.attempt >= request.get("succeed_at", 1000):
        return ctx.attempt
    raise _errors(request)


@handler("plain-fail")
def plain_fail(ctx: Context) -> int:
    request = ctx.json()
    tell(ctx, "ran")
    raise _errors(request)


def _errors(request: dict[str, Any]) -> BaseException:
    known: dict[str, BaseException] = {
        "ValueError": ValueError("not today"),
        "PermanentError": PermanentError("never"),
        "InvalidPayload": InvalidPayload("no such colour"),
        "SystemExit": SystemExit("a script's way out"),
        "StopIteration": StopIteration(),
        "Surrogate": ValueError("half a character: \udcff"),
        "Unprintable": Unprintable(),
        "Cancelled": asyncio.CancelledError(),
        "Group": BaseExceptionGroup("two", [ValueError(), KeyboardInterrupt()]),
    }
    return known[request["error"]]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for this")


@handler("parse")
async def parse(ctx: Context) -> Any:
    return ctx.json()


@handler("give")
async def give(ctx: Context) -> Any:
    what = ctx.json()["what"]
    return {
        "json": {"answer": 42, "text": "grüß", "list": [1, None, True]},
        "bytes": b"\x00\xff raw",
        "none": None,
        "set": {1, 2},
        "nan": float("nan"),
        "large": b"x" * (256 * 1024),
        "too large": b"x" * (256 * 1024 + 1),
    }[what]


@handler("report")
async def report(ctx: Context) -> None:
    ctx.progress({"share": 0.5})
    await hold(ctx)


@handler("chatter")
def chatter(ctx: Context) -> None:
    logging.getLogger("shop.orders").warning("counting %s", "apples")


@handler("async-chatter")
async def async_chatter(ctx: Context) -> None:
    await asyncio.sleep(0)
    logging.getLogger("shop.orders").warning("counting %s", "pears")


@handler("about")
async def about(ctx: Context) -> dict[str, Any]:
    return {
        "step_id": ctx.step_id,
        "kind": ctx.kind,
        "queue": ctx.queue,
        "attempt": ctx.attempt,
        "metadata": dict(ctx.metadata),
        "idempotency_key": ctx.idempotency_key,
        "submit_key": ctx.submit_key,
        "deadline": ctx.deadline,
    }
