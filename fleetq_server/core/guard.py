"""Runs a handler's coroutine one resumption at a time, looking at the clock before each.

A pod that was frozen (SIGSTOP, a paused virtual machine) wakes in the middle of things: its
timers and its handlers' are all due at once, and nothing says that the one which cancels the
handlers comes first. Checking here, where the handler would go on, needs no luck: past its lease
no handler of this pod executes another line.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Fenced(asyncio.CancelledError):
    """The lease ran out; nobody asked for this one handler to stop."""


@types.coroutine
def guarded(
    coroutine: Coroutine[Any, Any, Any],
    lease_lost: Callable[[], bool],
    suspended: Callable[[], None],
) -> Generator[Any, Any, Any]:
    """`suspended` is called once, when the handler first waits for something."""
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # most short handlers never wait at all
    suspended()
    return (yield from resumed(coroutine, waiting_for, lease_lost))


@types.coroutine
def resumed(
    coroutine: Coroutine[Any, Any, Any], waiting_for: object, lease_lost: Callable[[], bool]
) -> Generator[Any, Any, Any]:
    """Goes on with a coroutine that waits for something."""
    while True:
        try:
            try:
                sent = yield waiting_for
            except BaseException as error:
                waiting_for = coroutine.throw(error)
            else:
                lost = lease_lost()
                waiting_for = coroutine.throw(Fenced()) if lost else coroutine.send(sent)
        except StopIteration as ended:
            return ended.value
