"""Reading what a run has left, also where it was killed halfway."""

import shutil
from pathlib import Path

import pytest

from pytest_fleetq.report import environment, verdicts
from pytest_fleetq.report.bundle import Bundle, NoBundle
from pytest_fleetq.report.environment import Environment, PodTold
from pytest_fleetq.report.html import render
from pytest_fleetq.report.logs import MOST_BYTES, MOST_LINES, read_tails
from pytest_fleetq.report.measurements import FILE as MEASUREMENTS
from pytest_fleetq.report.summary import summarise
from pytest_fleetq.report.verdicts import Ended
from pytest_fleetq.verdict.model import CheckResult, Finding, Verdict
from tests.plugin.report.runs import Told


def test_a_folder_without_a_history_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NoBundle, match=r"holds no history\.jsonl: give a folder"):
        Bundle.at(tmp_path)
    with pytest.raises(NoBundle, match="is no folder that --fleetq-keep left"):
        Bundle.at(tmp_path / "nothing")


def test_the_folder_of_a_whole_test_run_leads_to_its_only_cluster(broken: Path) -> None:
    assert Bundle.at(broken.parent).directory == broken


def test_of_several_clusters_one_has_to_be_named(broken: Path) -> None:
    shutil.copytree(broken, broken.with_name("cluster-2"))
    with pytest.raises(NoBundle, match=r"holds 2 clusters; give one of .*cluster-1, .*cluster-2"):
        Bundle.at(broken.parent)


def test_a_run_that_was_killed_has_a_page_from_its_history_alone(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.pod("pod-0")
    told.submitted(1)
    told.recorder.close()
    with told.path.open("a") as file:
        file.write('{"type":"invoke","id":99,"t":1.0,"na')
    bundle = Bundle.at(tmp_path)
    assert "pod-0" in render(bundle)
    told_in_short = summarise(bundle)
    assert (told_in_short["outcome"], told_in_short["verdict"]) == ("unknown", None)
    assert told_in_short["steps"] == 1


def test_lines_that_say_too_little_spoil_no_page(broken: Path) -> None:
    with (broken / "history.jsonl").open("a") as file:
        kinds = ("invoke", "ok", "info", "event", "fault", "phase", "note", "odd")
        file.writelines(f'{{"type":"{kind}"}}\n' for kind in kinds)
        file.write('{"type":"invoke","id":5}\nno JSON\n[]\n')
    lines = range(1, 60)
    finding = Finding("all of them are odd", None, tuple(lines))
    ended = Ended("failed", "", (CheckResult("mine", Verdict.FAIL, (finding,)),))
    (broken / verdicts.FILE).write_text(ended.to_json())
    assert "all of them are odd" in render(Bundle.at(broken))


@pytest.mark.parametrize("name", [verdicts.FILE, environment.FILE, MEASUREMENTS])
@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}'])
def test_a_damaged_file_is_named(broken: Path, name: str, content: str) -> None:
    (broken / name).write_text(content)
    with pytest.raises(NoBundle, match=name.replace(".", r"\.")):
        render(Bundle.at(broken))


def test_verdict_and_environment_are_read_as_they_were_written() -> None:
    finding = Finding("step 3 is lost", 3, (7, 9))
    result = CheckResult("conservation", Verdict.FAIL, (finding,), True, 0.25)
    ended = Ended("failed", "E  no", (result,), (("disk", "full"),))
    assert Ended.from_json(ended.to_json()) == ended
    assert ended.verdict is Verdict.FAIL
    run = Environment("t", 7, "pytest t", pods=(PodTold("pod-0", "runs", 4, "h:1"),))
    assert Environment.from_json(run.to_json()) == run


def test_nobody_asked_is_no_verdict() -> None:
    assert Ended("passed").verdict is None


def test_the_end_of_a_long_log_is_kept(tmp_path: Path) -> None:
    (tmp_path / "pod-0").mkdir()
    (tmp_path / "pod-10").mkdir()
    (tmp_path / "pod-0" / "log").write_text("".join(f"line {n}\n" for n in range(100_000)))
    (tmp_path / "pod-10" / "log").write_text("short")
    long, short = read_tails(tmp_path)
    assert long.lines[-1] == "line 99999"
    assert len(long.lines) == MOST_LINES
    assert long.left_out == (tmp_path / "pod-0" / "log").stat().st_size - MOST_LINES * 11
    assert (short.pod, short.lines, short.left_out) == ("pod-10", ("short",), 0)


def test_a_line_that_begins_before_the_tail_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "pod-0").mkdir()
    (tmp_path / "pod-0" / "log").write_text("x" * MOST_BYTES + "\nwhole\n")
    [tail] = read_tails(tmp_path)
    assert tail.lines == ("whole",)
