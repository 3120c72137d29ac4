"""The journal of a fleet that runs comes into the history as things happen."""

import json
from functools import partial
from typing import Any

import pytest

from fleetq_server.model import Completion, RetryPolicy
from pytest_fleetq import judging
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.judging import judge_fleet
from pytest_fleetq.verdict import DEFAULT_CHECKERS, History, Judgement, Verdict
from tests.plugin.verdict.fleets import QUICK, WITHIN, Start


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(judging, "LEAST_GRACE", 0.0)
    return QUICK["dead_pod_threshold_seconds"] + QUICK["claim_interval_seconds"] + 1.0


def told(fleet: Fleet) -> list[dict[str, Any]]:
    """The events in its history so far."""
    lines = fleet.history.path.read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["type"] == "event"]


def about(fleet: Fleet, kind: str) -> set[int]:
    found = (one for one in told(fleet) if one["event"] == kind)
    return {step for one in found for step in one["step_ids"]}


def submitted(fleet: Fleet, step: int) -> bool:
    return step in about(fleet, "submitted")


def now(fleet: Fleet) -> float:
    """Seconds since its history began."""
    fleet.history.note("now")
    return float(json.loads(fleet.history.path.read_text().splitlines()[-1])["t"])


def judged(fleet: Fleet) -> Judgement:
    return judge_fleet(fleet, DEFAULT_CHECKERS)


def test_events_come_while_they_happen(start: Start) -> None:
    fleet = start(2)
    steps = {int(step) for step in fleet.client.submit("work", [{"n": n} for n in range(20)])}
    fleet.wait_until(lambda: about(fleet, "completed") == steps, WITHIN)
    rules = {"dead_pod_threshold_seconds": 0.5, "claim_interval_seconds": 0.1, "max_crashes": 3}
    assert [pod.settings for pod in fleet.pods] == [rules, rules]
    verdict = judged(fleet)
    assert verdict.verdict is Verdict.PASS, verdict.describe()
    history = History.load(fleet.history.path)
    assert history.phases[-1].name == "teardown"
    assert all(trace.events[-1].seen < history.phases[-1].start for trace in history.steps.values())


def test_no_event_is_lost_or_told_twice_however_often_pods_come_and_go(start: Start) -> None:
    fleet = start(2)
    steps: set[int] = set()
    for pod in fleet.pods:
        steps |= {int(step) for step in fleet.client.submit("work", [{"n": n} for n in range(20)])}
        pod.kill()
        fleet.drain_journal()
        pod.start()
    fleet.client.wait(steps, timeout=WITHIN)
    fleet.add_pod()
    fleet.drain_journal()
    seqs = [one["seq"] for one in told(fleet)]
    assert seqs == sorted(set(seqs))
    assert (
        steps == about(fleet, "submitted") == about(fleet, "claimed") == about(fleet, "completed")
    )
    assert not {one.get("queue") or "" for one in told(fleet)} - {"", "default"}


def test_a_pod_that_hangs_does_not_keep_the_others_events(start: Start) -> None:
    fleet = start(2)
    for paused, other in (fleet.pods, fleet.pods[::-1]):
        other.start()  # if it was ended, as it was stopped in the middle of a write
        paused.expected_to_end = True
        paused.pause()
        step = int(fleet.client_of(other).submit_one("nobody-runs-this"))
        fleet.wait_until(partial(submitted, fleet, step), WITHIN)
        paused.resume()


def test_a_journal_that_cannot_be_read_is_told_and_no_failure(start: Start) -> None:
    fleet = start(1)
    fleet.client.wait(fleet.client.submit("work", [{"n": 1}]), timeout=WITHIN)
    fleet.pods[0].stop()
    verdict = judged(fleet)
    assert verdict.verdict is Verdict.UNKNOWN, verdict.describe()
    (finding,) = verdict["history"].findings
    assert "journal could not be read to its end" in finding.problem
    assert "no pod runs" in finding.problem
    fleet.pods[0].start()
    assert judged(fleet).verdict is Verdict.PASS, "later it could be read"


def test_a_step_that_an_idle_worker_leaves_alone_is_stuck(start: Start, short_grace: float) -> None:
    fleet = start(1)
    client, holder = fleet.client, "worker-0001"
    _, second = client.submit("by-a-worker", [{}, {}])
    (claim,) = client.claim_steps(holder, kinds=["by-a-worker"], wait=5).claims
    client.complete_steps([Completion(claim.step_id, claim.fence)])
    begin = now(fleet)

    def alive_for_long_enough() -> bool:
        assert client.beat(holder).alive
        return now(fleet) > begin + short_grace + 1.0

    fleet.wait_until(alive_for_long_enough, WITHIN)
    verdict = judged(fleet)
    assert verdict["nothing_stuck"].verdict is Verdict.FAIL, verdict.describe()
    (finding,) = verdict["nothing_stuck"].findings
    assert finding.step == int(second)
    assert f"{holder} does not claim it" in finding.problem


def test_a_step_that_waits_for_room_is_not_stuck(
    start: Start, short_grace: float, tmp_path
) -> None:
    fleet = start(1, max_parallelism=1, capacity_threshold=1.0)
    client, gate = fleet.client, tmp_path / "gate"
    client.submit("hold", [{"gate": str(gate)}] * 2)
    fleet.wait_until(lambda: about(fleet, "claimed"), WITHIN)
    begin = now(fleet)
    fleet.wait_until(lambda: now(fleet) > begin + short_grace + 1.0, WITHIN)
    verdict = judged(fleet)
    gate.touch()
    assert verdict.verdict is Verdict.PASS, verdict.describe()


def test_a_pod_that_answers_nobody_does_not_hold_up_the_end(start: Start) -> None:
    fleet = start(1, dead_pod_threshold_seconds=60)
    fleet.pods[0].pause()
    begin = now(fleet)
    fleet.drain_journal()
    assert now(fleet) - begin < WITHIN
    fleet.pods[0].resume()
    trouble = History.load(fleet.history.path).journal_trouble
    assert trouble is not None
    assert trouble.error


def test_the_dlq_is_looked_into_without_being_asked(start: Start) -> None:
    fleet = start(1)
    retry = RetryPolicy(max_attempts=1)
    step = int(fleet.client.submit_one("fail", {"succeed_at": 9}, retry=retry))
    fleet.wait_until(lambda: step in about(fleet, "dead"), WITHIN)
    verdict = judged(fleet)
    assert verdict.verdict is Verdict.PASS, verdict.describe()
    (listing,) = History.load(fleet.history.path).dead_listings
    assert listing.everything
    assert listing.steps == {step: {"step_id": step, "cause": "handler_error"}}
