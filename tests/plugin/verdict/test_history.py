"""What is recorded is read again, whatever happens to the file in between."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetq_server.errors import DeadlineExceeded, NotFound
from fleetq_server.model import Event, StepId
from pytest_fleetq.verdict import History, Outcome, Recorder, fingerprint
from tests.plugin.verdict.story import Story

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "inf" not in repr(value))
VALUES = st.dictionaries(st.text(), PLAIN, max_size=4)
OUTCOMES = st.sampled_from(["ok", "fail", "info", "open"])


@settings(max_examples=60)
@given(calls=st.lists(st.tuples(st.text(), st.text(), VALUES, OUTCOMES), max_size=12))
def test_operations_are_read_as_they_were_recorded(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, str, dict[str, Any], str]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    with Recorder(path) as recorder:
        for process, name, value, outcome in calls:
            number = recorder.invoke(process, f"own {name}", value)
            if outcome == "ok":
                recorder.ok(number, f"own {name}", {**value, "answer": 1})
            elif outcome == "fail":
                recorder.fail(number, "refused")
            elif outcome == "info":
                recorder.info(number, DeadlineExceeded("too late"))
    history = History.load(path)
    told = {one.called: one for one in history.operations()}
    read = [told[line] for line in sorted(told)]
    assert [(one.process, one.name, one.value) for one in read] == [
        (process, f"own {name}", value) for process, name, value, _ in calls
    ]
    expected = {"ok": Outcome.OK, "fail": Outcome.FAIL, "info": Outcome.INFO, "open": Outcome.INFO}
    assert [one.outcome for one in read] == [expected[outcome] for *_, outcome in calls]
    unknown = [one.called for one in read if one.outcome is Outcome.INFO]
    assert sorted(one.called for one in history.unfinished) == unknown
    assert sum(history.outcomes.values()) == len(calls)
    assert not history.damaged
    assert not history.torn


@settings(max_examples=60)
@given(share=st.floats(0, 1))
def test_a_torn_history_is_a_shorter_history(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    story = Story(tmp_path_factory.mktemp("history") / "history.jsonl")
    story.life(1)
    with story.fault("pause", "pöd-1"):
        story.life(2, fence=2)
    story.recorder.close()
    whole = story.path.read_bytes()
    cut = round(share * len(whole))
    story.path.write_bytes(whole[:cut])
    history = story.told()
    kept, _, rest = whole[:cut].rpartition(b"\n")
    assert history.lines == kept.count(b"\n") + bool(kept) + bool(rest)
    assert not history.damaged
    assert history.torn == (bool(rest) and not whole[cut:].startswith(b"\n"))
    readable = kept if history.torn or not rest else whole[:cut]
    records = [json.loads(line) for line in readable.splitlines()]
    invoked = {record["id"] for record in records if record["type"] == "invoke"}
    completed = {record["id"] for record in records if record["type"] == "ok"}
    assert len(history.unfinished) == len(invoked - completed)
    assert sum(history.outcomes.values()) == len(invoked)


def test_a_damaged_line_is_told_apart_from_a_torn_one(story: Story) -> None:
    story.life(1)
    story.recorder.close()
    lines = story.path.read_text().splitlines(keepends=True)
    broken = [
        lines[0],
        lines[1],
        lines[2][:30] + lines[3],
        "[]\n",
        '{"type": 7}\n',
        "\n",
        *lines[4:],
    ]
    story.path.write_text("".join(broken))
    history = story.told()
    assert history.damaged == [3, 4, 5]
    assert not history.torn
    assert history.steps[1].events[-1].type == "completed"
    judged = story.judged()
    assert judged["history"].findings[0].lines == (3, 4, 5)


def test_other_programs_may_write_it_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    records: list[dict[str, Any]] = [
        {"version": 1, "type": "header", "monotonic": 0.0, "wall": 0.0},
        {"t": 0.1, "name": "submit", "id": "a,b", "type": "invoke", "process": "ü", "value": {}},
        {"something": "new", "type": "weather"},
        {"t": 0.2, "name": "submit", "id": "a,b", "type": "ok", "value": {"step_ids": ["s-1"]}},
        {"t": 0.3, "type": "event", "seq": 1, "at": 5, "event": "submitted", "step_ids": ["s-1"]},
        {"t": 0.4, "type": "invoke", "name": "get", "id": 2, "process": "p"},
    ]
    path.write_text("".join(f"  {json.dumps(record)} \r\n" for record in records))
    history = History.load(path)
    assert history.steps["s-1"].acknowledged == 4
    assert [event.type for event in history.steps["s-1"].events] == ["submitted"]
    assert [(one.name, one.called) for one in history.unfinished] == [("get", 6)]
    assert not history.damaged
    as_the_recorder_begins = '{"type":"invoke","id":"a,b","t":1,"name":"get","process":"p"}\n'
    path.write_text(as_the_recorder_begins + '{"type":"info","id":"a,b","t":2}\n')
    assert [one.name for one in History.load(path).unfinished] == ["get"]


def test_the_way_out_of_an_operation_is_its_outcome(story: Story) -> None:
    recorder = story.recorder
    with recorder.operation("p", "own", n=1):
        pass
    with recorder.operation("p", "own") as answered:
        answered.ok(n=2)
        answered.info("the first word counts")
    with pytest.raises(NotFound), recorder.operation("p", "own"):
        raise NotFound("step", "7")
    partly = NotFound("step", "8")
    partly.add_note("the 1000 steps before these were submitted")
    with pytest.raises(NotFound), recorder.operation("p", "own"):
        raise partly
    with pytest.raises(KeyboardInterrupt), recorder.operation("p", "own"):
        raise KeyboardInterrupt
    told = list(story.told().operations("own"))
    assert [(one.outcome, dict(one.answer), one.error) for one in told] == [
        (Outcome.OK, {"n": 1}, ""),
        (Outcome.OK, {"n": 2}, ""),
        (Outcome.FAIL, {}, "NotFound: no step '7'"),
        (Outcome.INFO, {}, "NotFound: no step '8'"),
        (Outcome.INFO, {}, "KeyboardInterrupt: "),
    ]


def test_whatever_json_has_no_word_for_is_written_as_text(story: Story) -> None:
    value = {
        "bytes": b"abc",
        "set": {2, 1},
        "nan": float("nan"),
        3: (1, Path("x")),
        "bad": "\ud800",
    }
    story.recorder.note("odd", value=value)
    (note,) = story.told().notes
    assert note.about["value"] == {
        "bytes": fingerprint(b"abc"), "set": [1, 2], "nan": "nan", "3": [1, "x"], "bad": "\ud800",
    }  # fmt: skip


def test_events_keep_what_the_fleet_said(story: Story) -> None:
    event = Event(9, 5.5, "dead", "q", "h", 3, (StepId(1), StepId(2)), {"cause": "crashed"})
    story.recorder.event(event)
    ((happened, steps),) = story.told().events("dead")
    assert steps == (1, 2)
    assert (happened.seq, happened.at, happened.queue, happened.holder) == (9, 5.5, "q", "h")
    assert (happened.term, happened.detail) == (3, {"cause": "crashed"})
    assert story.told().steps[2].events[0].type == "dead"


def test_faults_keep_their_times_and_proofs(story: Story) -> None:
    first = story.recorder.fault_start("pause", "pod-1", duration=2)
    story.life(1)
    story.recorder.fault_end(first)
    story.recorder.fault_end(first)
    story.recorder.fault_effect(first, state="T")
    story.recorder.fault_start("kill", "pod-2")
    pause, kill = story.told().faults
    assert (pause.name, pause.detail, pause.effects) == (
        "pause",
        {"duration": 2},
        ({"state": "T"},),
    )
    assert pause.during == pause.since == (4, 3, 3)
    assert pause.end is not None
    assert (kill.target, kill.end, kill.during.operations) == ("pod-2", None, 0)


def test_threads_write_whole_lines_in_order_of_time(story: Story) -> None:
    def work(name: str) -> None:
        for number in range(200):
            with story.recorder.operation(name, "own", n=number):
                pass

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = story.told()
    assert history.outcomes == {("own", Outcome.OK): 800}
    times = [record["t"] for _, record in history.records() if "t" in record]
    assert times == sorted(times)


WRITER = """
import sys, os, signal
from pytest_fleetq.verdict import Recorder
recorder = Recorder(sys.argv[1])
with recorder.operation("other", "own", n=1):
    pass
