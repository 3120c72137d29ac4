"""What pods wrote into their logs."""

import re
from collections.abc import Iterator
from pathlib import Path

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict

_SHOWN = 160  # characters of the line
_DATED = re.compile(r"\d{4}-\d\d-\d\dT")  # begins each entry of a log for people


class LogPatterns:
    """No log has a line that matches one of the patterns and none of the ignored ones."""

    name = "log_patterns"
    needs_journal = False

    def check(self, _history: History, context: Context) -> Iterator[Finding]:
        bad = _any_of(context.log_patterns)
        expected = _any_of(context.ignored_log_patterns)
        for pod, path in context.logs.items():
            try:
                yield from _suspicious(pod, path, bad, expected)
            except OSError as error:
                problem = f"the log of {pod} cannot be read: {error}"
                yield Finding(problem, verdict=Verdict.UNKNOWN)


def _any_of(patterns: object) -> re.Pattern[str]:
    assert isinstance(patterns, list | tuple)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)")


def _suspicious(
    pod: str, path: Path, bad: re.Pattern[str], expected: re.Pattern[str]
) -> Iterator[Finding]:
    continued = False  # an expected entry, whose traceback is on the lines below it
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            suspicious = bad.search(line) is not None
            if expected.search(line):
                continued = not suspicious
            elif _DATED.match(line):
                continued = False
            if suspicious and not continued and not expected.search(line):
                yield Finding(f"{pod} logged, in line {number}: {line.strip()[:_SHOWN]}")
