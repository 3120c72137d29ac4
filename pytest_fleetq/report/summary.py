"""A run in a few words, for programs: what `fleetq report --json` prints."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_fleetq.report.bundle import Bundle
from pytest_fleetq.verdict.model import Verdict


def summarise(bundle: Bundle) -> dict[str, Any]:
    """Raises: NoBundle where a file of the bundle is damaged."""
    ended, told, history = bundle.ended, bundle.environment, bundle.history
    measured = bundle.measurements
    return {
        "test": told.test,
        "outcome": ended.outcome,
        "verdict": ended.verdict,
        "checkers": {result.checker: result.verdict for result in ended.checkers},
        "findings": [str(finding) for finding in ended.findings],
        "faults": len(history.faults),
        "steps": len(history.steps),
        "operations": sum(history.outcomes.values()),
        "seconds": history.end,
        "budgets": [asdict(budget) for budget in measured.budgets] if measured else [],
        "seed": told.seed,
        "reproduce": told.reproduce,
        "folder": str(bundle.directory),
    }


def in_words(told: Mapping[str, Any]) -> str:
    """A summary for people, and where its page is."""
    verdict = f", checkers: {told['verdict']}" if told["verdict"] else ""
    lines = [f"{told['test'] or told['folder']}: {told['outcome']}{verdict}"]
    lines += [f"  {finding}" for finding in told["findings"]]
    lines += [
        f"  {budget['expression']}: {budget['verdict']}"
        for budget in told["budgets"]
        if budget["verdict"] != Verdict.PASS
    ]
    return "\n".join([*lines, f"report: {told['page']}"])
