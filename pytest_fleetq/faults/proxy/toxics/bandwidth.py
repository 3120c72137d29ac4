from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic

PIECE_SECONDS = 0.02  # a large chunk trickles, rather than to wait and then arrive at once
NOTICED_SECONDS = 0.001  # what waits less was not limited


@dataclass
class Bandwidth(Toxic):
    """At most `rate` KB (of 1000 bytes) pass in a second."""

    name = "bandwidth"
    rate: float = 0

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"bandwidth: rate={self.rate} must be above 0")
        self._free_at = 0.0

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        per_second = self.rate * 1000
        size = max(1, int(per_second * PIECE_SECONDS))
        for at in range(0, len(chunk.data), size):
            piece = chunk.data[at : at + size]
            self._free_at = max(self._free_at, place.now()) + len(piece) / per_second
            wait = self._free_at - place.now()
            if wait >= NOTICED_SECONDS and not place.removed:
                place.hit()
            await place.sleep(wait)
            await place.write(Chunk(piece, place.now()))
