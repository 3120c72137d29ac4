"""What the page is told: who did what when, from the history."""

import json
from pathlib import Path
from typing import Any

from pytest_fleetq.report.calls import read_calls, spelled
from pytest_fleetq.report.cited import read_lines
from pytest_fleetq.report.lanes import Lanes
from pytest_fleetq.report.lives import Clock, Lives
from pytest_fleetq.report.story import tell
from pytest_fleetq.report.words import Words
from pytest_fleetq.verdict import History
from tests.plugin.report.runs import HOLDERS, Told, a_broken_run, bundled
from tests.plugin.verdict.story import Story

Life = list[tuple[str, str, str]]  # text, who, mark


def lives(path: Path, most: int = 1000, wanted: tuple[int, ...] = ()) -> dict[object, Life]:
    """By step, what the page would show of it."""
    history, words, clock = History.load(path), Words(), Clock()
    lanes = Lanes(history)
    read_calls(history, lanes, clock, words)
    told = Lives(history, lanes, clock, words).columns(wanted, most)
    spelled = [tuple(words.all[part] for part in code) for code in told.codes]
    found: dict[object, Any] = {}
    entries = iter(told.code)
    for step, many in zip(told.ids, told.entries, strict=True):
        found[step] = [spelled[next(entries)] for _ in range(many)]
    return found


def test_a_life_is_told_in_the_order_of_time_with_names_for_holders(tmp_path: Path) -> None:
    run = a_broken_run(tmp_path)
    assert lives(run.history.path)[3] == [
        ("submitted", "", ""),
        ("submit acknowledged", "", ""),
        ("claimed", "pod-0", "opens"),
        ("recovered", "pod-0", "crashed"),
        ("claimed", "pod-1", "opens"),
        ("completed", "pod-1", "completed"),
        ("read as COMPLETED", "", ""),
    ]


def test_the_cause_of_a_dead_step_is_told(tmp_path: Path) -> None:
    run = a_broken_run(tmp_path)
    assert lives(run.history.path)[4][-1] == ("dead: handler_error", "pod-2", "dead")


def test_without_a_journal_clients_tell_of_attempts(tmp_path: Path) -> None:
    story = Story(tmp_path / "history.jsonl")
    story.operation("submit", count=1, step_ids=[1])
    claim = {"step_id": 1, "fence": 5, "attempt": 1}
    story.operation("claim", "worker-a", holder="worker-a", claims=[claim])
    story.write("complete", 1, "worker-a", 5)
    assert lives(story.path)[1] == [
        ("submit acknowledged", "", ""),
        ("claim answered", "worker-a", "opens"),
        ("complete accepted", "worker-a", "completed"),
    ]


def test_of_too_many_steps_those_that_went_straight_are_left_out_first(tmp_path: Path) -> None:
    story = Story(tmp_path / "history.jsonl")
    for step in range(1, 101):
        story.submit(step)
        story.event("claimed", step, holder="a")
        story.event("dead" if step % 20 == 0 else "completed", step, holder="a")
    told = lives(story.path, most=10, wanted=(3,))
    assert {3, 20, 40, 60, 80, 100} <= told.keys()
    assert len(told) == 10


