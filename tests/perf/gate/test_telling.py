"""What is told of an outcome, on GitHub and elsewhere."""

import pytest

from pytest_fleetq.perf.gate.github import annotations, markdown
from pytest_fleetq.perf.gate.judging import Finding, Verdict
from pytest_fleetq.perf.gate.outcome import Outcome, judged
from pytest_fleetq.perf.gate.samples import Key
from pytest_fleetq.perf.gate.words import change, number, sentence
from pytest_fleetq.perf.metrics import Better, Judging
from pytest_fleetq.perf.statistics import Interval

SLOWER = Finding(
    Key("cycle|x", "cpu_seconds_per_step"),
    Verdict.REGRESSION,
    20,
    False,
    Judging(Better.LOWER),
    5e-5,
    6e-5,
    1.2,
    Interval(1.15, 1.26),
    0.0004,
)
UNCLEAR = Finding(
    Key("cycle", "throughput_per_sec"), Verdict.INCONCLUSIVE, 30, False, Judging(Better.HIGHER)
)
FINE = Finding(Key("cycle", "n"), Verdict.PASS, 30, True, note="exact")


def outcome(*findings: Finding) -> Outcome:
    sides = {"base": "aaaa", "head": "bbbb"}
    return judged(Verdict.REGRESSION, sides, findings, ["30 pairs"], {})


def test_the_summary_is_a_table_with_the_worst_first() -> None:
    lines = markdown(outcome(FINE, UNCLEAR, SLOWER)).splitlines()
    assert lines[0] == "### REGRESSION: head bbbb against base aaaa"
    columns = lines[2].split(" | ")
    assert columns[5:7] == ["95 %", "±"]
    assert lines[4] == (
        "| cycle\\|x | cpu_seconds_per_step | 5e-05 | 6e-05 | +20.0 % | +15.0 … +26.0 % | 5.5 % | "
        "0.0004 | REGRESSION |"
    )
    assert "INCONCLUSIVE" in lines[5]
    assert lines[6].endswith("PASS (exact) |")
    assert lines[-1] == "- 30 pairs"


def test_annotations_are_for_github_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert not list(annotations(outcome(SLOWER)))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    error, warning = annotations(outcome(SLOWER, UNCLEAR, FINE))
    assert error == (
        "::error title=Performance regression::cycle|x cpu_seconds_per_step: 5e-05 → 6e-05 "
        "(+20.0 %25); p 0.0004, 95 %25 interval +15.0 … +26.0 %25"
    )
    assert warning.startswith("::warning title=Performance%3A too noisy to tell::")


def test_a_reason_of_several_lines_is_one_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    failure = Outcome("NO DATA", 5, {}, reason="it broke:\nline 2")
    (error,) = annotations(failure)
    assert error == "::error title=Performance%3A no data::it broke:%0Aline 2"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.000051234, "5.123e-05"),
        (3.0, "3"),
        (45.25, "45.25"),
        (1234567.8, "1,234,568"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_changes_have_a_sign() -> None:
    assert [change(ratio) for ratio in (1.2, 0.8, 1, None)] == ["+20.0 %", "-20.0 %", "+0.0 %", ""]


def test_a_sentence_says_when_higher_is_better() -> None:
    assert "higher is better" in sentence(UNCLEAR)
