"""GitHub Actions: a table in the step's summary, and annotations on the run."""

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_fleetq.perf.gate.judging import Verdict
from pytest_fleetq.perf.gate.outcome import Outcome
from pytest_fleetq.perf.gate.words import HEADINGS, headline, rows, sentence

SUMMARY = "GITHUB_STEP_SUMMARY"
ACTIONS = "GITHUB_ACTIONS"

_LEVELS = {
    Verdict.REGRESSION: ("error", "Performance regression"),
    Verdict.INCONCLUSIVE: ("warning", "Performance: too noisy to tell"),
}


def markdown(outcome: Outcome) -> str:
    lines = [f"### {_plain(headline(outcome))}", ""]
    if outcome.findings:
        lines += [_row(HEADINGS), _row(["---"] * len(HEADINGS))]
        lines += [_row(row) for row in rows(outcome.findings)]
        lines.append("")
    lines += [f"- {_plain(note)}" for note in outcome.notes]
    return "\n".join(lines) + "\n"


def add_to_summary(outcome: Outcome) -> None:
    """Nothing outside of GitHub Actions."""
    if path := os.environ.get(SUMMARY):
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(markdown(outcome))


def annotations(outcome: Outcome) -> Iterator[str]:
    """Lines for the log, which GitHub turns into annotations; none outside of it."""
    if os.environ.get(ACTIONS) != "true":
        return
    if outcome.reason:
        yield _annotation("error", f"Performance: {outcome.verdict.lower()}", outcome.reason)
    for finding in outcome.findings:
        if level := _LEVELS.get(finding.verdict):
            yield _annotation(*level, sentence(finding))


def _annotation(level: str, title: str, text: str) -> str:
    return f"::{level} title={_escaped(title, ',:')}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    """As the runner decodes it: data, and for properties their separators as well."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _row(cells: object) -> str:
    assert isinstance(cells, list | tuple)
    return "| " + " | ".join(_plain(str(cell)).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    return " ".join(text.replace("<", "&lt;").split())
