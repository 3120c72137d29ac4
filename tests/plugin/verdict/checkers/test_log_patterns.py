"""What pods wrote into their logs."""

from pathlib import Path

import pytest

from pytest_fleetq.verdict import Context, Verdict
from tests.plugin.verdict.story import Story

LOGGED = [
    "Traceback (most recent call last):",
    "thread 'main' panicked at src/main.rs:1:1:",
    "panic: runtime error: index out of range",
    "==1==ERROR: AddressSanitizer: heap-use-after-free",
    "WARNING: ThreadSanitizer: data race (pid=1)",
    "Fatal Python error: Segmentation fault",
    '{"level": "critical", "event": "store gone"}',
    '{"event": "boom", "exception": "Traceback (most recent call last):\\n  File …"}',
]


@pytest.mark.parametrize("line", LOGGED)
def test_a_bad_line_in_a_log_is_blamed(story: Story, tmp_path: Path, line: str) -> None:
    log = tmp_path / "pod-1.log"
    log.write_text(f"serving\n{line}\nserving\n")
    story.life(1)
    context = Context(logs={"pod-1": log})
    assert story.blamed(context) == {"log_patterns"}
    (finding,) = story.judged(context)["log_patterns"].findings
    assert "pod-1 logged, in line 2" in finding.problem


def test_expected_lines_and_own_patterns(story: Story, tmp_path: Path) -> None:
    log = tmp_path / "pod-1.log"
    log.write_text("Traceback (most recent call last): expected\nOUT OF CHEESE\n")
    logs = {"pod-1": log}
    ignoring = Context(logs=logs, ignored_log_patterns=["expected$"])
    assert story.blamed(ignoring) == set()
    assert story.blamed(Context(logs=logs, log_patterns=["CHEESE"])) == {"log_patterns"}


def test_the_traceback_below_an_expected_entry_is_expected(story: Story, tmp_path: Path) -> None:
    log = tmp_path / "pod-1.log"
    trace = "Traceback (most recent call last):\n  File …\nValueError: no\n"
    entry = "2026-01-01T12:00:00Z [info     ] handler failed   pod=1\n"
    context = Context(logs={"pod-1": log}, ignored_log_patterns=[r"\] handler failed "])
    log.write_text(f"{entry}{trace}\nDuring handling of it:\n\n{trace}{entry}{trace}")
    assert story.blamed(context) == set()
    log.write_text(f"{entry}{trace}2026-01-01T12:00:01Z [error    ] rpc failed\n{trace}")
    (finding,) = story.judged(context)["log_patterns"].findings
    assert "in line 6" in finding.problem


def test_a_log_that_cannot_be_read_is_no_proof(story: Story, tmp_path: Path) -> None:
    context = Context(logs={"pod-1": tmp_path / "missing.log"})
    assert story.blamed(context, Verdict.UNKNOWN) == {"log_patterns"}
