"""Where plain handlers run: threads, and processes for CPU work."""

import asyncio
import contextvars
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import Handler, Mode
from fleetq_server.errors import ConfigError

PR_SET_PDEATHSIG = 1


class Pools:
    def __init__(self, threads: int, processes: int, handlers: list[Handler]) -> None:
        wants_processes = [one.kind for one in handlers if one.mode is Mode.PROCESS]
        if wants_processes and not processes:
            raise ConfigError(f"handler {wants_processes[0]!r} wants a process: set process_workers to 1 or more")
        self._threads = ThreadPoolExecutor(threads, "fleetq-handler")
        self._workers = processes
        self._processes = _process_pool(processes) if wants_processes else None

    def submit(self, one: Handler, context: Context) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        if one.mode is Mode.PROCESS and self._processes is not None:
            return loop.run_in_executor(self._processes, one.function, context)
        run: Callable[..., Any] = contextvars.copy_context().run
        return loop.run_in_executor(self._threads, run, one.function, context)

    def kill_processes(self) -> None:
        """Ends what runs in processes now; the pool starts new ones when they are needed."""
        if self._processes is None:
            return
        for process in list((self._processes._processes or {}).values()):
            process.kill()
        self._processes.shutdown(wait=False, cancel_futures=True)
        self._processes = _process_pool(self._workers)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(wait=True, cancel_futures=True)


def _process_pool(workers: int) -> ProcessPoolExecutor:
    # Not fork: the pod has threads and gRPC objects, neither of which survives it.
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
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
