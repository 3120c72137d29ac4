"""A process killed between any two statements, operations or commits leaves all or nothing.

Each operation is tried alone and in a group. The child does what the parent prepared and is
killed at the n-th place it passes, for every n, until it gets through unharmed.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fleetq_server import failpoints
from fleetq_server.model import (
    Cause,
    Claim,
    Completion,
    Failure,
    Fence,
    HolderKey,
    HolderType,
    NewHolder,
    NewStep,
    Progress,
    Result,
    StepId,
    Submitted,
)
from fleetq_server.store import base
from fleetq_server.store.base import Op
from tests.store.children import Say, child
from tests.store.driver import BACKENDS, EVERYTHING, START, Driver, boot_id, given_back

EVERYWHERE = (
    "store.between_statements",
    "store.between_ops",
    "store.before_begin",
    "store.before_commit",
    "store.after_commit",
)
LATE = START + 100


class Scene:
    """A fleet with something of everything: a leader, a worker, steps in every state."""

    def __init__(self, fleet: Driver) -> None:
        self.leader, self.worker = fleet.join("leader"), fleet.join("worker", HolderType.WORKER)
        self.term = fleet.lead(self.leader)
        fleet.bury(NewStep("dead"), NewStep("dead", idempotency_key="buried"), holder=self.worker)
        fleet.submit(*[NewStep("held", timeout=1.0)] * 4, NewStep("cancelled", timeout=1.0))
        self.done, *self.held = fleet.claim(self.worker, 5)
        fleet.complete(self.done, result=b"done")
        fleet.cancel(self.held[-1].step_id)
        self.waiting = fleet.submit(NewStep("waiting"), NewStep("waiting"))
        self.scheduled = fleet.submit(NewStep("scheduled", run_at=START + 50))
        fleet.now = LATE


def completions(claims: Sequence[Claim]) -> base.Complete:
    return base.Complete([Completion(c.step_id, c.fence, Result(b"r", False)) for c in claims])


def failures(claims: Sequence[Claim], **more: Any) -> base.Fail:
    return base.Fail(
        [Failure(c.step_id, c.fence, Cause.HANDLER_ERROR, "E", "m", **more) for c in claims]
    )


def releases(claims: Sequence[Claim]) -> base.ReleaseSteps:
    return base.ReleaseSteps([given_back(claim) for claim in claims])


def suspect(holder: HolderKey) -> tuple[base.Suspect, ...]:
    return (base.Suspect(holder),)


NEW = [NewStep("new", queue=f"q{i % 2}", idempotency_key=f"k{i}") for i in range(3)]
PROGRESS = b"half"

OPERATIONS: dict[str, Callable[[Scene], list[Op]]] = {
    "submit": lambda s: [base.Submit(NEW, "r")],
    "claim": lambda s: [base.ClaimSteps(s.worker, 9, request_id="r")],
    "claim from the dead": lambda s: [
        base.ClaimSteps(s.leader, 9, expired=suspect(s.worker), request_id="r")
    ],
    "complete": lambda s: [completions(s.held)],
    "fail": lambda s: [failures(s.held)],
    "fail for good": lambda s: [failures(s.held, retryable=False)],
    "release": lambda s: [releases(s.held)],
    "register": lambda s: [base.Register(NewHolder(boot_id("new"), HolderType.POD, "new"))],
    "beat": lambda s: [
        base.Beat(s.worker, 4, [Progress(*s.held[0][:2], PROGRESS)], [given_back(s.done)])
    ],
    "leave": lambda s: [base.Leave(s.worker)],
    "drain": lambda s: [base.Drain(boot_id("worker"))],
    "elect": lambda s: [base.Elect(s.leader, s.term, suspect(s.worker))],
    "resign": lambda s: [base.Resign(s.leader, s.term)],
    "recover": lambda s: [base.Recover(s.leader, s.term, suspect(s.worker))],
    "expire": lambda s: [base.ExpireAttempts(s.leader, s.term)],
    "cancel": lambda s: [base.Cancel([*s.waiting, s.held[0].step_id, *s.scheduled])],
    "pause": lambda s: [base.SetPaused("default", True)],
    "redrive": lambda s: [base.Redrive(EVERYTHING, rate=1.0, request_id="r")],
    "purge": lambda s: [base.Purge(EVERYTHING)],
    "prune": lambda s: [base.Prune(s.leader, s.term, LATE, LATE)],
    "a group of calls": lambda s: [
        base.Submit(NEW, "r"),
        completions(s.held[:1]),
        failures(s.held[1:2]),
        releases(s.held[2:]),
        base.Beat(s.leader),
        base.Redrive(EVERYTHING, request_id="r"),
        base.ClaimSteps(s.worker, 20, request_id="r"),
    ],
}
# These carry a request id or tokens: said again, they get the same answer.
REPEATABLE = OPERATIONS.keys() & {
    "submit",
    "claim",
    "claim from the dead",
    "complete",
    "fail",
    "fail for good",
    "release",
    "register",
    "leave",
    "redrive",
}


def apply_and_die(say: Say, url: str, ops: list[Op], spec: str) -> None:
    driver = Driver(url, seed=1)
    driver.now = LATE
    failpoints.arm(spec)
    say(driver.apply(*ops).answers)
    failpoints.disarm()
    driver.close()


def crash(url: str, ops: list[Op], spec: str) -> list[object] | None:
    """→ the answers, or None if the child died before it could give them."""
    with child(apply_and_die, url, ops, spec) as victim:
        heard = victim.hear_out()
        assert victim.exit_code in (0, -signal.SIGKILL), f"{spec}: exit code {victim.exit_code}"
        assert (victim.exit_code == 0) == bool(heard), "what was acknowledged and what was done"
        return heard[0] if heard else None


@pytest.fixture
def places() -> Iterator[ExitStack]:
    """Where the stores are, until the end of the test."""
    with ExitStack() as stack:
        yield stack


def prepare(
    backend: str, directory: Path, places: ExitStack
) -> tuple[str, Scene, dict[str, object]]:
    directory.mkdir()
    fleet = Driver(places.enter_context(BACKENDS[backend](directory)))
    scene = Scene(fleet)
    before = fleet.recorded()
    fleet.close()
    return fleet.url, scene, before


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_crash_leaves_all_or_nothing(
    name: str, backend: str, memory_path: Path, places: ExitStack
) -> None:
    url, scene, nothing = prepare(backend, memory_path / "whole", places)
    answers = crash(url, OPERATIONS[name](scene), "")
    assert answers is not None
    everything = look(url)
    assert everything != nothing, "an operation that does nothing proves nothing"
    crashes = 0
    for place in EVERYWHERE:
        committed = place == "store.after_commit"
        expected = everything if committed else nothing
        # PostgreSQL's sequences do not give a number twice, whatever became of who took it.
        same_numbers = committed or backend == "sqlite"
        for nth in count(1):
            url, scene, _ = prepare(backend, memory_path / f"{place}.{nth}", places)
            ops = OPERATIONS[name](scene)
            if crash(url, ops, f"{place}=kill@{nth}") is not None:
                assert nth > 1, f"{name} never comes by {place}"
                break
            crashes += 1
            repeated = answers if name in REPEATABLE else None
            assert look(url, ops, repeated, same_numbers=same_numbers) == expected
    assert crashes >= 6


def look(
    url: str,
    ops: Sequence[Op] = (),
    answers: list[object] | None = None,
    *,
    same_numbers: bool = True,
) -> dict[str, object]:
    """→ what is recorded. Afterwards the next process says the same again, and goes on."""
    fleet = Driver(url, seed=1)
    fleet.now = LATE
    fleet.assert_sound()
    found = fleet.recorded()
    again = fleet.apply(*ops).answers
    if answers is not None:
        assert comparable(again, same_numbers) == comparable(answers, same_numbers)
    fleet.submit(NewStep("afterwards"))
    fleet.assert_sound()
    fleet.close()
    return found


def comparable(answers: list[object], same_numbers: bool) -> list[object]:
    """Without fences: those of a repeatable claim come from a secret that each store has of its
    own. Numbers that were given anew, where they need not be the same, as their distance from the
    first of their answer."""
    return [
        [_comparable(one, None if same_numbers else answer[0]) for one in answer]
        if isinstance(answer, list)
        else _comparable(answer, None if same_numbers else answer)
        for answer in answers
    ]


def _comparable(one: object, first: object) -> object:
    if isinstance(one, Claim):
        return one._replace(fence=Fence(0))
    if isinstance(one, Submitted) and isinstance(first, Submitted):
        return one._replace(step_id=StepId(one.step_id - first.step_id))
    if type(one) is int and type(first) is int:
        return one - first  # a holder's key
    return one
