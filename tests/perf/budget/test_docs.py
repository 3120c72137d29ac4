"""What docs/budgets.md shows is run as it stands there, and what it lists is what there is."""

import re
from pathlib import Path

import pytest

from pytest_fleetq.perf.budget.grammar import PHASES, read_threshold
from pytest_fleetq.perf.budget.metrics import METRICS, UNITS, About
from pytest_fleetq.perf.measure.calls import needed
from tests.plugin.conftest import Run

PAGE = (Path(__file__).parents[3] / "docs" / "budgets.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TESTS = [text for language, text in BLOCKS if language == "python" and "def test_" in text]
MODULES = [text for language, text in BLOCKS if language == "python" and "def test_" not in text]
OUTPUTS = [text for language, text in BLOCKS if language == "text"]
SERVER = Path(__file__).with_name("service.py")


@pytest.mark.pages
def test_its_tests_are_judged_as_it_says(run: Run, project: pytest.Pytester) -> None:
    """All in one run, for to start pytest takes longer than most of them."""
    [my_calls] = MODULES
    too_little = TESTS[0].replace("claim.p95 <= 2s", "claim.p99 <= 50ms")
    project.makepyfile(my_calls=my_calls, server=SERVER.read_text(), test_too_little=too_little)
    files = {f"test_{number}": source for number, source in enumerate(TESTS[1:])}
    project.makepyfile(test_budgets=TESTS[0], **files)
    result = run("", "--strict-markers")
    result.assert_outcomes(passed=len(TESTS), failed=1)
    result.stdout.fnmatch_lines(["FAILED test_too_little.py::*"])
    result.stdout.fnmatch_lines(alike(OUTPUTS[0]))
    result.stdout.fnmatch_lines(alike(OUTPUTS[1]))


def test_no_block_of_it_is_left_out() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "bash", "text"}
    assert [text for language, text in BLOCKS if language == "bash"] == ["pytest test_budgets.py\n"]
    assert (len(TESTS), len(MODULES), len(OUTPUTS)) == (4, 1, 2)


def alike(output: str) -> list[str]:
    """Its lines, with any figures where it has some that differ from run to run."""
    return [
        re.sub(
            r"(?<=pass, )[\d.]+(\w*)|[\d.]+(?= times| in )|[\d.]+(?= s\))|(?<=pod-)\d", "*", line
        )
        for line in output.splitlines()
    ]


def test_every_metric_is_listed_with_all_its_units() -> None:
    table = PAGE[PAGE.index("| metric |") : PAGE.index("KB, MB and GB")]
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("|")]
    for name, metric in METRICS.items():
        of_recovery = metric.about is About.RECOVERY and name != "recovery"
        shown = f"`recovery.{name}`" if of_recovery else f"`{name}`"
        [units] = [units for names, units in rows if shown in names]
        assert units.strip(" `").split() == [unit for unit in UNITS[metric.sort] if unit]


def test_every_phase_is_listed() -> None:
    for phase in PHASES:
        assert f"`{{{phase.replace('FAULT', 'kill')}}}`" in PAGE


def test_all_thresholds_it_shows_can_be_read() -> None:
    shown = re.findall(r'"([^"\n]* [<>]=? [^"\n]*)"', "".join(TESTS))
    assert len(shown) >= 8
    for expression in shown:
        read_threshold(expression)


def test_percentiles_need_as_many_calls_as_it_says() -> None:
    told = dict(re.findall(r"([\d ]+) for p([\d.]+)", PAGE.replace("it: 20", "it:  20")))
    assert {float(p): int(n.replace(" ", "")) for n, p in told.items()} == {
        p: needed(p) for p in (50.0, 90.0, 95.0, 99.0, 99.9)
    }
