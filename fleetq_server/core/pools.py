"""Where plain handlers run: threads, and processes for CPU work."""

import asyncio
import contextvars
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import Handler, Mode
from fleetq_server.errors import ConfigError

PR_SET_PDEATHSIG = 1


class Displaced(Exception):
    """A process handler was ended for another step's sake."""


class ProcessDied(Exception):
    """A process handler took its process down, or one beside it did."""


class Running(NamedTuple):
    future: asyncio.Future[Any]
    kills_before: int | None = None  # None: not in a process


class Pools:
    def __init__(self, threads: int, processes: int, handlers: list[Handler]) -> None:
        wants_processes = [one.kind for one in handlers if one.mode is Mode.PROCESS]
        if wants_processes and not processes:
            raise ConfigError(
                f"handler {wants_processes[0]!r} wants a process: set process_workers to 1 or more"
            )
        self._threads = ThreadPoolExecutor(threads, "fleetq-handler")
        self._workers = processes
        self._kills = 0
        self._processes = _process_pool(processes) if wants_processes else None

    def submit(self, one: Handler, context: Context) -> Running:
        if one.mode is Mode.PROCESS:
            return Running(asyncio.wrap_future(self._submit(one, context)), self._kills)
        run: Callable[..., Any] = contextvars.copy_context().run
        return Running(asyncio.wrap_future(self._threads.submit(run, _call, one.function, context)))

    def result_of(self, running: Running) -> Any:
        """Of one that is done."""
        killed = running.kills_before is not None and running.kills_before != self._kills
        if killed and running.future.cancelled():
            raise Displaced  # it had not begun yet
        try:
            return running.future.result()
        except BrokenProcessPool:
            raise Displaced if killed else ProcessDied("the process of the handler ended") from None

    def _submit(self, one: Handler, context: Context) -> "Future[Any]":
        assert self._processes is not None
        try:
            return self._processes.submit(_call, one.function, context)
        except BrokenProcessPool:  # by itself, and for good
            self._processes.shutdown(wait=False)
            self._processes = _process_pool(self._workers)
            return self._processes.submit(_call, one.function, context)

    def kill_processes(self) -> None:
        """Ends what runs in processes now; the pool starts new ones when they are needed."""
        if self._processes is None:
            return
        self._kills += 1
        for process in list((self._processes._processes or {}).values()):
            process.kill()
        self._processes.shutdown(wait=False, cancel_futures=True)
        self._processes = _process_pool(self._workers)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(wait=True, cancel_futures=True)


def _call(function: Callable[[Context], Any], context: Context) -> Any:
    try:
        return function(context)
    except StopIteration as error:  # a future cannot carry it
        raise RuntimeError("handler raised StopIteration") from error


def _process_pool(workers: int) -> ProcessPoolExecutor:
    # Not fork: the pod has threads and gRPC objects, neither of which survives it.
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(),),
    )


def _begin(pod: int) -> None:
    """A pod killed outright must not leave its handlers running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return  # not Linux
    if os.getppid() != pod:
        os._exit(1)  # the pod died before the request was made
