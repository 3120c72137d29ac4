"""The load driver: an open loop, past all proxies, that tells when it was late itself."""

import socket
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_fleetq.cluster.errors import BadRequest
from pytest_fleetq.perf.load.load import LoadFailed
from pytest_fleetq.perf.load.plan import LoadResult
from pytest_fleetq.perf.measure.history import Call, read_story
from pytest_fleetq.verdict.records import Outcome

ROOT = Path(__file__).parents[3]
ASK = "tests.perf.budget.own_calls:ask"
STALL_SECONDS = 1.0
SLOW_SECONDS = 0.1


def of(fleet, name: str) -> list[Call]:
    calls = read_story(fleet.history.path, 0.0, time.monotonic()).calls
    return sorted((call for call in calls if call.name == name), key=lambda call: call.start)


@pytest.mark.timeout(120)
def test_a_stall_of_a_second_shows_in_a_hundred_calls(serve, perf_budget, inject_failure) -> None:
    """A hundred a second for ten seconds, and for one of them the server stands still. A client
    that waits for each answer before it asks again sees one slow call; a hundred were due, and
    what each has left of that second makes a ramp from there to nothing."""
    fleet = serve()
    waiting = _ClosedLoop(fleet.pods[0])
    with perf_budget.load(rate=100, duration=10, mix={ASK: 1}, max_lag=1.0) as load:
        fleet.wait_until(lambda: len(of(fleet, "ask")) > 200, timeout=60)
        with inject_failure("pause", fleet.pods[0]):
            stopped = time.monotonic()
            threading.Event().wait(STALL_SECONDS)
            resumed = time.monotonic()
    assert (load.result.calls, load.result.errors) == (1000, 0)
    waited = waiting.slow_calls()
    calls = of(fleet, "ask")
    ramp = [call for call in calls if stopped <= call.start < resumed]
    stall = resumed - stopped
    assert len(ramp) == pytest.approx(100 * stall, abs=2)
    assert all(call.end > resumed - 0.001 for call in ramp), "each waited for the end"

    # Where the machine adds to it, that client sees so too, or the driver knows that it was late.
    seen = max(stall, sum(waited)) + load.result.lag_max
    slow = sum(call.seconds > SLOW_SECONDS for call in calls)
    assert 85 * stall <= slow <= 130 * seen
    assert 0.85 * stall <= perf_budget.value("ask.p99") <= 1.3 * seen
    assert len(waited) < 0.2 * slow, "and this is what the waiting client saw of it"


