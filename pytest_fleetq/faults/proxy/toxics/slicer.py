from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class Slicer(Toxic):
    """Cuts chunks into pieces of `average_size` ± `size_variation` bytes, `delay` µs apart: finds
    who takes what one read returns for a whole message."""

    name = "slicer"
    average_size: float = 64
    size_variation: float = 0
    delay: float = 0

    def __post_init__(self) -> None:
        if not 0 <= self.size_variation < self.average_size:
            raise ValueError(
                f"slicer: size_variation={self.size_variation:g} must be from 0 to below "
                f"average_size={self.average_size:g}"
            )

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        at = 0
        while at < len(chunk.data):
            if place.removed:
                return await place.write(Chunk(chunk.data[at:], place.now()))
            size = self._size(place)
            if size < len(chunk.data):
                place.hit()
            await place.write(Chunk(chunk.data[at : at + size], place.now()))
            await place.sleep(self.delay / 1_000_000)
            at += size
        return None

    def _size(self, place: Place) -> int:
        spread = place.luck.uniform(-self.size_variation, self.size_variation)
        return max(1, round(self.average_size + spread))
