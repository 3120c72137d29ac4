"""What a failing test shows."""

from pathlib import Path

import pytest

from tests.plugin.conftest import Run

pytestmark = pytest.mark.commands

FAILING = """
def test_it(cluster):
    cluster(2, handlers="my_handlers")
    assert False, "as it is"
"""


def test_kept_clusters_are_where_the_summary_says_with_xdist_too(run: Run, tmp_path: Path) -> None:
    result = run(FAILING, "--fleetq-keep", "--fleetq-dir", str(tmp_path / "kept"), "-n", "1")
    result.stdout.fnmatch_lines(["*clusters are kept in */kept/*"])
    [folder] = (tmp_path / "kept").glob("*/cluster-*")
    assert {"history.jsonl", "faults.json", "fleet.db", "pod-0", "pod-1"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder / "pod-0" / "log").read_text()


WRONG = """
import os, time
import pytest

def sh(script):
    return ["sh", "-c", script]

def test_dies_at_its_start(cluster):
    # At once, and not when the time is over.
    cluster(2, command=sh("echo no luck today; exit 7"), ready="tcp", timeout=1000)

def test_has_no_handlers(cluster):
    cluster(1, handlers="nobody")

def test_is_late(cluster):
    cluster(1, command=sh("echo still thinking; exec sleep 100"), ready="log:done", timeout=0.5)

def test_dies_unasked(cluster):
    kill(cluster(1, command=["sleep", "1000"]).pods[0])

def test_dies_unasked_and_may(cluster):
    kill(cluster(1, command=["sleep", "1000"], allow_exits=True).pods[0])

def kill(pod):
    os.kill(pod.pid, 9)
    while pod.alive:
        time.sleep(0.01)

def test_a_broken_promise(cluster):
    lie(cluster)

@pytest.mark.fleetq(silence=["conservation"])
def test_a_broken_promise_in_silence(cluster):
    lie(cluster)

def test_a_broken_promise_in_a_test_that_fails_by_itself(cluster):
    lie(cluster)
    pytest.fail("of its own accord")

def lie(cluster):
    fleet = cluster(1, handlers="my_handlers")
    with fleet.history.operation("liar", "submit", count=1) as operation:
        operation.ok(step_ids=[123456])

def test_a_fault_without_effect(cluster, inject_failure):
    fleet = cluster(1, handlers="my_handlers")
    inject_failure("crash_at", fleet.pods[0], at="pod.ready")
    fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]))
"""

TOLD = {
    "test_dies_at_its_start": ["*PodFailed: pod-0 ended with exit status 7*", "*no luck today*"],
    "test_has_no_handlers": ["*PodFailed*exit status 1*", "*no module 'nobody'*"],
    "test_is_late": ["*pod-0 was not ready within 0.5 s*", "*still thinking*"],
    "test_dies_unasked": ["*pod-0 was ended by signal 9 SIGKILL, though neither*"],
    "test_a_broken_promise": ["*conservation: fail*", "*step 123456 is lost*"],
    "test_a_broken_promise_in_a_test_that_fails_by_itself": [
        "*of its own accord*",
        "*fleetq: conservation: fail*",
    ],
    "test_a_fault_without_effect": ["*fault 'crash_at' on pod-0 had no effect*"],
}


def test_what_is_wrong_with_a_cluster_fails_its_test_and_is_told(run: Run) -> None:
    result = run(WRONG)
    result.assert_outcomes(failed=len(TOLD), passed=2)
    for name, lines in TOLD.items():
        result.stdout.fnmatch_lines([f"*___ {name} ___*", *lines])
