"""The eldest live pod leads; nobody depends on it."""

import json
import shutil

from fleetq_server.model import StepState
from tests.cluster.fleet import Pods, until
from tests.cluster.test_fencing import SWIFT, THRESHOLD


def test_the_eldest_leads_and_each_term_is_one_leaders(pods: Pods) -> None:
    generations = [pods.start("") for _ in range(3)]
    for term, eldest in enumerate(generations, 1):
        pods.await_leader(eldest)
        assert pods.reader.leadership().term == term
        eldest.kill()
    youngest = pods.start("")
    pods.await_leader(youngest)
    elections = [(event.term, event.holder) for event in pods.events("leader")]
    assert elections == [(n, pod.id) for n, pod in enumerate([*generations, youngest], 1)]


def test_pods_that_start_together_elect_one(pods: Pods) -> None:
    together = pods.start_many(3, "", **SWIFT)
    leader = pods.leader()
    for pod in together:
        pods.await_beats(pod, 5)
    assert pods.leader() is leader
    terms = [event.term for event in pods.events("leader")]
    assert terms == [*range(1, len(terms) + 1)]
    assert sum(bool(pod.said("leading")) for pod in together) >= 1


def test_work_goes_on_while_the_leader_is_busy(pods: Pods) -> None:
    """A dead pod's steps come back by way of the claims of others."""
    leader = pods.start(**SWIFT)
    victim, other = pods.start_many(2, max_parallelism=400, capacity_threshold=1, **SWIFT)
    busy = pods.client(leader, timeout=30).submit_one("block", pods.payload(seconds=6))
    pods.await_told("started", busy)
    steps = pods.client(victim).submit("hold", [pods.payload()] * 300)
    pods.await_told("started", count=301)
    victim.kill()
    until(lambda: any(t["attempt"] == 2 for t in pods.told("started")), "a step runs again")
    assert not pods.told("woke"), "the leader still does nothing"
    pods.go_on()
    pods.client(other).wait(steps, timeout=60, strict=True)
    assert pods.step(steps[0]).crashes == 1


def test_a_wrong_clock_kills_nobody(pods: Pods) -> None:
    controls = [pods.directory / f"faults-{n}" for n in range(2)]
    leader = pods.start(faults=controls[0], **SWIFT)
    other = pods.start(faults=controls[1], **SWIFT)
    step = pods.client(other).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    for jump in (86_400, -86_400):
        controls[0].write_text(json.dumps({"clock_jump": jump}))
        controls[1].write_text(json.dumps({"clock_jump": -jump}))
        pods.await_beats(leader, round(1.5 * THRESHOLD / SWIFT["heartbeat_interval_seconds"]))
    assert not pods.events("pod_dead")
    pods.go_on()
    pods.client(leader).wait([step], timeout=60, strict=True)
    assert pods.step(step).attempt == 1


def test_the_leader_prunes_what_ended_long_ago(pods: Pods) -> None:
    client = pods.client(pods.start(retention_seconds=0.2, dead_retention_seconds=3600))
    ended = client.submit("note", [pods.payload()] * 20)
    (dead,) = client.submit("fail", [pods.payload(error="PermanentError")])
    until(lambda: pods.reader.stats().totals.pruned == len(ended), "all are pruned")
    assert pods.step(dead).state is StepState.FAILED
    assert not list(client.list(kind="note"))


def test_a_paused_queue_waits_and_a_resumed_one_runs(pods: Pods) -> None:
    first, second = pods.start(), pods.start()
    client = pods.client(first)
    client.pause("mail")
    waits = client.submit_one("note", pods.payload(), queue="mail")
    passes = client.submit_one("note", pods.payload())
    client.wait([passes], timeout=60, strict=True)
    assert pods.step(waits).state is StepState.PENDING
    pods.client(second).resume("mail")
    client.wait([waits], timeout=60, strict=True)


def test_without_the_files_that_prove_life_work_goes_on(pods: Pods) -> None:
    """They are for speed; a careless clean-up must not cost more than that."""
    leader, victim = pods.start(**SWIFT), pods.start(**SWIFT)
    step = pods.client(victim).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    shutil.rmtree(f"{pods.store}.fleet")
    late = pods.start(**SWIFT)
    victim.kill()
    pods.await_told("started", step, count=2)
    pods.go_on()
    client = pods.client(leader, late)
    client.wait([step, *client.submit("note", [pods.payload()] * 20)], timeout=10, strict=True)
    assert pods.events("pod_dead")[0].detail["proof"] == "silence"
    assert len(pods.events("pod_dead")) == 1
