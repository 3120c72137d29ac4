"""The history of a test, and the verdict over it.

with Recorder(path) as recorder:
    with recorder.operation("client-1", "submit", kind="resize", count=3) as operation:
        operation.ok(step_ids=[1, 2, 3])
judgement = judge(path, choose(silence=["nothing_stuck"]), Context(logs={"pod-0": log}))
assert judgement.verdict is Verdict.PASS, judgement.describe()
"""

from pytest_fleetq.verdict.checkers import DEFAULT_CHECKERS, choose
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.judging import judge
from pytest_fleetq.verdict.model import (
    Checker,
    CheckResult,
    Context,
    Finding,
    Judgement,
    Verdict,
)
from pytest_fleetq.verdict.recorder import OpenOperation, Recorder, fingerprint
from pytest_fleetq.verdict.records import Operation, Outcome

__all__ = [
    "DEFAULT_CHECKERS",
    "CheckResult",
    "Checker",
    "Context",
    "Finding",
    "History",
    "Judgement",
    "OpenOperation",
    "Operation",
    "Outcome",
    "Recorder",
    "Verdict",
    "choose",
    "fingerprint",
    "judge",
]
