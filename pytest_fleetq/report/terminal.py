"""What pytest shows of a failed test: short enough to read, long enough to understand it."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from pytest_fleetq.report.cited import Line, lines_of, read_lines, told_of
from pytest_fleetq.verdict.lines import decode
from pytest_fleetq.verdict.model import CheckResult, Judgement, Verdict

MOST_LINES = 20  # of one log
LEAST_LINES = 5
LINES_IN_ALL = 80
LONGEST_RUN = 3
LONGEST = 240  # characters
END_SHOWN = 90  # of a line that is longer: errors are told at its end
LINES_OF_A_FINDING = 4
MOST_BYTES = 256 * 1024


def log_tail(log: Path, pods: int = 1) -> str:
    """The end of a log; the more pods there are, the less of each."""
    try:
        size = log.stat().st_size
        with log.open("rb") as file:
            file.seek(max(0, size - MOST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    most = min(MOST_LINES, max(LEAST_LINES, LINES_IN_ALL // pods))
    told = [text for _, run in groupby(lines, _event) for text in _run(list(run))]
    head = ["… and more before"] if len(told) > most else []
    return "\n".join([*head, *told[-most:]]) or "(it logged nothing)"


def _event(line: str) -> str:
    """What tells lines of one sort from others: a structured log's event, or all of it."""
    record = decode(line) if line.startswith("{") else None
    return str((record or {}).get("event", line))


def _run(lines: list[str]) -> Iterator[str]:
    """The first and the last of lines of one sort: a hundred of them would hide all others."""
    if len(lines) <= LONGEST_RUN:
        yield from map(shortened, lines)
        return
    yield shortened(lines[0])
    yield f"… {len(lines) - 2} more of that sort"
    yield shortened(lines[-1])


def shortened(line: str) -> str:
    """Its beginning and its end."""
    if len(line) <= LONGEST:
        return line
    return f"{line[: LONGEST - END_SHOWN - 3]} … {line[-END_SHOWN:]}"


def explained(judgement: Judgement, history: Path) -> str:
    """Each finding with what the lines of the history say that it names."""
    if judgement.verdict is Verdict.PASS:
        return judgement.describe()
    told = [result for result in judgement.results if result.verdict is not Verdict.PASS]
    told.sort(key=lambda result: result.verdict is Verdict.UNKNOWN)
    findings = [finding for result in told for finding in result.findings]
    lines = read_lines(history, lines_of(findings))
    return "\n".join(text for result in told for text in _explained(result, lines))


def _explained(result: CheckResult, lines: Mapping[int, Line]) -> Iterator[str]:
    yield f"{result.checker}: {result.verdict}"
    for finding in result.findings:
        yield f"  {finding}"
        for line in told_of(finding, lines)[:LINES_OF_A_FINDING]:
            yield f"    {shortened(line)}"
    if result.more:
        yield "  … and more of them"
