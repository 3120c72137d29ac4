"""The fleet's own events, brought into the history."""

from fleetq_server.client import Client
from fleetq_server.errors import Unavailable
from pytest_fleetq.verdict.recorder import Recorder

MARK = "fleetq-journal-end"  # a queue that nobody uses
QUIET_SECONDS = 5.0


class Journal:
    """Reads on where it stopped the last time.

    The stream of events has no end of its own, and to wait for silence would be a guess: so a queue
    of ours is paused, and what came before that event is all there was.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._through = 0

    def read(self, client: Client) -> None:
        """Raises: FleetError if the fleet cannot be asked."""
        after = self._through
        with self._recorder.operation("harness", "journal") as operation:
            client.pause(MARK)
            for event in client.events(after=after, quiet=QUIET_SECONDS):
                self._through = event.seq
                if event.type == "paused" and event.queue == MARK:
                    break
                self._recorder.event(event)
            else:
                raise Unavailable("the end of the fleet's journal did not come")
            client.resume(MARK)
            operation.ok(after=after, through=self._through)
