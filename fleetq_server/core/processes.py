"""Processes for handlers that compute, each of which runs one step at a time.

A ProcessPoolExecutor of several processes ends all of them when one dies, and does not tell
whose step it was. So each process is a pool of its own: what dies with it is its own step,
and a step can be ended without harm to the others.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from fleetq_server.core.context import Context

PR_SET_PDEATHSIG = 1


class ProcessDied(Exception):
    """A process handler took its process down."""


class Processes:
    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._idle: list[ProcessPoolExecutor] = []
        self._tasks: dict[Context, asyncio.Task[Any]] = {}
        self._working: dict[Context, ProcessPoolExecutor] = {}

    def submit(self, function: Callable[[Context], Any], context: Context) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(self._run(function, context))
        self._tasks[context] = task
        task.add_done_callback(lambda _: self._tasks.pop(context))
        return task

    def end(self, context: Context) -> None:
        """Ends the attempt with its process, or keeps it from beginning."""
        process = self._working.pop(context, None)
        if process is not None:
            _kill(process)
        elif context in self._tasks:
            self._tasks[context].cancel()

    def close(self) -> None:
        for process in (*self._idle, *self._working.values()):
            process.shutdown(wait=True, cancel_futures=True)

    async def _run(self, function: Callable[[Context], Any], context: Context) -> Any:
        async with self._free:
            process, future = self._begin(function, context)
            self._working[context] = process
            try:
                return await asyncio.wrap_future(future)
            except BrokenProcessPool:
                if self._working.pop(context, None):
                    process.shutdown(wait=False)
                raise ProcessDied("the process of the handler ended") from None
            finally:
                if self._working.pop(context, None):
                    self._idle.append(process)

    def _begin(
        self, function: Callable[[Context], Any], context: Context
    ) -> "tuple[ProcessPoolExecutor, Future[Any]]":
        while self._idle:
            process = self._idle.pop()
            try:
                return process, process.submit(call, function, context)
            except BrokenProcessPool:  # it died while it had nothing to do
                process.shutdown(wait=False)
        process = _process()
        return process, process.submit(call, function, context)


def call(function: Callable[[Context], Any], context: Context) -> Any:
    try:
        return function(context)
    except StopIteration as error:  # a future cannot carry it
        raise RuntimeError("handler raised StopIteration") from error


def _process() -> ProcessPoolExecutor:
    # Not fork: the pod has threads and gRPC objects, neither of which survives it.
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with,
        initargs=(os.getpid(),),
    )


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


def _die_with(pod: int) -> None:
    """A pod killed outright must not leave its handlers running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return  # not Linux
    if os.getppid() != pod:
        os._exit(1)  # the pod died before the request was made