def test_lanes_tell_of_incarnations_and_terms(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for name in ("pod-10", "pod-2"):
        told.pod(name)
    told.leads("pod-10", 1)
    told.dies("pod-10")
    told.leads("pod-2", 2)
    told.operation("get", "client-1/123", step_id=1, steps=[])
    told.recorder.close()
    lanes = Lanes(History.load(told.path), ["pod-3"])
    lanes.of_process("client-1/123")
    two, three, ten, client = lanes.in_order()
    assert [two.name, three.name, ten.name, client.name] == ["pod-2", "pod-3", "pod-10", "client-1"]
    [life] = ten.lives
    assert life.how == "died: its lock was free"
    assert life.end is not None
    assert [(one.term, one.end is None) for one in (*ten.leads, *two.leads)] == [
        (1, False),
        (2, True),
    ]


def test_an_event_of_a_pod_with_a_wrong_clock_is_put_beside_the_one_before(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.pod("pod-0")
    told.submitted(1)
    told.event("claimed", 1, holder=HOLDERS["pod-0"], at=9e9)
    told.event("completed", 1, holder=HOLDERS["pod-0"], at=1.0)
    told.recorder.close()
    history, words = History.load(told.path), Words()
    columns = Lives(history, Lanes(history), Clock(), words).columns()
    # submitted, then both of them at the same moment; `submit acknowledged` has no clock here
    assert columns.at[2:] == [0, 0]
    assert 0 < columns.at[1] < 1_000_000


def test_calls_are_told_with_their_outcomes(tmp_path: Path) -> None:
    story = Story(tmp_path / "history.jsonl")
    story.operation("get", "client-1/5", step_id=1)
    story.recorder.fail(story.recorder.invoke("client-1/6", "claim", {}), "no")
    story.recorder.info(story.recorder.invoke("client-2", "submit", {"count": 3}), "cut off")
    story.recorder.invoke("client-2", "submit", {"count": 4})
    history, words = History.load(story.path), Words()
    told = read_calls(history, Lanes(history), Clock(), words)
    assert [words.all[lane] for lane in told.lane] == [
        "client-1",
        "client-1",
        "client-2",
        "client-2",
    ]
    assert told.outcome == [0, 1, 2, 2]
    assert [words.all[error] for error in told.error] == ["", "no", "cut off", ""]
    assert [took < 0 for took in told.took] == [False, False, False, True]


def test_of_too_many_calls_those_that_failed_and_those_cited_stay(tmp_path: Path) -> None:
    story = Story(tmp_path / "history.jsonl")
    for number in range(200):
        story.operation("get", "client", step_id=number)
    story.recorder.fail(story.recorder.invoke("client", "get", {"step_id": 200}), "no")
    history = History.load(story.path)
    told = read_calls(history, Lanes(history), Clock(), Words(), cited={12}, most=20)
    assert told.outcome[-1] == 1
    assert told.left_out == 201 - len(told.start)
    assert len(told.start) <= 22
    called = [sum(told.called[: index + 1]) for index in range(len(told.called))]
    assert 12 in called


def test_long_lists_are_told_by_their_length() -> None:
    value = {
        "count": 5,
        "steps": [1, 2, 3, 4, 5],
        "ids": [1, 2],
        "retry": {"jitter": 0.1},
        "x": None,
    }
    assert spelled(value) == "count 5, steps (5 of them), ids [1, 2], retry (jitter 0.1)"
    assert len(spelled({"text": "x" * 500})) < 200


def test_cited_lines_name_clients_pods_and_faults(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.pod("pod-0")  # line 2
    told.submitted(1)  # 3, 4, 5
    told.claimed(1, "pod-0")  # 6
    with told.fault("pause", "pod-0"):  # 7
        told.after(1)
    told.recorder.fail(told.recorder.invoke("client-9/3", "get", {}), "gone")
    asked = "count 1, kind resize, queue default, step_ids [1]"
    found = read_lines(told.path, {5, 6, 7, 11, 99})
    assert {number: line.told for number, line in found.items()} == {
        5: f"0.004 s client-1 was answered submit: {asked}",
        6: "0.004 s claimed by pod-0 (aaaaaaaa) steps [1]",
        7: "0.006 s fault pause on pod-0: start",
        11: "1.010 s client-9: get failed: gone",
    }


def test_histories_that_others_write_may_be_spaced(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    records = (
        {"type": "header", "version": 1, "monotonic": 0.0, "wall": 100.0, "run": {}},
        {"type": "invoke", "id": "a", "t": 0.5, "process": "me", "name": "write", "value": {}},
        {"type": "ok", "id": "a", "t": 0.75, "name": "write", "value": {"key": 1}},
    )
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_lines(path, {3})[3].told == "0.750 s me was answered write: key 1"


def test_a_run_of_foreign_pods_has_their_lanes_and_faults(tmp_path: Path) -> None:
    story = Story(tmp_path / "history.jsonl")
    with story.fault("partition", "pod-0, pod-2"):
        story.operation("set", "redis", key="a")
    told = tell(bundled(tmp_path, story, "passed"))
    assert [lane["name"] for lane in told["lanes"]] == ["pod-0", "pod-1", "pod-2", "redis"]
    [fault] = told["faults"]
    assert fault["targets"] == ["pod-0", "pod-2"]
