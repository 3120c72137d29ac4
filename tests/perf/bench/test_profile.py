"""Flame graphs of measured pods."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from fleetq_server.bench.flames import draw, read_stacks, tree_of, write_stacks
from fleetq_server.bench.profiled import stack_of
from fleetq_server.bench.profiling import find_spy
from fleetq_server.cli.main import main

pytestmark = pytest.mark.commands

STACKS = {
    ("MainThread", "serve", "parse"): 30,
    ("MainThread", "serve", "answer"): 50,
    ("MainThread", "serve"): 10,
    ("writer", "commit <&>"): 10,
}
SVG = "{http://www.w3.org/2000/svg}"


def widths(svg: str) -> dict[str, float]:
    """Of boxes, by what they tell when the mouse is over them."""
    return {
        group.findtext(f"{SVG}title", ""): float(box.get("width", ""))
        for group in ElementTree.fromstring(svg).iter(f"{SVG}g")
        for box in group.iter(f"{SVG}rect")
    }


def test_a_box_is_as_wide_as_the_time_that_was_spent_in_it() -> None:
    found = widths(draw(STACKS, "a pod"))
    whole = found["all: 100 ms, 100.0 %"]
    assert found["serve: 90 ms, 90.0 %"] == pytest.approx(0.9 * whole, abs=0.1)
    assert found["answer: 50 ms, 50.0 %"] == pytest.approx(0.5 * whole, abs=0.1)
    assert found["commit <&>: 10 ms, 10.0 %"] == pytest.approx(0.1 * whole, abs=0.1)
    assert tree_of(STACKS).depth == 4


def test_stacks_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_stacks(STACKS, tmp_path / "1.stacks")
    assert read_stacks(tmp_path / "1.stacks") == STACKS
    assert read_stacks(tmp_path / "2.stacks") == {}


def test_a_stack_begins_outermost() -> None:
    *_, caller, here = [name.split(" ")[0] for name in stack_of(sys._getframe())]
    assert here == "test_a_stack_begins_outermost"
    assert caller == "pytest_pyfunc_call"


def profile(directory: Path) -> str:
    """What `fleetq bench` says when it profiles a small run."""
    small = ["--steps", "1500", "--pods", "1", "--rounds", "1"]
    words = ["bench", "concurrent", *small, "--profile", str(directory)]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 0, ran.output
    return " ".join(ran.stdout.split())


def test_without_py_spy_each_pod_is_drawn_by_a_thread_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = tmp_path / "bin" / "py-spy"  # as it is where a user may not look into processes
    forbidden.parent.mkdir()
    forbidden.write_text("#!/bin/sh\nexit 1\n")
    forbidden.chmod(0o755)
    monkeypatch.setenv("PATH", str(forbidden.parent), prepend=":")
    told = profile(tmp_path / "profiles")
    assert "profiled processor time by a thread of the pod" in told
    pictures = sorted((tmp_path / "profiles").iterdir())
    assert [picture.name for picture in pictures] == [
        "concurrent-pod-1.svg", "concurrent-pod-2.svg",
    ]  # fmt: skip
    for picture in pictures:
        assert str(picture) in told
        assert any("MainThread" in name for name in widths(picture.read_text()))


@pytest.mark.skipif(find_spy() is None, reason="py-spy is not installed, or may not look around")
def test_py_spy_draws_each_pod_where_it_may(tmp_path: Path) -> None:
    told = profile(tmp_path / "profiles")
    assert "profiled py-spy" in told
    for number in (1, 2):
        picture = tmp_path / "profiles" / f"concurrent-pod-{number}.svg"
        assert "fleetq_server" in picture.read_text()
