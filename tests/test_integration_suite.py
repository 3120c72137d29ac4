"""Whole fleets of real pods: what they promise, checked together.

pytest -c pytest.integration.ini tests/test_integration_suite.py
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleetq_server.errors import IdempotencyConflict
from fleetq_server.model import Cause, HolderType, RetryPolicy, StepState

pytestmark = pytest.mark.integration

HANDLERS = "integration_handlers"
WITHIN = 30.0
SWIFT = RetryPolicy(max_attempts=3, initial_delay=0.05, multiplier=1.0, jitter=0.0)
QUICK = {
    "heartbeat_interval_seconds": 0.2,
    "dead_pod_threshold_seconds": 1.0,
    "claim_interval_seconds": 0.2,
}


@pytest.fixture
def fleet_of(cluster: Callable[..., Any]) -> Callable[..., Any]:
    """Clusters whose handlers are found beside this file, with short times."""
    here = Path(__file__).parent

    def make(n_pods: int, **config: object) -> Any:
        return cluster(n_pods, handlers=HANDLERS, cwd=here, config={**QUICK, **config})

    return make


def finish(fleet: Any, steps: list[str]) -> Any:
    result = fleet.client.wait(steps, timeout=WITHIN)
    assert result.completed == len(steps), result.describe()
    return result


def runners(result: Any) -> Counter[int]:
    """How many steps each process ran."""
    return Counter(outcome.value["pid"] for outcome in result)


def ran(journal: Path) -> list[str]:
    """The steps whose handlers ran, once for each time."""
    return journal.read_text().split() if journal.exists() else []


class TestMultiPodIntegration:
    def test_multi_pod_leader_election(self, fleet_of) -> None:
        fleet = fleet_of(5)
        terms = []
        for _ in range(4):
            leader = fleet.leader
            eldest = next(pod for pod in fleet.client.pods() if pod.type is HolderType.POD)
            assert (eldest.pid, eldest.leader) == (leader.pid, True)
            terms.append(fleet.client.leader().term)
            leader.kill()
            fleet.wait_until(
                lambda gone=leader.pid: all(pod.pid != gone for pod in fleet.client.pods()),
                timeout=WITHIN,
            )
        assert terms == sorted(set(terms)), "each leader has a later term"
        assert fleet.leader.alive

    def test_concurrent_step_claiming(self, fleet_of) -> None:
        """Workers of three pods ask for the same steps at once: each step goes to one of them."""
        fleet = fleet_of(3)
        steps = fleet.client.submit("not-of-the-pods", [b""] * 300)

        def claim(number: int) -> list[str]:
            client, holder = fleet.client_of(fleet.pods[number % 3]), f"worker-{number:04}"
            mine: list[str] = []
            while grant := client.claim_steps(holder, kinds=["not-of-the-pods"], limit=7).claims:
                mine += [str(claim.step_id) for claim in grant]
            return mine

        with ThreadPoolExecutor(6) as threads:
            claimed = [step for mine in threads.map(claim, range(6)) for step in mine]
        assert sorted(claimed, key=int) == sorted(steps, key=int)

    def test_pod_failure_and_recovery(self, fleet_of, inject_failure, tmp_path) -> None:
        fleet = fleet_of(3, max_parallelism=20)
        gate = tmp_path / "gate"
        steps = fleet.client.submit("hold", [{"gate": str(gate)}] * 30)
        fleet.wait_until(lambda: fleet.client.stats().totals.claimed == 30, timeout=WITHIN)
        busy = fleet.wait_until(
            lambda: [pod.pid for pod in fleet.client.pods() if pod.running], timeout=WITHIN
        )
        victim = next(pod for pod in fleet.pods if pod.pid in busy)
        inject_failure("kill", victim)
        gate.touch()
        result = finish(fleet, steps)
        assert victim.pid not in runners(result)
        assert any(outcome.attempt > 1 for outcome in result), "some ran again elsewhere"

    def test_concurrent_processing(self, fleet_of) -> None:
        fleet = fleet_of(4)

        def submit(number: int) -> list[str]:
            return fleet.client.submit("work", [{"n": number * 1000 + i} for i in range(250)])

        with ThreadPoolExecutor(4) as threads:
            steps = [step for some in threads.map(submit, range(4)) for step in some]
        result = finish(fleet, steps)
        assert sorted(outcome.value["n"] for outcome in result) == [
            number * 1000 + i for number in range(4) for i in range(250)
        ]
        assert len(runners(result)) == 4, "every pod took its share"


class TestEndToEndWorkflow:
    def test_complete_step_lifecycle(self, fleet_of, tmp_path) -> None:
        fleet = fleet_of(2)
        gate = tmp_path / "gate"
        [step] = fleet.client.submit("hold", [{"gate": str(gate)}], metadata={"order": "7"})
        seen = fleet.wait_until(
            lambda: fleet.client.get(step).state is StepState.CLAIMED, timeout=WITHIN
        )
        assert seen
        gate.touch()
        [outcome] = finish(fleet, [step])
        whole = fleet.client.get(step)
        assert (whole.state, whole.attempt, whole.metadata["order"]) == ("COMPLETED", 1, "7")
        assert outcome.value["pid"] in {pod.pid for pod in fleet.pods}
        types = [e.type for e in fleet.client.events(after=0, quiet=0.5) if int(step) in e.step_ids]
        assert types == ["submitted", "claimed", "completed"]
        totals = fleet.client.stats().totals
        assert totals.conserved
        assert (totals.submitted, totals.completed) == (1, 1)

    def test_step_retry_workflow(self, fleet_of) -> None:
        fleet = fleet_of(2)
        recovers = fleet.client.submit("fail", [{"succeed_at": 3}], retry=SWIFT)
        fails = fleet.client.submit("fail", [{"succeed_at": 99}], retry=SWIFT)
        [good] = finish(fleet, recovers)
        assert good.attempt == 3
        [bad] = fleet.client.wait(fails, timeout=WITHIN)
        assert (bad.state, bad.cause, bad.attempt) == (StepState.FAILED, Cause.HANDLER_ERROR, 3)
        [dead] = fleet.client.dead()
        assert [attempt.attempt for attempt in dead.attempts] == [1, 2, 3]

    def test_idempotency_workflow(self, fleet_of, tmp_path) -> None:
        fleet = fleet_of(3)
        journal = tmp_path / "journal"
        payload = {"journal": str(journal)}
        first = fleet.client.submit("keyed", [payload], idempotency_keys=["order-7"])
        for pod in fleet.pods:
            again = fleet.client_of(pod).submit("keyed", [payload], idempotency_keys=["order-7"])
            assert again == first
        with pytest.raises(IdempotencyConflict):
            fleet.client.submit("keyed", [{**payload, "n": 1}], idempotency_keys=["order-7"])
        [outcome] = finish(fleet, first)
        # Handlers get a key of their own, the same for every attempt of a step, to pass on.
        others = finish(
            fleet, fleet.client.submit("keyed", [{**payload, "fail": 2}] * 2, retry=SWIFT)
        )
        keys = [outcome.value["key"], *(other.value["key"] for other in others)]
        assert len(set(keys)) == 3
        assert Counter(ran(journal)) == {keys[0]: 1, keys[1]: 2, keys[2]: 2}


class TestFailureInjection:
    def test_cascading_pod_failures(self, fleet_of, inject_failure, tmp_path) -> None:
        """Four of five pods are killed one after the other under load; the last one does it all."""
        # A step that was on its way through all four deaths is no poison, and looks like one.
        fleet = fleet_of(5, max_crashes=5)
        steps: list[str] = []
        for _ in range(4):
            steps += fleet.client.submit("work", [{"n": n, "seconds": 0.01} for n in range(150)])
            inject_failure("kill", "leader")
            finish(fleet, fleet.client.submit("work", [{"n": 0}]))
        assert len(finish(fleet, steps)) == 600
        assert sum(pod.alive for pod in fleet.pods) == 1

    def test_storage_error_recovery(self, fleet_of, inject_failure) -> None:
        """What is acknowledged while one pod's disk fails is done, though nobody helps that pod."""
        fleet = fleet_of(3)
        steps = fleet.client.submit("work", [{"n": n} for n in range(100)])
        with inject_failure("io_error", fleet.pods[0]):
            healthy = fleet.client_of(*fleet.pods[1:])
            steps += healthy.submit("work", [{"n": n} for n in range(100, 300)])
            healthy.wait(steps, timeout=WITHIN)
        steps += fleet.client.submit("work", [{"n": n} for n in range(300, 400)])
        result = finish(fleet, steps)
        assert sorted(outcome.value["n"] for outcome in result) == list(range(400))

    def test_leader_election_under_stress(self, fleet_of, inject_failure) -> None:
        """Leaders hang, die and come back while work goes on; the journal shows one per term."""
        fleet = fleet_of(4)
        steps: list[str] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                steps.extend(fleet.client.submit("work", [{"n": 0}] * 20, timeout=WITHIN))
                stop.wait(0.02)

        with ThreadPoolExecutor(1) as threads:
            loading = threads.submit(load)
            for name in ("pause", "kill", "pause", "kill"):
                leader = fleet.leader
                fault = inject_failure(name, leader)
                fleet.wait_until(
                    lambda hit=leader: fleet.leader is not hit, timeout=WITHIN, what="another leads"
                )
                fault.heal()
                leader.start()
            stop.set()
            loading.result(WITHIN)
        finish(fleet, steps)
        elected = [e for e in fleet.client.events(after=0, types=["leader"], quiet=0.5) if e.holder]
        assert len({event.term for event in elected}) == len(elected) >= 5

    def test_recovery_dlq_operations(self, fleet_of, inject_failure) -> None:
        """A step that kills its pods goes to the DLQ, spares the others, and can be redriven."""
        fleet = fleet_of(3, max_crashes=2)
        for pod in fleet.pods:
            pod.expected_to_end = True  # the poison is theirs to die of
        [poison] = fleet.client.submit("poison", [b""])
        good = fleet.client.submit("work", [{"n": n} for n in range(100)])
        [outcome] = fleet.client.wait([poison], timeout=WITHIN)
        assert (outcome.state, outcome.cause) == (StepState.FAILED, Cause.CRASHED)
        assert sum(not pod.alive for pod in fleet.pods) == 2
        finish(fleet, good)
        [dead] = fleet.client.dead(cause=Cause.CRASHED)
        assert dead.crashes == 2
        assert fleet.client.redrive(cause=Cause.CRASHED, dry_run=True) == [poison]
        assert fleet.client.purge(cause=Cause.CRASHED) == [poison]
        assert list(fleet.client.dead()) == []
        assert fleet.client.stats().totals.conserved
