"""What a history is made of, once it is read. The format itself is described in `history`.

Named tuples: there may be a million of them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

StepId: TypeAlias = int | str  # a FLEET-Q step id, or whatever another system calls its work
Value: TypeAlias = Mapping[str, Any]

NOTHING: Value = {}

# The harness's own operations: it reads the events of the fleet, and looks into its DLQ.
JOURNAL, AUDIT = "journal", "audit"

# States no step leaves by itself.
TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Outcome(StrEnum):
    OK = "ok"
    FAIL = "fail"  # certainly had no effect
    INFO = "info"  # may have had its effect, may have it later, may never have it


class Operation(NamedTuple):
    """One call of a client, from its invocation to its completion, if there was one.

    `called` and `returned` are lines of the history: an operation came before another exactly
    if its `returned` is less than the other's `called`, whatever clocks say.
    """

    process: str
    name: str
    value: Value  # what was asked
    answer: Value  # what came back, with what was asked; empty unless the outcome is OK
    outcome: Outcome
    called: int
    returned: int | None  # None: the outcome is unknown, for ever
    started: float  # seconds since the history began
    ended: float | None
    error: str = ""


class Happened(NamedTuple):
    """One event of the fleet's own journal."""

    seq: int  # the order in which the store did things
    at: float  # the store's time
    type: str
    queue: str | None
    holder: str | None
    term: int | None
    detail: Value
    line: int
    seen: float  # when the recorder got it, seconds since the history began: later than it happened


class Seen(NamedTuple):
    """A step as one read showed it."""

    state: str
    result: Any
    called: int
    line: int


class Claimed(NamedTuple):
    """One claim, as its holder was told of it."""

    holder: str
    fence: Any
    called: int
    line: int


class Write(NamedTuple):
    """One write by a holder (complete, fail, release) that was accepted."""

    operation: str
    holder: str
    fence: Any
    result: Any
    called: int
    line: int


class Submission(NamedTuple):
    """How a submit described a step; shared by all that it described alike."""

    kind: str | None
    queue: str | None
    run_at: float | None
    retry: Value | None  # None: the default policy


class Trace:
    """Everything a history tells of one step, in order."""

    __slots__ = (
        "acknowledged",
        "asked",
        "claims",
        "events",
        "missing",
        "ordinary",
        "reads",
        "step",
        "writes",
    )

    def __init__(self, step: StepId) -> None:
        self.step = step
        self.acknowledged = 0  # line of the first submit that returned this step
        self.asked: Submission | None = None  # how that submit described it
        self.events: list[Happened] = []
        self.ordinary = False  # submitted, claimed, completed, read as written: breaks no rule
        self.reads: list[Seen] = []
        self.claims: list[Claimed] = []
        self.writes: list[Write] = []
        self.missing: tuple[int, int] | None = None  # the last read (called, line) that found none


class Stir(NamedTuple):
    """What went on in some time."""

    operations: int  # calls under way or begun
    events: int  # that came in
    step_events: int  # those of them that are about steps


class Fault(NamedTuple):
    name: str
    target: str
    detail: Value
    start: float
    end: float | None  # None: never healed
    start_line: int
    end_line: int | None
    effects: tuple[Value, ...]  # what proves that it bit
    during: Stir  # while it was in force
    since: Stir  # from its start to the history's end


class Phase(NamedTuple):
    name: str
    start: float
    line: int


class Note(NamedTuple):
    text: str
    about: Value
    line: int


class JournalRead(NamedTuple):
    """The fleet's journal was brought into the history, or that was tried."""

    called: int  # line; all that happened before is told, if it was read to its end
    ended: float | None  # None: it was not
    error: str


class DeadListing(NamedTuple):
    """One look at the DLQ."""

    steps: Mapping[StepId, Value]
    everything: bool  # no filter, no limit: what it does not show is not there
    called: int
    line: int
