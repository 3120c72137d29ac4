from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class Corrupt(Toxic):
    """Flips one bit in one byte of every `every`."""

    name = "corrupt"
    every: float = 1000

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"corrupt: every={self.every:g} must be from 1")
        self._passed = 0

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        data, every = bytearray(chunk.data), int(self.every)
        for at in range(every - 1 - self._passed % every, len(data), every):
            data[at] ^= 1 << place.luck.randrange(8)
            place.hit()
        self._passed += len(data)
        await place.write(chunk._replace(data=bytes(data)))
