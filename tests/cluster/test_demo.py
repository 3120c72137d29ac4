"""`fleetq demo` with real pods, and its verdict on runs that went wrong."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fleetq_server.cli.demonstration.files import Collection, collect, hash_file
from fleetq_server.cli.demonstration.fleet import Run
from fleetq_server.cli.demonstration.history import History, Kill
from fleetq_server.cli.demonstration.verdict import Problem, judge
from fleetq_server.cli.spawn import Pods
from fleetq_server.client import StepOutcome
from fleetq_server.errors import Unavailable
from fleetq_server.model import Audit, Cause, Counts, Event, StepId, StepState
from tests.cluster.fleet import until
from tests.cluster.launch import ROOT

pytestmark = pytest.mark.commands

DEMO = (sys.executable, "-m", "fleetq_server.cli.main", "demo")
ENDS_WITHIN = 60.0


def run_demo(*words: str) -> subprocess.CompletedProcess[str]:
    command = [*DEMO, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=ENDS_WITHIN)


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    (directory / "below").mkdir()
    for number in range(299):
        folder = directory / "below" if number % 2 else directory
        (folder / f"{number:03}").write_bytes(bytes([number % 251]) * number * 97)
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff name")).write_text("not every name is text")
    (directory / "link").symlink_to("below/001")
    (directory / "nowhere").symlink_to("gone")
    (directory / "around").symlink_to(".")
    os.mkfifo(directory / "pipe")
    return directory


# --- whole runs -------------------------------------------------------------------------------


def test_every_file_has_its_right_result_though_the_leader_is_killed(many_files: Path) -> None:
    done = run_demo(str(many_files), "--pods", "3", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["ok"], told["files"], told["problems"]) == (True, 301, [])
    assert (told["counts"]["submitted"], told["counts"]["completed"]) == (301, 301)
    assert told["skipped"] == {
        "dangling links": 1,
        "links to directories": 1,
        "special files": 1,
    }
    killed = told["killed"]
    assert killed["pod_id"] == told["first_leader"]["pod_id"]
    assert 301 / 2 <= killed["ended_by_then"] < 301
    assert killed["held"] >= 1
    assert killed["next_leader"]["pod_id"] != killed["pod_id"]
    assert killed["next_leader"]["term"] > told["first_leader"]["term"]
    assert 0 < killed["first_step_again_after"] <= killed["all_steps_again_after"]


def test_people_see_what_happened_and_when(many_files: Path) -> None:
    done = run_demo(str(many_files), "--pods", "3")
    assert done.returncode == 0, done.stderr
    assert "fleet hashes: 301 of 301 steps" in done.stderr
    for told in ("leads (term 1)", "SIGKILL to pod", "leads (term 2)", "again", "steps/s"):
        assert told in done.stdout
    assert "Each of 301 files has exactly one recorded result" in done.stdout


def test_what_lies_in_the_current_directory_is_not_run(tmp_path: Path, many_files: Path) -> None:
    for name in ("queue", "secrets", "sqlite3", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')")
    command = [sys.executable, "-P", *DEMO[1:], str(many_files), "--pods", "2"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN,
    )
    assert done.returncode == 0, done.stderr


def test_a_directory_without_files_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run_demo(str(tmp_path), "--json")
    assert done.returncode == 2
    assert "no files to hash" in json.loads(done.stderr)["error"]["message"]
    assert "1 special files" in done.stderr


@pytest.mark.parametrize("words", [("/no/such/directory",), ("--pods", "1")])
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    done = run_demo(*words)
    assert (done.returncode, done.stdout) == (2, "")


# --- the end comes early ----------------------------------------------------------------------


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Early:
    """A demonstration that will not end by itself: half of its files are too large."""

    def __init__(self, directory: Path) -> None:
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        files = directory / "files"
        files.mkdir()
        for number in range(40):
            (files / f"a{number:02}").touch()
            with (files / f"b{number:02}").open("wb") as file:
                file.truncate(1 << 40)
        self.process = subprocess.Popen(
            [*DEMO, str(files), "--pods", "3"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def await_line(self, beginning: str) -> None:
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if line.startswith(beginning):
                return
        raise AssertionError(f"it ended without {beginning!r}; it said {seen}")

    def others(self) -> list[int]:
        return [p.pid for p in psutil.process_iter() if self._is_other(p)]

    def _is_other(self, process: psutil.Process) -> bool:
        try:
            mine = os.getsid(process.pid) == self.process.pid and process.pid != self.process.pid
            return mine and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    def end(self) -> None:
        for pid in self.others():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.communicate(timeout=ENDS_WITHIN)


@pytest.fixture
def early(tmp_path: Path) -> Iterator[Early]:
    demo = Early(tmp_path)
    try:
        yield demo
    finally:
        demo.end()


@pytest.mark.parametrize(
    ("ending", "when"),
    [
        (signal.SIGINT, "pods start"),
        (signal.SIGINT, "fleet hashes"),
        (signal.SIGTERM, "fleet hashes"),
        (signal.SIGHUP, "pods start"),
    ],
)
def test_an_interrupt_leaves_no_process_and_no_file(
    early: Early, ending: signal.Signals, when: str
) -> None:
    early.await_line(when)
    assert early.others()
    early.process.send_signal(ending)
    assert early.process.wait(ENDS_WITHIN) == 130
    assert early.others() == []
    assert list(early.scratch.iterdir()) == []


def test_pods_end_with_a_demonstration_that_is_killed(early: Early) -> None:
    early.await_line("fleet hashes")
    pods = early.others()
    assert len(pods) >= 3
    early.process.kill()
    early.process.wait(ENDS_WITHIN)
    until(lambda: not early.others(), "no pod outlives the demonstration")
    assert not [pid for pid in pods if is_running(pid)]


def test_a_pod_that_cannot_start_says_why(tmp_path: Path) -> None:
    with Pods() as pods, pytest.raises(Unavailable, match="no module 'no_such_module'"):
        pods.start(2, store_url=f"sqlite:///{tmp_path}/fleet.db", handlers=["no_such_module"])


# --- the verdict ------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> Collection:
    for name in ("one", "two", "three", "four"):
        (tmp_path / name).write_text(name)
    return collect(tmp_path)


def good_run(found: Collection) -> tuple[Run, Audit]:
    step_ids = [StepId(number) for number in range(1, len(found.files) + 1)]
    counts = Counts(submitted=len(step_ids), completed=len(step_ids))
    history = History()
    for kind, holder, ids in (
        ("leader", "first", ()),
        ("claimed", "first", tuple(step_ids)),
        ("completed", None, tuple(step_ids[:2])),
        ("recovered", "first", tuple(step_ids[2:])),
        ("claimed", "second", tuple(step_ids[2:])),
        ("completed", None, tuple(step_ids[2:])),
    ):
        history.see(Event(1, 1.0, kind, "default", holder, 1, ids, {}))
    results = {
        str(step_id): completed(step_id, hash_file(file.path))
        for step_id, file in zip(step_ids, found.files, strict=True)
    }
    run = Run(history, step_ids, 0.0, Kill("first", 1, 0.5, 2), results, counts)
    return run, Audit(counts, counts, ())


def completed(step_id: StepId, value: str) -> StepOutcome:
    data = json.dumps(value).encode()
    return StepOutcome(str(step_id), StepState.COMPLETED, data, True, None, None, None, 1)


def verdict(found: Collection, run: Run, audit: Audit) -> list[Problem]:
    return judge(found, run, audit, lambda _: None)


def test_a_good_run_has_no_problem(found: Collection) -> None:
    assert verdict(found, *good_run(found)) == []


def test_a_wrong_result_names_the_file(found: Collection) -> None:
    run, audit = good_run(found)
    wrong = hashlib.sha256(b"other").hexdigest()
    run.results = {**run.results, "2": completed(StepId(2), wrong)}
    (problem,) = verdict(found, run, audit)
    assert problem.file == found.files[1].name
    assert wrong in problem.what


def test_a_missing_or_failed_result_names_the_file(found: Collection) -> None:
    run, audit = good_run(found)
    failed = StepOutcome(
        "3", StepState.FAILED, None, False, Cause.HANDLER_ERROR, "PermanentError", "gone", 1
    )
    run.results = {"1": run.results["1"], "3": failed, "4": run.results["4"]}
    problems = verdict(found, run, audit)
    assert [each.file for each in problems] == [found.files[1].name, found.files[2].name]
    assert "no recorded result" in problems[0].what
    assert "PermanentError: gone" in problems[1].what


def test_a_second_recording_of_a_result_is_found(found: Collection) -> None:
    run, audit = good_run(found)
    run.history.see(Event(9, 2.0, "completed", "default", None, None, (StepId(4),), {}))
    (problem,) = verdict(found, run, audit)
    assert (problem.file, problem.what) == (found.files[3].name, "recorded more than once")


@pytest.mark.parametrize("change", ["rewritten", "replaced", "deleted"])
def test_a_file_that_changed_meanwhile_is_named_as_such(found: Collection, change: str) -> None:
    run, audit = good_run(found)
    path = Path(found.files[0].name)
    if change == "rewritten":
        path.write_text("something else")
    else:
        path.unlink()
        if change == "replaced":
            path.write_text("four")
    (problem,) = verdict(found, run, audit)
    assert (problem.file, "changed" in problem.what) == (str(path), True)


def test_counters_and_scan_must_agree_with_the_number_of_files(found: Collection) -> None:
    run, audit = good_run(found)
    more = replace(run.counts, submitted=5, completed=5)
    run.counts = more
    (problem,) = verdict(found, run, audit)
    assert "counters" in problem.what
    run, audit = good_run(found)
    problems = verdict(found, run, Audit(more, more, ("step 5 has no payload row",)))
    assert ["step 5" in problems[0].what, "the store" in problems[1].what] == [True, True]


def test_a_run_whose_leader_was_not_lost_with_steps_proves_nothing(found: Collection) -> None:
    run, audit = good_run(found)
    run.kill = None
    assert "could be killed" in verdict(found, run, audit)[0].what
    run, audit = good_run(found)
    run.history.recovered.clear()
    assert "held no steps" in verdict(found, run, audit)[0].what


def test_the_standard_library_is_taken_without_what_python_writes_there() -> None:
    found = collect(None)
    names = {part for file in found.files for part in Path(file.name).parts}
    assert len(found.files) > 500
    assert not names & {"site-packages", "__pycache__"}
