"""A cluster outside of fixtures: in wider fixtures of your own, scripts and notebooks."""

import atexit
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from pytest_fleetq.cluster.errors import VerdictFailed
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.judging import judge_fleet
from pytest_fleetq.verdict import Verdict, choose


@cache
def _session() -> Session:
    session = Session(None, [Path.cwd()])
    atexit.register(session.close)
    return session


class Cluster:
    """A cluster as a context manager; its arguments are those of the fixture `cluster`.

    Leaving the block ends the pods and, unless by an exception, judges what happened.

    Raises:
        VerdictFailed: a checker found a rule broken; the message says which and by what.
    """

    def __init__(self, n_pods: int, **arguments: Any) -> None:
        self._request = make_request(n_pods, **arguments)
        self._fleet: Fleet | None = None

    def __enter__(self) -> Fleet:
        fleet = Fleet(_session(), self._request)
        try:
            fleet.start()
            fleet.follow_journal()
        except BaseException:
            fleet.close()
            raise
        self._fleet = fleet
        return fleet

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._fleet is not None
        try:
            if error is None:
                _check(self._fleet)
        finally:
            self._fleet.close()


def _check(fleet: Fleet) -> None:
    fleet.check_alive()
    if not fleet.is_fleetq:
        return
    judgement = judge_fleet(fleet, choose())
    if judgement.verdict is Verdict.FAIL:
        raise VerdictFailed(judgement.describe())
