"""What a toxic is: it reads chunks of one stream of one connection, and passes them on."""

from abc import ABC
from random import Random
from typing import ClassVar, NoReturn, Protocol

from pytest_fleetq.faults.proxy.chunk import Chunk


class Place(Protocol):
    """Where a toxic works, and what it may do there. No waiting here outlasts the toxic's removal:
    so it is interruptible everywhere."""

    luck: Random  # this connection's own
    removed: bool

    def hit(self) -> None:
        """It acted: counted as evidence."""
        ...

    def now(self) -> float: ...

    async def read(self) -> Chunk | None:
        """The next chunk; None once the toxic is removed."""
        ...

    async def arrival(self, seen: int) -> int:
        """Waits until more than `seen` chunks have come, and leaves them where they are. → how many
        there were ever; 0 once the toxic is removed."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Less long if the toxic is removed meanwhile."""
        ...

    async def write(self, chunk: Chunk) -> None: ...

    async def finish(self) -> NoReturn:
        """Closes the connection in order; what was written before arrives."""
        ...

    async def reset(self) -> NoReturn:
        """Resets the connection."""
        ...


class Toxic(ABC):
    """Subclasses are dataclasses whose fields are the attributes. One instance serves one stream of
    one connection, so it may keep what it needs to know of it."""

    name: ClassVar[str]

    async def run(self, place: Place) -> None:
        """Until it is removed. Whatever it has read it must write."""
        while (chunk := await place.read()) is not None:
            if chunk.end is None:
                await self.pass_on(place, chunk)
            else:
                await self.pass_end_on(place, chunk)

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        await place.write(chunk)

    async def pass_end_on(self, place: Place, chunk: Chunk) -> None:
        await place.write(chunk)
