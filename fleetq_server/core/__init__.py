"""What a pod can do, apart from how it is asked."""

from dataclasses import dataclass

from fleetq_server.core.claim import ClaimDesk
from fleetq_server.core.deadletter import DeadLetters
from fleetq_server.core.fleet import Fleet
from fleetq_server.core.submit import Submitter
from fleetq_server.core.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Core:
    submitter: Submitter
    claims: ClaimDesk
    waiting: Waiting
    dead: DeadLetters
    fleet: Fleet
