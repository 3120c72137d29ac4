"""Every call of a cluster's client is in its history, by whichever face it was made."""

import asyncio
import json
import operator
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from fleetq_server.client import Worker
from fleetq_server.errors import InvalidArgument, NotFound
from fleetq_server.model import Cause, Completion, Failure, Fence, NewStep, Release, RetryPolicy
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.verdict import History, Operation, fingerprint
from tests.plugin.verdict.fleets import WITHIN, Start


def operations(fleet: Fleet, *names: str) -> list[Operation]:
    return list(History.load(fleet.history.path).operations(*names))


def records(fleet: Fleet, type: str, name: str) -> list[dict[str, Any]]:
    lines = map(json.loads, fleet.history.path.read_text().splitlines())
    return [one for one in lines if (one["type"], one.get("name")) == (type, name)]


def test_one_call_is_one_operation_of_either_face(start: Start) -> None:
    fleet = start(1)
    client = fleet.client
    steps = client.submit("work", [{"n": 1}, {"n": 2}])
    steps += client.run(client.aio.submit("work", [{"n": 3}], queue="other"))
    steps.append(client.submit_one("work", {"n": 4}))
    client.wait(steps, timeout=WITHIN)
    told = [(dict(one.value), one.answer["step_ids"]) for one in operations(fleet, "submit")]
    ids = [int(step) for step in steps]
    assert told == [
        ({"count": 2, "kind": "work", "queue": "default"}, ids[:2]),
        ({"count": 1, "kind": "work", "queue": "other"}, ids[2:3]),
        ({"count": 1, "kind": "work", "queue": "default"}, ids[3:]),
    ]
    seen = [step for one in operations(fleet, "wait") for step in one.answer["steps"]]
    assert Counter(step["step_id"] for step in seen) == Counter(ids)
    assert {step["state"] for step in seen} == {"COMPLETED"}


def test_steps_that_differ_are_described_one_by_one(start: Start) -> None:
    fleet = start(1)
    retry = RetryPolicy(max_attempts=7)
    fleet.client.submit_steps([NewStep("a", retry=retry), NewStep("b", run_at=2e9)])
    (submit,) = operations(fleet, "submit")
    first, second = submit.value["steps"]
    assert (first["kind"], first["retry"]["max_attempts"]) == ("a", 7)
    assert second == {"kind": "b", "queue": "default", "run_at": 2e9}


def test_a_call_says_what_it_is_about_before_it_is_made(start: Start) -> None:
    """Nobody can ask it afterwards, if no answer comes."""
    fleet = start(1)
    client = fleet.client
    client.submit("for-a-worker", [{}] * 3)
    done, failed, back = client.claim_steps("worker-0001", kinds=["for-a-worker"], limit=3).claims
    assert client.fail_steps(
        [Failure(failed.step_id, failed.fence, Cause.HANDLER_ERROR, "ValueError", "no", False)]
    )
    assert client.release_steps([Release(back.step_id, back.fence)])
    assert client.complete_steps(
        [Completion(done.step_id, done.fence), Completion(done.step_id, Fence(done.fence ^ 1))]
    )
    for name in ("complete", "fail", "release"):
        (call,), (answer,) = records(fleet, "invoke", name), records(fleet, "ok", name)
        asked, judged = call["value"]["items"], answer["value"]["items"]
        found = [{"verdict": item["verdict"]} for item in judged]
        assert list(map(operator.or_, asked, found)) == judged
        assert all({"step_id", "fence"} <= item.keys() for item in asked)
    assert [item["verdict"] for item in judged] == ["ok"]
    verdicts = [item["verdict"] for item in records(fleet, "ok", "complete")[0]["value"]["items"]]
    assert verdicts == ["ok", "finished"]


def test_a_worker_of_the_client_is_recorded(start: Start) -> None:
    fleet = start(1)
    client = fleet.client
    steps = client.submit("double", [{"n": n} for n in range(3)])

    async def work() -> None:
        worker: Worker = client.aio.worker({"double": lambda ctx: 2 * ctx.json()["n"]})
        running = asyncio.create_task(worker.run())
        await client.aio.wait(steps, timeout=WITHIN)
        worker.drain()
        await running

    client.run(work())
    claimed = {
        claim["step_id"]
        for one in operations(fleet, "claim")
        for claim in one.answer.get("claims", ())  # the last one was given up
    }
    written = {
        item["step_id"]: item["result"]
        for one in operations(fleet, "complete")
        for item in one.answer["items"]
    }
    ids = [int(step) for step in steps]
    assert claimed == written.keys() == set(ids)
    assert written == {step: fingerprint(b"%d" % (2 * n)) for n, step in enumerate(ids)}


def test_listings_are_recorded_whole_or_as_far_as_they_were_read(start: Start) -> None:
    fleet = start(1)
    client = fleet.client
    steps = client.submit("nobody-runs-this", [{}] * 3)
    client.cancel(steps[:1])
    assert len(list(client.list(kind="nobody-runs-this"))) == 3
    for _ in client.list():
        break
    assert list(client.dead()) == []
    assert [len(one.answer["steps"]) for one in operations(fleet, "list")] == [3, 1]
    (dead,) = operations(fleet, "dead")
    assert (dead.answer["steps"], dead.answer["all"]) == ([], True)
    with pytest.raises(NotFound):
        client.get(999)
    assert operations(fleet, "get")[0].answer["missing"] == [999]


def test_what_was_refused_certainly_had_no_effect(start: Start) -> None:
    fleet = start(1)
    with pytest.raises(InvalidArgument):
        fleet.client.submit("work", [{}], queue="no such name!")
    (submit,) = operations(fleet, "submit")
    assert submit.outcome == "fail"
    assert "queue" in submit.error


def test_each_process_of_the_history_does_one_thing_at_a_time(start: Start) -> None:
    fleet = start(1)

    def use(number: int) -> None:
        step = fleet.client.submit_one("work", {"n": number, "seconds": 0.05})
        fleet.client.wait([step], timeout=WITHIN)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(24)))
    spans: dict[str, list[tuple[int, int]]] = {}
    for one in operations(fleet, "submit", "wait"):
        assert one.returned is not None
        spans.setdefault(one.process, []).append((one.called, one.returned))
    assert 1 < len(spans) <= 8
    for calls in spans.values():
        calls.sort()
        assert all(before[1] < after[0] for before, after in pairwise(calls))