class _ClosedLoop:
    """Asks a hundred times a second, but only once the last answer is there."""

    def __init__(self, pod) -> None:
        self._stop = threading.Event()
        self._took: list[float] = []
        self._connection = socket.create_connection((pod.host, pod.port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def slow_calls(self) -> list[float]:
        """Seconds of each, once it has stopped."""
        self._stop.set()
        self._thread.join(20)
        self._connection.close()
        assert len(self._took) > 100
        return [seconds for seconds in self._took if seconds > SLOW_SECONDS]

    def _run(self) -> None:
        with self._connection.makefile() as answers:
            while not self._stop.wait(0.01):
                begun = time.monotonic()
                self._connection.sendall(b"?\n")
                answers.readline()
                self._took.append(time.monotonic() - begun)


def test_calls_have_their_turn_by_the_clock_also_when_none_is_answered(serve, perf_budget) -> None:
    fleet = serve(delay=0.5)
    with perf_budget.load(rate=50, duration=1, mix={ASK: 1}, max_lag=1.0) as load:
        pass
    assert load.result.errors == 0
    gaps = [after.start - before.start for before, after in pairwise(of(fleet, "ask"))]
    assert gaps == pytest.approx([0.02] * 49, abs=1e-5)


def test_a_call_that_takes_too_long_is_given_up_and_counts_in_full(serve, perf_budget) -> None:
    fleet = serve(delay=30)
    with perf_budget.load(rate=20, duration=0.5, mix={ASK: 1}, timeout=0.3, max_lag=1.0) as load:
        pass
    assert (load.result.calls, load.result.errors) == (10, 10)
    calls = of(fleet, "ask")
    assert {call.outcome for call in calls} == {Outcome.INFO}
    assert min(call.seconds for call in calls) >= 0.3


def test_functions_that_are_not_async_run_beside_each_other(serve, perf_budget) -> None:
    serve(delay=0.2)
    call = "tests.perf.budget.own_calls:ask_in_a_thread"
    with perf_budget.load(rate=40, duration=1, mix={call: 1}, word="hello", max_lag=1.0) as load:
        pass
    assert load.result.errors == 0
    assert perf_budget.value("ask_in_a_thread.throughput") > 20, "one by one it would be 5"


def test_a_function_that_never_ends_does_not_hold_up_the_driver(serve, perf_budget) -> None:
    serve()
    hang = {"tests.perf.budget.own_calls:hang": 1}
    with perf_budget.load(rate=20, duration=0.5, mix=hang, timeout=0.2, max_lag=1.0) as load:
        pass
    assert (load.result.calls, load.result.errors) == (10, 10)


def test_it_goes_past_the_proxies(serve, perf_budget, inject_failure) -> None:
    fleet = serve(links=True)
    slow = inject_failure("latency", fleet.pods[0], latency=1500.0)
    with slow, perf_budget.load(rate=50, duration=1, mix={ASK: 1}, max_lag=1.0):
        host, port = fleet.pods[0].address.split(":")
        with socket.create_connection((host, int(port))) as through_the_proxy:
            through_the_proxy.sendall(b"?\n")
            through_the_proxy.makefile().readline()
    assert perf_budget.value("ask.max") < 1.0


def test_a_fleet_has_calls_of_its_own(cluster, perf_budget) -> None:
    fleet = cluster(2, handlers="tests.integration_handlers", cwd=ROOT)
    mix = {"submit": 2, "get": 1, "stats": 1}
    with perf_budget.load(
        rate=100, duration=1, mix=mix, kind="work", payload={"n": 1}, batch=3, max_lag=1.0
    ) as load:
        pass
    assert load.result.errors == 0
    submits = of(fleet, "submit")
    assert fleet.client.stats().totals.submitted == 3 * len(submits)
    assert len(submits) + len(of(fleet, "get")) + len(of(fleet, "stats")) >= 100
    assert {call.number for call in submits} == {3}


def test_a_driver_that_was_late_says_so() -> None:
    good = LoadResult(100, 0, 0, 0.0001, 0.001, 0.5)
    assert good.problem(0.01) == ""
    late = LoadResult(100, 0, 0, 0.0001, 0.03, 0.5)
    assert late.problem(0.01) == (
        "the load driver itself was late: by 30 ms (p99), and 10 ms are allowed; the machine is "
        "too busy for this load"
    )
    dropping = LoadResult(100, 0, 3, 0.0001, 0.001, 0.5)
    assert "left out 3 of 100 calls" in dropping.problem(0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rate": 0}, "rate=0 must be a number above 0"),
        ({"duration": float("inf")}, "duration=inf must be a number above 0"),
        ({"mix": None}, "mix= must say what to call"),
        ({"mix": {"ask": 1}}, "mix names 'ask'; there is submit, get, stats and `module:function`"),
        ({"mix": {"submit": 1}}, "'submit' is for FLEET-Q pods"),
        ({"mix": {ASK: -1}}, "must be a number above 0, not -1"),
        ({"word": b"raw"}, "its settings go to another process, as JSON"),
    ],
)
def test_a_load_that_cannot_be_is_refused(serve, perf_budget, arguments, said: str) -> None:
    serve()
    with pytest.raises(BadRequest, match="load: ") as caught:
        perf_budget.load(**{"rate": 10, "duration": 1, "mix": {ASK: 1}, **arguments})
    assert said in str(caught.value)


def test_a_load_without_a_cluster_is_refused(perf_budget) -> None:
    with pytest.raises(BadRequest, match="no cluster was made yet"):
        perf_budget.load(rate=1, duration=1)


def test_a_function_that_is_not_there_is_told(serve, perf_budget) -> None:
    serve()
    with pytest.raises(LoadFailed, match="own_calls' has no attribute 'aks'"):
        perf_budget.load(rate=10, duration=1, mix={"tests.perf.budget.own_calls:aks": 1})
    perf_budget.loads.clear()
