"""The format in which measurements travel."""

import json

import pytest

from pytest_fleetq.report.measurements import Budget, Measurements, Operation, Series
from pytest_fleetq.verdict.model import Verdict

MEASURED = Measurements(
    (
        Budget("claim.p99 <= 50ms", 12.5, 50, 4.0, Verdict.PASS, "ms"),
        Budget("recovery <= 500ms", None, 500, None, Verdict.UNKNOWN, "ms", "only one sample"),
    ),
    (Operation("claim", 9000, "steady", 2, 450.0, {"p50": 1.9, "p99": 12.5}),),
    (Series("cpu", "%", ((0.5, 31.0), (1.5, 30)), "pod-0"), Series("rate", "/s", ((0.5, 450.0),))),
)


def test_what_is_written_is_read_again() -> None:
    assert Measurements.from_json(MEASURED.to_json()) == MEASURED


def test_what_is_left_out_has_its_default() -> None:
    assert Measurements.from_json('{"format": 1}') == Measurements()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("[]", "no measurements of format 1"),
        ('{"format": 2}', "no measurements of format 1"),
        ('{"format": 1, "budgets": {}}', "budgets: this must be a list"),
        ('{"format": 1, "budgets": [{}]}', r"budgets\[0\]: 'expression' is missing"),
        ('{"format": 1, "operations": [3]}', r"operations\[0\]: "),
        (
            '{"format": 1, "series": [{"name": "a", "unit": "", "points": [[1, "x"]]}]}',
            r"series\[0\]: 'x' is no number",
        ),
    ],
)
def test_what_is_wrong_is_named(told: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Measurements.from_json(told)


def test_a_verdict_nobody_knows_is_refused() -> None:
    whole = json.loads(MEASURED.to_json())
    whole["budgets"][1]["verdict"] = "perhaps"
    with pytest.raises(ValueError, match=r"budgets\[1\]: 'perhaps' is not a valid Verdict"):
        Measurements.from_json(json.dumps(whole))


def test_numbers_that_are_none_are_not_written() -> None:
    broken = Measurements(series=(Series("rate", "/s", ((0.0, float("nan")),)),))
    with pytest.raises(ValueError, match="Out of range"):
        broken.to_json()
