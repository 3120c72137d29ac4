"""What a judgement is made of.

Named tuples but for one: a dataclass costs a millisecond of every start of pytest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import NamedTuple, Protocol

from pytest_fleetq.verdict.history import History, StepId

# Python, Go, Rust, the sanitizers of C compilers, and the kernel's word for a segmentation fault.
LOG_PATTERNS = (
    r"Traceback \(most recent call last\)",
    r"Fatal Python error",
    r"\bpanic: |\bpanicked at\b",
    r"\b(Address|HWAddress|Thread|Memory|Leak|UndefinedBehavior)Sanitizer\b",
    r"\bFATAL\b|\bfatal error\b|\blevel=fatal\b|\"level\": ?\"(critical|fatal)\"",
    r"\bSegmentation fault\b|\bcore dumped\b|\bAssertion .*failed\b",
    r"was never awaited|Task exception was never retrieved",
)

# A policy as it stands in a history; the same fields and defaults as FLEET-Q's.
DEFAULT_RETRY: Mapping[str, object] = {
    "max_attempts": 3,
    "initial_delay": 1.0,
    "multiplier": 2.0,
    "max_delay": 300.0,
    "jitter": 0.1,
    "non_retryable": (),
}


class Verdict(StrEnum):
    PASS = auto()
    FAIL = auto()
    UNKNOWN = auto()

    @staticmethod
    def worst(verdicts: Iterable["Verdict"]) -> "Verdict":
        """FAIL over UNKNOWN over PASS."""
        found = set(verdicts)
        for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
            if verdict in found:
                return verdict
        return Verdict.PASS


class Finding(NamedTuple):
    """One thing that is wrong, or (UNKNOWN) that cannot be told.

    `lines` are the lines of the history that show it, in the order the sentence names them.
    """

    problem: str  # one sentence
    step: StepId | None = None
    lines: tuple[int, ...] = ()
    verdict: Verdict = Verdict.FAIL

    def __str__(self) -> str:
        where = f" (line {', '.join(map(str, self.lines))})" if self.lines else ""
        return f"{self.problem}{where}"


@dataclass(frozen=True, slots=True)
class Context:
    """What a checker may need to know beside the history. Durations in seconds."""

    logs: Mapping[str, Path] = field(default_factory=dict)  # pod → its log file
    log_patterns: Sequence[str] = LOG_PATTERNS
    ignored_log_patterns: Sequence[str] = ()  # lines that match one of these are expected
    grace: float = 5.0  # from the last heal until everything must have moved on
    default_retry: Mapping[str, object] = field(default_factory=lambda: DEFAULT_RETRY)
    # Faults that are over as soon as they happened: nothing but a restart would heal them.
    sudden_faults: frozenset[str] = frozenset({"kill", "stop", "restart", "crash_at", "power_loss"})
    max_crashes: int | None = 3  # holders a step may kill before it goes to the DLQ; None: unknown
    delay_tolerance: float = 0.002  # how much shorter a retry delay may look
    only_recorded_clients: bool = True  # nobody else submits: unknown steps are unexpected


class Checker(Protocol):
    """A rule about a whole history.

    `check` yields what breaks the rule, nothing if all is well. It may be a generator:
    it is not asked for more findings than are shown. One that raises says nothing about the
    system: its verdict is UNKNOWN.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_journal(self) -> bool:
        """Whether it can only judge the fleet's own events; UNKNOWN where there are none."""
        ...

    def check(self, history: History, context: Context, /) -> Iterable[Finding]: ...


class CheckResult(NamedTuple):
    checker: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    more: bool = False  # whether there were findings beyond those kept
    seconds: float = 0.0


class Judgement:
    """What all chosen checkers said about one history."""

    __slots__ = ("results",)

    def __init__(self, results: tuple[CheckResult, ...]) -> None:
        self.results = results

    @property
    def verdict(self) -> Verdict:
        return Verdict.worst(result.verdict for result in self.results)

    def __getitem__(self, checker: str) -> CheckResult:
        for result in self.results:
            if result.checker == checker:
                return result
        raise KeyError(checker)

    def describe(self) -> str:
        """The findings as text, the worst checkers first; one line if there is none."""
        if self.verdict is Verdict.PASS:
            return f"pass: {len(self.results)} checkers found nothing"
        order = (Verdict.FAIL, Verdict.UNKNOWN)
        told = [result for verdict in order for result in self.results if result.verdict is verdict]
        return "\n".join(line for result in told for line in _told(result))


def _told(result: CheckResult) -> Iterable[str]:
    yield f"{result.checker}: {result.verdict}"
    for finding in result.findings:
        yield f"  {finding}"
    if result.more:
        yield "  … and more of them"