recorder.invoke("other", "own", {"n": 2})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_another_process_joins_and_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    recorder = Recorder(path)
    open_call = recorder.invoke("this", "own", {"n": 0})
    died = subprocess.run([sys.executable, "-c", WRITER, str(path)], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    recorder.ok(open_call, "own", {"n": 0})
    recorder.close()
    told = sorted(History.load(path).operations("own"), key=lambda one: one.called)
    assert [(one.process, one.outcome.value) for one in told] == [
        ("this", "ok"), ("other", "ok"), ("other", "info"),
    ]  # fmt: skip
    assert 0 < told[0].started < told[1].started < told[2].started


def test_joining_a_torn_history_begins_a_new_line(story: Story) -> None:
    story.recorder.close()
    with story.path.open("a") as file:
        file.write('{"type":"invoke","id":1,"t":0.1,"pro')
    with Recorder(story.path) as recorder:
        recorder.phase("again")
    history = story.told()
    assert [phase.name for phase in history.phases] == ["again"]
    assert history.damaged == [2]


def test_what_is_no_history_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"type":"header","version":99,"monotonic":0}\n')
    with pytest.raises(ValueError, match="no history that version 1 could continue"):
        Recorder(path)
    assert path.read_text().count("\n") == 1


def test_a_closed_recorder_says_so(story: Story) -> None:
    story.recorder.close()
    with pytest.raises(ValueError, match="closed"):
        story.recorder.phase("late")
