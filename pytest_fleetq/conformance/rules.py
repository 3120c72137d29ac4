"""What a worker has to do; docs/protocol.md says why."""

from dataclasses import dataclass

RULES = {
    "completes": "records results with CompleteSteps, as they are",
    "fails": "reports failures with FailSteps, and the error's name",
    "long-poll": "waits for steps in ClaimSteps instead of asking again and again",
    "deadlines": "gives every call a deadline, and ClaimSteps one beyond its wait",
    "request-ids": "gives every new claim a new request_id",
    "repeats-claim": "repeats a claim whose answer was lost with the same request_id",
    "repeats-report": "repeats a report whose answer was lost with the same token",
    "heartbeats": "keeps the claims of long work by heartbeats that name them",
    "cancel": "stops cancelled work and releases it",
    "lost-claim": "stops work whose claim it lost, and reports nothing of it",
    "timeout": "stops an attempt at its timeout",
    "fence": "stops its work when heartbeats went unanswered for dead_threshold",
    "begins-anew": "goes on under a new holder_id once it was declared dead",
    "backoff": "makes at most 20 calls a second while the fleet does not answer",
    "overload": "after RESOURCE_EXHAUSTED waits as long as RetryInfo says",
    "drain-signal": "on SIGTERM claims no more, finishes or releases, exits with 0",
    "drain-fleet": "does the same when a heartbeat's answer says drain",
    "new-holder": "has another holder_id at each start",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a rule was kept; `broken` says how it was not."""

    rule: str
    broken: str = ""

    @property
    def kept(self) -> bool:
        return not self.broken


class Trouble(Exception):
    """A trial could not go on; the text says what the worker did or left out."""
