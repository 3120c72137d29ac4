"""The operator's commands with a real pod, found by its store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fleetq_server.cli.main import main
from tests.cluster.real_pod import RealPod, real_pod


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module", autouse=True)
def pod(directory: Path) -> Iterator[RealPod]:
    with real_pod(directory) as running:
        yield running


@pytest.fixture
def fleetq(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("FLEET_Q_ADDRESS", raising=False)
    monkeypatch.setenv("FLEET_Q_STORE", f"sqlite:///{directory / 'fleet.db'}")

    def run(*args: str, stdin: str = "", code: int = 0) -> Result:
        done = CliRunner().invoke(main, args, input=stdin)
        assert done.exit_code == code, done.output
        return done

    return run


def documents(done: Result) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_submit_wait_and_show(fleetq: Any) -> None:
    lines = "".join(f'{{"kind":"double","payload":{{"n":{n}}}}}\n' for n in range(30))
    submitted = fleetq("submit", "-", stdin=lines)
    ids = submitted.stdout.split()
    assert len(ids) == 30
    waited = documents(fleetq("wait", "-", "--json", stdin=submitted.stdout))[0]
    assert waited["completed"] == 30
    assert [each["result"] for each in waited["results"]] == [2 * n for n in range(30)]
    step = documents(fleetq("steps", ids[3], "--json"))[0]
    assert (step["state"], step["payload"], step["result"]) == ("COMPLETED", {"n": 3}, 6)
    assert "COMPLETED" in fleetq("steps", "--limit", "3").stdout
    assert f"{ids[0]} " in fleetq("wait", ids[0]).stdout


def test_failures_are_exit_code_1_and_can_be_redriven_and_purged(fleetq: Any) -> None:
    args = ("--kind", "fails", "--payload", "1", "--max-attempts", "1", "--json")
    told = documents(fleetq("submit", *args, "--wait", code=1))
    assert (told[1]["state"], told[1]["message"]) == ("FAILED", "as it should")
    step = told[0]["step_id"]
    assert "as it should" in fleetq("dlq", "list").stdout
    assert fleetq("dlq", "redrive", step, "--dry-run").stdout.split() == [step]
    assert documents(fleetq("dlq", "redrive", step, "--json")) == [
        {"redriven": [step], "dry_run": False}
    ]
    fleetq("wait", step, code=1)
    assert "--yes" in fleetq("dlq", "purge", "--kind", "fails", code=2).stderr
    fleetq("dlq", "purge", "--kind", "fails", "--yes")
    assert fleetq("dlq", "list", "--json").stdout == ""


def test_what_is_not_there_is_exit_code_4(fleetq: Any) -> None:
    fleetq("steps", "999999999", code=4)
    fleetq("wait", "999999999", code=4)
    fleetq("cancel", "999999999", code=4)
    fleetq("drain", "nobody", code=4)
    error = json.loads(fleetq("steps", "999999999", "--json", code=4).stderr)["error"]
    assert (error["type"], error["exit_code"]) == ("NotFound", 4)


def test_cancelled_and_open_steps_are_a_no(fleetq: Any) -> None:
    done = fleetq("submit", "--kind", "later", "--payload", "1", "--run-at", "2100-01-01")
    step = done.stdout.strip()
    assert "not ended" in fleetq("wait", step, "--timeout", "0", code=1).stdout
    assert "cancelled" in fleetq("cancel", step).stdout
    fleetq("wait", step, "--timeout", "0", code=1)


def test_looking_at_the_fleet(fleetq: Any, pod: RealPod) -> None:
    assert documents(fleetq("pods", "--json"))[0]["pods"][0]["pod_id"] == pod.pod_id
    assert pod.pod_id in fleetq("pods").stdout
    assert documents(fleetq("leader", "--json"))[0]["pod_id"] == pod.pod_id
    assert pod.pod_id in fleetq("leader").stdout
    stats = documents(fleetq("--json", "stats"))[0]
    assert stats["conserved"] is True
    assert "submitted" in fleetq("stats").stdout
    fleetq("queues", "pause", "night")
    listed = documents(fleetq("queues", "--json"))[0]["queues"]
    assert {each["queue"]: each["paused"] for each in listed}["night"] is True
    fleetq("queues", "resume", "night")
    fleetq("queues", "pause", "Not A Queue", code=2)


def test_events_end_when_all_is_quiet(fleetq: Any) -> None:
    events = documents(fleetq("events", "--json"))
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    assert "pod_joined" in {event["type"] for event in events}
    only = documents(fleetq("events", "--json", "--type", "leader", "--since", "0"))
    assert {event["type"] for event in only} == {"leader"}


def test_a_draining_pod_ends(tmp_path: Path, fleetq: Any) -> None:
    with real_pod(tmp_path) as leaving:
        fleetq("drain", leaving.pod_id[:12], "--address", leaving.address)
        assert leaving.process.wait(20) == 0
