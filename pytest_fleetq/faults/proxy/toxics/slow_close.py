from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class SlowClose(Toxic):
    """The end of a stream comes `delay` milliseconds late."""

    name = "slow_close"
    delay: float = 0

    async def pass_end_on(self, place: Place, chunk: Chunk) -> None:
        if self.delay:
            place.hit()
        await place.sleep(self.delay / 1000)
        await place.write(chunk)
