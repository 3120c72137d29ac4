"""Asking the checkers."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Checker, CheckResult, Context, Finding, Judgement, Verdict
from pytest_fleetq.verdict.resting import collector_at_rest

FINDINGS_KEPT = 20  # per checker: the first few tell the story


def judge(
    history: History | str | Path, checkers: Iterable[Checker], context: Context | None = None
) -> Judgement:
    """Every checker's verdict over one history.

    Raises OSError if the history is a path and cannot be read. Nothing a checker raises comes
    through: its verdict is UNKNOWN then.
    """
    with collector_at_rest():
        return _judged(history, checkers, context or Context())


def _judged(
    history: History | str | Path, checkers: Iterable[Checker], context: Context
) -> Judgement:
    # A history that is read here is also gone before the collector wakes up and looks at it all.
    told = history if isinstance(history, History) else History.load(history)
    results = [_ask(checker, told, context) for checker in checkers]
    if untold := _untold(told):
        results.append(CheckResult("history", Verdict.UNKNOWN, untold))
    return Judgement(tuple(results))


def _ask(checker: Checker, history: History, context: Context) -> CheckResult:
    began = time.perf_counter()
    try:
        found = _findings(checker, history, context)
    except Exception as error:  # a checker may be anybody's
        found = [Finding(f"the checker failed: {_last_line(error)}", verdict=Verdict.UNKNOWN)]
    seconds = time.perf_counter() - began
    verdict = Verdict.worst(finding.verdict for finding in found)
    kept = tuple(found[:FINDINGS_KEPT])
    return CheckResult(checker.name, verdict, kept, len(found) > len(kept), seconds)


def _findings(checker: Checker, history: History, context: Context) -> Sequence[Finding]:
    if checker.needs_journal and not history.journal_events:
        return [_no_journal()] if history.steps else []
    found: dict[Verdict, list[Finding]] = {Verdict.FAIL: [], Verdict.UNKNOWN: []}
    for finding in checker.check(history, context):
        same = found[finding.verdict]
        if len(same) <= FINDINGS_KEPT:
            same.append(finding)
        if len(found[Verdict.FAIL]) > FINDINGS_KEPT:
            break
    return [*found[Verdict.FAIL], *found[Verdict.UNKNOWN]]


def _no_journal() -> Finding:
    problem = "steps were submitted, but the history has no events of the fleet to judge by"
    return Finding(problem, verdict=Verdict.UNKNOWN)


def _untold(history: History) -> tuple[Finding, ...]:
    """What the history should have told and does not."""
    found = []
    if history.damaged:
        problem = f"{len(history.damaged)} lines of the history cannot be read"
        lines = tuple(history.damaged[:FINDINGS_KEPT])
        found.append(Finding(problem, lines=lines, verdict=Verdict.UNKNOWN))
    if trouble := history.journal_trouble:
        problem = (
            "the fleet's journal could not be read to its end, so what it does not tell could not "
            f"be judged: {trouble.error}"
        )
        found.append(Finding(problem, lines=(trouble.called,), verdict=Verdict.UNKNOWN))
    return tuple(found)


def _last_line(error: Exception) -> str:
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = "" if where is None else f" ({where.tb_frame.f_code.co_filename}:{where.tb_lineno})"
    return f"{type(error).__name__}: {error}{place}"
