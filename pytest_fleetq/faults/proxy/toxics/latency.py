from dataclasses import dataclass

from pytest_fleetq.faults.proxy.chunk import Chunk
from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class Latency(Toxic):
    """`latency` ± `jitter` milliseconds after it came, a chunk goes on. Chunks never overtake, and
    wait side by side: latency alone costs no throughput."""

    name = "latency"
    latency: float = 0
    jitter: float = 0

    async def pass_on(self, place: Place, chunk: Chunk) -> None:
        delay = (self.latency + place.luck.uniform(-self.jitter, self.jitter)) / 1000
        wait = chunk.at + delay - place.now()
        if wait > 0:
            place.hit()
            await place.sleep(wait)
        # Toxics behind this one count from when it leaves here.
        await place.write(chunk._replace(at=place.now()))

    async def pass_end_on(self, place: Place, chunk: Chunk) -> None:
        await self.pass_on(place, chunk)
