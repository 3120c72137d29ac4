from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class LimitData(Toxic):
    """Closes the connection when `bytes` bytes have passed."""

    name = "limit_data"
    bytes: float = 0

    def __post_init__(self) -> None:
        self._left = int(self.bytes)

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        await place.write(chunk._replace(data=chunk.data[: self._left]))
        self._left -= min(self._left, len(chunk.data))
        if self._left == 0:
            place.hit()
            await place.finish()
