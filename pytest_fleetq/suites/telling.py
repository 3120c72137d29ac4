"""A pytest plugin that tells in one JSON file how a run went.

Loaded by `fleetq test` with `-p`; the file is named in the environment.
"""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pytest_fleetq.suites.machine import system

FILE = "FLEETQ_TEST_REPORT"
DETAILS = "FLEETQ_TEST_REPORT_DETAILS"
SEED = "fleetq_seed"
BAD = ("failed", "error")


class Teller:
    def __init__(self, path: Path, *, details: bool) -> None:
        self._path = path
        self._details = details
        self._began = datetime.now(UTC)
        self._clock = monotonic()
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            text = report.longreprtext
            told = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
            self._tests[report.nodeid] = _Test(
                "error", 0.0, reason=told[-1] if told else "cannot be collected", details=text
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(report.nodeid, _Test("passed", 0.0))
        test["duration_seconds"] = round(test["duration_seconds"] + report.duration, 3)
        outcome = _outcome(report)
        if outcome and test["outcome"] not in BAD:
            test["outcome"] = outcome
        if outcome in (*BAD, "skipped"):
            test["reason"] = _reason(report)
        properties = dict(report.user_properties)
        test["seed"] = properties.pop(SEED, test["seed"])
        test["metrics"] = {**test["metrics"], **properties}
        if self._details and report.sections:
            test["sections"] = {name: text for name, text in report.sections if text}
        if self._details and report.failed:
            test["details"] = report.longreprtext

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._path.write_text(json.dumps(self.document(int(exitstatus)), indent=2) + "\n")

    def document(self, exit_status: int) -> dict[str, object]:
        outcomes = [test["outcome"] for test in self._tests.values()]
        return {
            "timestamp": self._began.isoformat(timespec="seconds"),
            "exit_status": exit_status,
            "success": exit_status == 0,
            "totals": {
                "tests": len(outcomes),
                **{one: outcomes.count(one) for one in ("passed", *BAD, "skipped")},
                "duration_seconds": round(monotonic() - self._clock, 3),
            },
            "system_info": system(),
            "tests": [{"name": name, **test} for name, test in self._tests.items()],
        }


def _Test(outcome: str, seconds: float, **more: object) -> dict[str, Any]:  # noqa: N802
    return {
        "outcome": outcome,
        "duration_seconds": seconds,
        "seed": None,
        "metrics": {},
        **more,
    }


def _outcome(report: pytest.TestReport) -> str | None:
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "skipped" if report.skipped else None


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else _first(report.longreprtext.splitlines())


def _first(lines: Iterable[str]) -> str:
    return next((line for line in lines if line.strip()), "")


def pytest_configure(config: pytest.Config) -> None:
    if FILE in os.environ and not hasattr(config, "workerinput"):
        teller = Teller(Path(os.environ[FILE]), details=DETAILS in os.environ)
        config.pluginmanager.register(teller, "fleetq-test-report")
