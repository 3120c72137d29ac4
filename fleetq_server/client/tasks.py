"""Which task is running, for code that knows it is in one."""

import asyncio
from typing import Any


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
