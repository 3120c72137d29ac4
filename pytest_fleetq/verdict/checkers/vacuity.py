"""A test in which nothing happened proves nothing."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import AUDIT, JOURNAL, Fault, Outcome


class Vacuity:
    """Some operation succeeded, if any was tried; every fault took effect, and work went on while
    at least one of them was in force. A sudden one, such as a kill, is in force from then on."""

    name = "vacuity"
    needs_journal = False

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        counts = {of: n for of, n in history.outcomes.items() if of[0] not in (JOURNAL, AUDIT)}
        tried = sum(counts.values())
        if tried and not any(outcome is Outcome.OK for _, outcome in counts):
            yield Finding(f"not one of {tried} operations succeeded")
        for fault in history.faults:
            if not fault.effects:
                problem = f"nothing shows that {fault.name} of {fault.target} took effect"
                yield Finding(problem, lines=(fault.start_line,))
        if history.faults and not any(_stirred(f, tried, context) for f in history.faults):
            what = "operation, nor any event of a step" if tried else "event of the fleet"
            problem = f"during none of {len(history.faults)} faults was there any {what}"
            lines = tuple(fault.start_line for fault in history.faults[:5])
            yield Finding(problem, lines=lines)


def _stirred(fault: Fault, tried: int, context: Context) -> bool:
    stir = fault.since if fault.name in context.sudden_faults else fault.during
    # A test of the fleet itself makes no calls: there it is the fleet that must have stirred.
    return bool(stir.operations or (stir.step_events if tried else stir.events))
