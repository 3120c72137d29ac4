from dataclasses import dataclass

from pytest_fleetq.faults.proxy.toxics.base import Place, Toxic


@dataclass
class ResetPeer(Toxic):
    """Resets the connection after `timeout` milliseconds, also one on which nothing is said
    (toxiproxy waits for the next chunk); until then nothing passes."""

    name = "reset_peer"
    timeout: float = 0

    async def run(self, place: Place) -> None:
        await place.sleep(self.timeout / 1000)
        if not place.removed:
            place.hit()
            await place.reset()
