"""Where plain handlers run: in threads, and in processes for CPU work."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import Handler, Mode
from fleetq_server.core.processes import Processes, call
from fleetq_server.errors import ConfigError


class Pools:
    def __init__(self, threads: int, processes: int, handlers: list[Handler]) -> None:
        wants_processes = [one.kind for one in handlers if one.mode is Mode.PROCESS]
        if wants_processes and not processes:
            raise ConfigError(
                f"handler {wants_processes[0]!r} wants a process: set process_workers to 1 or more"
            )
        self._threads = ThreadPoolExecutor(threads, "fleetq-handler")
        self._processes = Processes(processes)

    def submit(self, one: Handler, context: Context) -> "asyncio.Future[Any]":
        """Runs the handler's function; ProcessDied if its process ended before it did."""
        if one.mode is Mode.PROCESS:
            return self._processes.submit(one.function, context)
        run: Callable[..., Any] = contextvars.copy_context().run
        return asyncio.wrap_future(self._threads.submit(run, call, one.function, context))

    def end_process(self, context: Context) -> None:
        """Ends a process handler with its process; one that has not begun never does. Threads
        cannot be ended."""
        self._processes.end(context)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._processes.close()
