"""A test in which nothing happened proves nothing."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import Outcome


class Vacuity:
    """Some operation succeeded, if any was tried; every fault took effect, and work went on while
    at least one of them was in force."""

    name = "vacuity"
    needs_journal = False

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        tried = sum(history.outcomes.values())
        succeeded = sum(n for (_, outcome), n in history.outcomes.items() if outcome is Outcome.OK)
        if tried and not succeeded:
            yield Finding(f"not one of {tried} operations succeeded")
        for fault in history.faults:
            if not fault.effects:
                problem = f"nothing shows that {fault.name} of {fault.target} took effect"
                yield Finding(problem, lines=(fault.start_line,))
        yield from _undisturbed(history, tried)


def _undisturbed(history: History, tried: int) -> Iterator[Finding]:
    # A test of the fleet itself makes no calls: there it is the fleet that must have stirred.
    counts = [fault.operations if tried else fault.events for fault in history.faults]
    if counts and not any(counts):
        what = "operation was under way" if tried else "event happened"
        problem = f"{len(counts)} faults were injected, and no {what} during any of them"
        yield Finding(problem, lines=tuple(fault.start_line for fault in history.faults[:5]))
