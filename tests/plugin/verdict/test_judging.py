"""Choosing checkers, asking them, and what their answers add up to."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pytest_fleetq.verdict import (
    DEFAULT_CHECKERS,
    Context,
    Finding,
    History,
    Verdict,
    choose,
    judge,
)
from tests.plugin.verdict.story import Story


class Own:
    """A checker of somebody's own."""

    needs_journal = False

    def __init__(self, name: str, *findings: Finding) -> None:
        self.name = name
        self._findings = findings

    def check(self, _history: History, _context: Context) -> Iterable[Finding]:
        return self._findings


class Broken(Own):
    def check(self, _history: History, _context: Context) -> Iterator[Finding]:
        yield Finding("something before it breaks")
        raise LookupError("the checker's own mistake")


def test_a_checker_that_raises_knows_nothing(story: Story) -> None:
    judged = judge(story.told(), [Broken("broken"), Own("fine")])
    assert judged.verdict is Verdict.UNKNOWN
    (finding,) = judged["broken"].findings
    assert "LookupError: the checker's own mistake" in finding.problem
    assert "test_judging.py" in finding.problem


def test_a_failure_outweighs_what_is_unknown(story: Story) -> None:
    checkers = [Own("a"), Broken("b"), Own("c", Finding("wrong", 7, (1, 2)))]
    judged = judge(story.told(), checkers)
    assert [result.verdict for result in judged.results] == ["pass", "unknown", "fail"]
    assert judged.verdict is Verdict.FAIL
    told = judged.describe().splitlines()
    assert told[:3] == ["c: fail", "  wrong (line 1, 2)", "b: unknown"]


def test_many_findings_are_cut_but_none_outweighs_a_failure(story: Story) -> None:
    doubts = [Finding(f"doubt {n}", verdict=Verdict.UNKNOWN) for n in range(100)]
    judged = judge(story.told(), [Own("own", *doubts, Finding("wrong"))])
    result = judged["own"]
    assert (result.verdict, len(result.findings), result.more) == (Verdict.FAIL, 20, True)
    assert result.findings[0].problem == "wrong"


def test_a_journal_that_could_not_be_read_is_told_until_it_could(story: Story) -> None:
    story.life(1)
    number = story.recorder.invoke("harness", "journal", {"after": 0})
    story.recorder.info(number, "Unavailable: no pod runs")
    (finding,) = story.judged()["history"].findings
    assert "no pod runs" in finding.problem
    assert story.judged().verdict is Verdict.UNKNOWN
    story.journal()
    assert story.judged().verdict is Verdict.PASS


def test_checkers_are_chosen_silenced_added_and_replaced() -> None:
    assert choose() == DEFAULT_CHECKERS
    assert [one.name for one in choose(["vacuity", "conservation", "vacuity"])] == [
        "vacuity", "conservation",
    ]  # fmt: skip
    assert "vacuity" not in {one.name for one in choose(silence=["vacuity"])}
    mine, other = Own("mine"), Own("vacuity")
    chosen = choose(extra=[mine, other], silence=["conservation"])
    assert mine in chosen
    assert other in chosen
    assert len(chosen) == len(DEFAULT_CHECKERS)


def test_an_unknown_checker_is_named() -> None:
    unknown = r"no checker 'vacuum'; there are at_most_one.*vacuity"
    with pytest.raises(ValueError, match=unknown):
        choose(["vacuum"])
    with pytest.raises(ValueError, match=unknown):
        choose(silence=["vacuum"])


SLACK = 2.0  # a shared machine may be half as fast as it was a moment ago

IMPORT = """
import sys, pytest, time
from fleetq_server import __version__
began = time.process_time()
import pytest_fleetq.verdict
spent = time.process_time() - began
loaded = [name for name in sys.modules if name.partition(".")[0] in ("grpc", "google", "pydantic")]
print(spent * 1000, loaded)
"""


def test_the_import_is_quick_and_brings_no_grpc(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", IMPORT]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        for _ in range(4)
    ]
    assert all(run.stdout.rstrip().endswith(" []") for run in runs)
    assert min(float(run.stdout.split()[0]) for run in runs[1:]) < 10 * SLACK
