"""The lives of FLEET-Q's steps, from the fleet's journal.

claim   from when a step may run (it was submitted and is due, given back, recovered, redriven)
        until a holder has it. Waits between retries are the step's own policy and do not count.
step    from its submit, as its client meant it, until its end.
"""

from collections.abc import Iterable, Iterator, Sequence

from pytest_fleetq.perf.measure.history import Call, Happening, Story, Submitted
from pytest_fleetq.verdict.records import Outcome

CLAIM, STEP = "claim", "step"
CLAIM_CALL = "claim_call"  # a worker's call, which may wait long for the first step there is
ENDS = {"completed": Outcome.OK, "dead": Outcome.FAIL, "cancelled": Outcome.FAIL}
READY_AGAIN = frozenset({"released", "recovered", "redriven"})


def lives(story: Story, since: float, now: float, *, own: bool = False) -> Iterator[Call]:
    """Of all steps submitted since then; what is not over lasts until now, of unknown outcome.

    `own`: only of those whose submit is in this history, for others use the same fleet.
    """
    steps = _Steps(story, since, own)
    for event in story.journal:
        yield from steps.take(event)
    yield from steps.unfinished(now)


def calls_apart(story: Story) -> Sequence[Call]:
    """The calls of a history of FLEET-Q pods, by names that are not those of lives."""
    return [call._replace(name=CLAIM_CALL) if call.name == CLAIM else call for call in story.calls]


class _Steps:
    def __init__(self, story: Story, since: float, own: bool) -> None:
        self._own = own
        self._known = story.submitted
        self._since = since
        self._ready: dict[int, float] = {}
        self._alive: dict[int, float] = {}
        self._pods: dict[str, str] = {}

    def take(self, event: Happening) -> Iterable[Call]:
        match event.type:
            case "pod_joined":
                self._pods[event.holder] = str(event.detail.get("name", ""))
            case "submitted" if event.at >= self._since:
                self._begin(event)
            case "claimed":
                return list(self._claimed(event))
            case "retrying":
                for step in event.steps:
                    self._ready.pop(step, None)
            case type if type in READY_AGAIN:
                self._ready.update((s, event.at) for s in event.steps if s in self._alive)
            case type if type in ENDS:
                return list(self._ended(event))
        return ()

    def unfinished(self, now: float) -> Iterator[Call]:
        for name, open_now in ((CLAIM, self._ready), (STEP, self._alive)):
            for start in open_now.values():
                if start < now:
                    yield Call(name, start, now, Outcome.INFO)

    def _begin(self, event: Happening) -> None:
        for step in event.steps:
            if self._own and step not in self._known:
                continue
            known = self._known.get(step, Submitted(event.at, event.at))
            self._ready[step] = max(event.at, known.run_at)
            self._alive[step] = max(known.start, known.run_at)

    def _claimed(self, event: Happening) -> Iterator[Call]:
        where = self._pods.get(event.holder, "")
        for step in event.steps:
            start = self._ready.pop(step, None)
            if start is not None:
                yield Call(CLAIM, start, max(start, event.at), Outcome.OK, 1, where)

    def _ended(self, event: Happening) -> Iterator[Call]:
        where = self._pods.get(event.holder, "")
        for step in event.steps:
            self._ready.pop(step, None)
            start = self._alive.pop(step, None)
            if start is not None:
                yield Call(STEP, start, max(start, event.at), ENDS[event.type], 1, where)
