"""Clusters for a whole test run: all workers of xdist use the same pods.

Whoever needs one first starts it and hands it over to its reaper, which ends it when the last user
is gone (`users`). Nothing passes between the workers but one file that says where the pods are.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_fleetq.cluster.errors import BadRequest, NotInTime
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.fleet import END_SECONDS, Fleet
from pytest_fleetq.cluster.found import FoundFleet, record_of
from pytest_fleetq.cluster.identity import identity
from pytest_fleetq.cluster.logged import LoggedSession
from pytest_fleetq.cluster.request import Request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.users import Users
from pytest_fleetq.cluster.waiting import until

RUN = "PYTEST_XDIST_TESTRUNUID"  # the same in all workers of one run
RECORD = "cluster.json"
REAPED_SECONDS = 20.0

Hook = Callable[[Fleet], object]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a test wants beside the pods themselves."""

    timeout: float
    keep: bool
    run: Mapping[str, object]


class Common:
    """The common clusters that this process uses.

    Args:
        ready, ending: Called with a cluster when it is ready, and before it ends: by the process
            that starts it, and by the last one to leave it.
    """

    def __init__(self, session: Session, extensions: Extensions, ready: Hook, ending: Hook) -> None:
        self._session = session
        self._extensions = extensions
        self._ready = ready
        self._ending = ending
        self._run = os.environ.get(RUN, session.run_id)
        self._used: dict[str, tuple[Users, FoundFleet]] = {}

    def fleet(self, request: Request, wishes: Wishes) -> Fleet:
        """Raises: PodFailed; BadRequest for what cannot be common."""
        if request.links:
            raise BadRequest("links=True is for faults, and tests that share pods do them no harm")
        request = replace(request, links=False)
        name = f"{self._run}:{identity(request)}"
        if name not in self._used:
            self._used[name] = self._join(Users(name), request, wishes)
        return self._used[name][1]

    def close(self) -> None:
        for users, fleet in reversed(self._used.values()):
            self._leave(users, fleet)
        self._used.clear()

    def _join(self, users: Users, request: Request, wishes: Wishes) -> tuple[Users, FoundFleet]:
        link = self._link(users)

        def enter() -> bool:
            with users.alone():
                if not users.enter():
                    return False  # the last one has just left; its reaper is at work
                try:
                    if not link.exists():
                        self._start(users, request, wishes)
                except BaseException:
                    users.leave()
                    raise
                return True

        until(enter, "the end of an earlier cluster", REAPED_SECONDS)
        fleet = FoundFleet(
            self._session, request, json.loads(link.read_text()), extensions=self._extensions,
            run=wishes.run, timeout=wishes.timeout,
        )  # fmt: skip
        return users, fleet

    def _start(self, users: Users, request: Request, wishes: Wishes) -> None:
        session = LoggedSession(self._session)
        try:
            fleet = Fleet(
                session, request, extensions=self._extensions, run=wishes.run,
                timeout=wishes.timeout,
            )  # fmt: skip
            try:
                fleet.start()
                self._ready(fleet)
            finally:
                fleet.let_go()
            if wishes.keep:
                session.keep()
            record = session.directory / RECORD
            record.write_text(json.dumps(record_of(fleet)))
            session.hand_over(users, self._link(users))
        except BaseException:
            session.close()
            raise
        self._link(users).symlink_to(record)

    def _leave(self, users: Users, fleet: FoundFleet) -> None:
        with users.alone():
            last = users.is_last()
            if last:
                self._ending(fleet)
                fleet.ask_pods_to_end(END_SECONDS)
            fleet.close()
            users.leave()
            if last:
                with suppress(NotInTime):  # its reaper was killed
                    until(lambda: self._is_reaped(users), "its end", REAPED_SECONDS)

    def _is_reaped(self, users: Users) -> bool:
        if self._link(users).is_symlink() or not users.enter():
            return False
        users.leave()
        return True

    def _link(self, users: Users) -> Path:
        return self._session.runs / f"common-{users.byte:x}"
