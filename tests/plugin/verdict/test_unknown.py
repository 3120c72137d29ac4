"""What nobody can tell is neither a failure nor a warning, unless the user asks for that."""

import pytest

from tests.plugin.conftest import Run

pytestmark = pytest.mark.commands

SOURCE = """
def test_stopped(cluster):
    fleet = cluster(1, handlers="my_handlers")
    fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]), timeout=10)
    fleet.drain_journal()  # so that only what comes after is unknown
    fleet.pods[0].stop()

def test_fine(cluster):
    fleet = cluster(1, handlers="my_handlers")
    fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]), timeout=10)
"""
SUMMARY = [
    "*fleetq: verdicts that are unknown*",
    "test_it.py::test_stopped",
    "*history: unknown*",
    "*journal could not be read to its end*no pod runs*",
]


def test_an_unknown_verdict_is_told_in_the_summary(run: Run, project: pytest.Pytester) -> None:
    result = run(SOURCE, "-W", "error", "--junitxml=out.xml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(SUMMARY)
    assert str(result.stdout).count("test_it.py::test_fine") == 0
    text = (project.path / "out.xml").read_text()
    assert '<property name="fleetq_verdict" value="unknown"' in text
    assert '<property name="fleetq_unknown" value="history: unknown' in text


def test_so_it_is_with_xdist(run: Run) -> None:
    result = run(SOURCE, "-W", "error", "-n", "1")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(SUMMARY)


def test_who_wants_certainty_has_it_fail(run: Run, project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nfleetq_unknown = fail")
    result = run(SOURCE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*history: unknown*", "FAILED test_it.py::test_stopped*"])
