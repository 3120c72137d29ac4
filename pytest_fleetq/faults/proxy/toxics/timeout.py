from dataclasses import dataclass

from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class Timeout(Toxic):
    """Nothing passes; after `timeout` milliseconds the connection is closed. With 0 it stays, and
    what came meanwhile passes when the toxic is removed. (Toxiproxy forgets it, and must then close
    the connection; TCP sends again what a broken network lost, so this is nearer to the truth.)"""

    name = "timeout"
    timeout: float = 0

    async def run(self, place: Place) -> None:
        if self.timeout:
            await place.sleep(self.timeout / 1000)
            if not place.removed:
                place.hit()
                await place.finish()
            return
        seen = 0
        while (arrived := await place.arrival(seen)) > seen:
            for _ in range(arrived - seen):
                place.hit()
            seen = arrived
