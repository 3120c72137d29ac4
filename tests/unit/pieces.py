"""A writer and an executor over a real store, without a pod around them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleetq_server.clock import SystemClock
from fleetq_server.core.executor import Executor
from fleetq_server.core.handlers import load_handlers
from fleetq_server.core.pools import Pools
from fleetq_server.model import HolderKey, HolderType, NewHolder, NewStep, Step, StepId
from fleetq_server.store.base import Applied, Op, Register, StandingClaim, Submit
from fleetq_server.store.sqlite import SqliteStore
from fleetq_server.store.writer import GroupWriter


class CountingStore(SqliteStore):
    """Remembers what went into each transaction."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.groups: list[list[type[Op]]] = []

    def apply(
        self,
        ops: Sequence[Op],
        standing: Sequence[StandingClaim] = (),
        now: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Applied:
        self.groups.append([type(op) for op in ops])
        return super().apply(ops, standing, now, meanwhile)


class Bench:
    """One holder's writer over one new store."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.store = CountingStore(directory / "fleet.db")
        self.reader = self.store.reader()
        self.applied: list[Applied] = []
        self.writer = GroupWriter(
            self.store,
            asyncio.get_running_loop(),
            SystemClock(),
            on_commit=self.applied.append,
            **options,
        )
        self.lease_lost = False

    async def begin(self) -> HolderKey:
        self.writer.start()
        self.key: HolderKey = await self.writer.one(
            Register(NewHolder("a" * 32, HolderType.POD)), internal=True
        )
        return self.key

    async def end(self) -> None:
        await self.writer.stop()
        audit = self.reader.audit()
        self.reader.close()
        self.store.close()
        assert audit.problems == ()

    async def submit(self, *steps: NewStep) -> list[StepId]:
        return [one.step_id for one in await self.writer.one(Submit(steps))]

    def step(self, step_id: StepId) -> Step:
        step = self.reader.get_step(step_id)
        assert step is not None
        return step

    async def ended(self, *step_ids: StepId) -> list[Step]:
        """Waits until this writer has brought them to a terminal state."""
        async with asyncio.timeout(10):
            while not all(self.step(step_id).state.terminal for step_id in step_ids):
                await asyncio.sleep(0.002)
        return [self.step(step_id) for step_id in step_ids]

    def executor(self, *handlers: Callable[..., Any], capacity: int = 10) -> Executor:
        found: Mapping[str, Any] = load_handlers((), handlers)
        return Executor(
            self.writer,
            SystemClock(),
            found,
            capacity=capacity,
            queues=None,
            pools=Pools(capacity, 0, list(found.values())),
            lease_lost=lambda: self.lease_lost,
        )
