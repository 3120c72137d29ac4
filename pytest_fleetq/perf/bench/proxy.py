"""What a call costs more because the proxy of network faults is in between, while it does nothing:
calls go straight and through it in turns."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from statistics import median

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fleetq_server.bench.bench import Bench
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.report import Line, Report, at_most
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session

SIZES = Sizes(steps=1000, rounds=5)
WARM_UP_CALLS = 100

Call = Callable[[], object]


def measure(plan: Plan) -> Report:
    with ExitStack() as stack:
        session = stack.enter_context(closing(Session(plan.directory)))
        fleet = stack.enter_context(closing(Fleet(session, make_request(1, links=True))))
        fleet.start()
        [pod] = fleet.pods
        straight = stack.enter_context(closing(_Caller(f"{pod.host}:{pod.port}")))
        proxied = stack.enter_context(closing(_Caller(pod.address)))
        _in_turns(straight.call, proxied.call, WARM_UP_CALLS)
        rounds = []
        for number in range(plan.rounds):
            plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
            rounds.append(_in_turns(straight.call, proxied.call, plan.steps))
        used = fleet.links.hits(("client", pod.name))["connections"]
    wrong = [] if used == 1 else [f"{used} connections went through the proxy, not 1"]
    about = {"calls_per_round": plan.steps, "rounds": plan.rounds, "raw": "without the proxy"}
    return Report("proxy", lines(rounds), wrong, about)


def lines(rounds: list[tuple[float, float]]) -> list[Line]:
    """Of each round, milliseconds of a call without the proxy and with it."""
    without, through = [one for one, _ in rounds], [other for _, other in rounds]
    added = [other - one for one, other in rounds]
    return [
        Line("a call through a proxy, p50", "ms", through, without),
        Line("added by the proxy", "ms", added, target=at_most(0.3)),
    ]


class _Caller:
    """The smallest gRPC call there is, by a connection of its own."""

    def __init__(self, address: str) -> None:
        # A pool of its own, or two channels to one address would share a connection.
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = health_pb2_grpc.HealthStub(self._channel)
        self._request = health_pb2.HealthCheckRequest()

    def call(self) -> None:
        self._stub.Check(self._request, timeout=10)

    def close(self) -> None:
        self._channel.close()


def _in_turns(one: Call, other: Call, calls: int) -> tuple[float, float]:
    """Median milliseconds of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(calls):
        for times, call in zip(took, (one, other), strict=True):
            begun = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - begun))
    return median(took[0]), median(took[1])


BENCH = Bench(measure, SIZES)
