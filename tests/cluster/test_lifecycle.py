"""How pods come and go, and what they say meanwhile."""

import os
import signal

import pytest

from fleetq_server.model import HolderStatus, StepState
from fleetq_server.store.sqlite.faultvfs import give_orders
from tests.cluster.fleet import Pod, Pods, until
from tests.cluster.launch import Command, Launcher


@pytest.fixture
def launcher() -> Launcher:
    return Command


PROCESS = "tests.cluster.handlers,tests.cluster.process_handlers"


def await_draining(pod: Pod) -> None:
    until(lambda: pod.said("draining"), "the pod drains")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["hold", "plain-hold"])
def test_a_drained_pod_finishes_what_runs(pods: Pods, kind: str, number: int) -> None:
    pod = pods.start()
    step = pods.client(pod).submit_one(kind, pods.payload())
    pods.await_told("started", step)
    pod.ask_to_end(number)
    await_draining(pod)
    pods.go_on()
    assert pod.exit_status() == 0
    assert pods.step(step).state is StepState.COMPLETED
    assert pods.tells_of(step) == [("started", 1), ("ended", 1)]
    assert pods.holder_of(pod).status is HolderStatus.GONE
    assert pods.leftovers() == []


@pytest.mark.parametrize("kind", ["hold", "plain-hold", "deaf", "process-hold"])
def test_a_drained_pod_gives_back_what_does_not_end_in_time(pods: Pods, kind: str) -> None:
    settings = {"shutdown_grace_seconds": 0.2, "process_workers": 1}
    pod = pods.start(PROCESS, **settings)
    step = pods.client(pod).submit_one(kind, pods.payload())
    pods.await_told("started", step)
    pod.ask_to_end()
    assert pod.exit_status() == 0
    pod.await_nothing_left()
    given_back = pods.step(step)
    assert (given_back.state, given_back.attempt) == (StepState.PENDING, 0)
    assert (given_back.failures, given_back.crashes) == (0, 0)
    assert pods.leftovers() == []
    pods.go_on()
    other = pods.start(PROCESS, **settings)
    assert pods.client(other).wait([step], timeout=60, strict=True)[step].attempt == 1


def test_ctrl_c_reaches_the_whole_group_and_still_drains(pods: Pods) -> None:
    pod = pods.start(PROCESS, process_workers=1)
    step = pods.client(pod).submit_one("process-hold", pods.payload())
    pods.await_told("started", step)
    os.killpg(pod.pid, signal.SIGINT)
    await_draining(pod)
    pods.go_on()
    assert pod.exit_status() == 0
    assert pods.step(step).state is StepState.COMPLETED
    pod.await_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_pod_at_once(pods: Pods, number: int) -> None:
    pod = pods.start(shutdown_grace_seconds=60)
    step = pods.client(pod).submit_one("deaf", pods.payload())
    pods.await_told("started", step)
    pod.ask_to_end(number)
    await_draining(pod)

    def ended() -> bool:
        pod.ask_to_end(number)
        return not pod.alive

    until(ended, "the pod obeys")
    assert pod.exit_status() == -number
    pods.go_on()
    pods.client(pods.start()).wait([step], timeout=60, strict=True)


def test_a_pod_drains_when_the_fleet_asks_it_to(pods: Pods) -> None:
    asked = pods.start(heartbeat_interval_seconds=0.2)
    assert pods.leader() is asked
    other = pods.start(heartbeat_interval_seconds=0.2)
    client = pods.client(other)
    client.drain(asked.id)
    assert asked.exit_status() == 0
    assert pods.holder_of(asked).status is HolderStatus.GONE
    assert [pod.pod_id for pod in client.pods()] == [other.id]
    assert pods.leader() is other
    assert pods.reader.leadership().term == 2


def test_a_draining_leader_hands_over(pods: Pods) -> None:
    first = pods.start()
    step = pods.client(first).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    assert pods.leader() is first
    second = pods.start()
    first.ask_to_end()
    await_draining(first)
    assert pods.reader.leadership().holder_id == first.id, "it still has duties"
    pods.go_on()
    assert first.exit_status() == 0
    pods.await_leader(second)
    assert not pods.events("pod_dead")


def test_a_store_that_hangs_does_not_use_up_the_grace(pods: Pods) -> None:
    pod = pods.start(shutdown_grace_seconds=300)
    step = pods.client(pod).submit_one("note", pods.payload())
    pods.client(pod).wait([step], timeout=60, strict=True)
    with pods.cut_off():
        pod.ask_to_end()
        assert pod.exit_status() == 75
    survivor = pods.start("")
    (dead,) = until(lambda: pods.events("pod_dead"), "the survivor finds the proof")
    assert (dead.holder, dead.detail["proof"]) == (pod.id, "lock")
    until(lambda: not [f for f in pods.leftovers() if survivor.id not in f], "old files removed")


def test_handlers_without_a_lease_do_not_use_up_the_grace(pods: Pods) -> None:
    pod = pods.start(shutdown_grace_seconds=300, dead_pod_threshold_seconds=2.5)
    step = pods.client(pod).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    with pods.cut_off():
        pod.ask_to_end()
        assert pod.exit_status() == 75
    assert pods.tells_of(step) == [("started", 1), ("cancelled", 1)]


def test_a_slow_store_gets_the_time_it_takes(pods: Pods) -> None:
    control = pods.directory / "faults"
    pod = pods.start(shutdown_grace_seconds=300, faults=control)
    step = pods.client(pod).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    give_orders(control, slow_sync=0.3)
    pod.ask_to_end()
    await_draining(pod)
    pods.go_on()
    assert pod.exit_status() == 0
    assert pods.step(step).state is StepState.COMPLETED
    assert pods.holder_of(pod).status is HolderStatus.GONE


def test_a_pod_that_cannot_start_leaves_nothing_behind(pods: Pods) -> None:
    first = pods.start("")
    second = pods.spawn("", listen=first.address)
    assert second.exit_status() == 2
    (line,) = second.tail().splitlines()
    assert line.startswith(f"fleetq: listen={first.address}: in use")
    assert {name.partition(".")[0] for name in pods.leftovers()} == {first.id}


def test_a_queue_that_cannot_be_is_refused(pods: Pods) -> None:
    pod = pods.spawn(queues="mail,No Queue")
    assert pod.exit_status() == 2
    assert pod.tail().startswith("fleetq: queues: 'No Queue' is no queue name")


def test_log_lines_say_whose_they_are(pods: Pods) -> None:
    pod = pods.start()
    client = pods.client(pod)
    steps = [client.submit_one(kind) for kind in ("chatter", "async-chatter")]
    client.wait(steps, timeout=60, strict=True)
    pod.ask_to_end()
    assert pod.exit_status() == 0
    lines = pod.log()
    assert len(lines) == len(pod.log_path.read_text().splitlines()), "every line is JSON"
    assert {line["pod"] for line in lines} == {pod.id[:8]}
    about = [(line["event"], line["step"], line["attempt"]) for line in lines if "step" in line]
    assert about == [("counting apples", steps[0], 1), ("counting pears", steps[1], 1)]
    terms = {line["event"]: line["term"] for line in lines if "term" in line}
    assert terms.keys() >= {"leading", "resigned"}
    assert set(terms.values()) == {1}
