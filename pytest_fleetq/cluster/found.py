"""A cluster that runs already, whoever started it: to be used, and not to be changed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import psutil

from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.pod import Pod
from pytest_fleetq.cluster.request import Request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.spawner import Child
from pytest_fleetq.cluster.starters import Starter

LOOK_SECONDS = 0.01

Record = Mapping[str, Any]  # JSON: where everything is


def record_of(fleet: Fleet) -> Record:
    return {"store": fleet.store_url, "pods": [_record_of_pod(pod) for pod in fleet.pods]}


def _record_of_pod(pod: Pod) -> Record:
    return {
        "index": pod.index,
        "directory": str(pod.directory),
        "host": pod.host,
        "port": pod.port,
        "pod_id": pod.pod_id,
        "pid": pod.pid,
        "born": psutil.Process(pod.pid).create_time(),
        "settings": pod.settings,
    }


class FoundFleet(Fleet):
    """Its folder has this process's own history; the pods' folders are where they are."""

    is_common = True

    def __init__(self, session: Session, request: Request, record: Record, **more: Any) -> None:
        super().__init__(session, replace(request, store=record["store"]), **more)
        self._pods = [FoundPod(about, self._starter) for about in record["pods"]]

    def start(self) -> None:
        """They run."""

    def add_pod(self) -> NoReturn:
        _refuse()

    def remove_pod(self, _pod: Pod, _timeout: float = 0.0) -> NoReturn:
        _refuse()

    def close(self) -> None:
        if not self.ended:
            self.let_go()

    def ask_pods_to_end(self, timeout: float) -> None:
        """As the last to use them: SIGTERM, and a moment to follow it."""
        children = [pod.child for pod in self._pods if isinstance(pod, FoundPod)]
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + timeout
        for child in children:
            child.wait(lambda c: c.over, max(0.0, deadline - time.monotonic()))


class FoundPod(Pod):
    def __init__(self, about: Record, starter: Starter) -> None:
        super().__init__(about["index"], Path(about["directory"]), starter, about["host"])
        self.port = about["port"]
        self.pod_id = about["pod_id"]
        self.child = FoundChild(self.name, about["pid"], about["born"])
        self.child.settings = about["settings"]
        self._child = self.child

    def about_its_end(self) -> str:
        return "runs" if self.alive else "ended"

    def launch(self) -> NoReturn:
        _refuse()

    def kill(self) -> NoReturn:
        _refuse()

    def stop(self, _timeout: float = 0.0) -> NoReturn:
        _refuse()

    def signal(self, _number: int) -> NoReturn:
        _refuse()


class FoundChild(Child):
    """Not ours to wait for: known by its pid, and by when it was born."""

    def __init__(self, name: str, pid: int, born: float) -> None:
        super().__init__(name, threading.Condition())
        self.pid: int = pid
        self._born = born

    @property
    def over(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self._born
            return not alive or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def wait(self, done: Callable[[Child], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not done(self):
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def ask_to_end(self) -> None:
        with suppress(ProcessLookupError):
            if not self.over:
                os.kill(self.pid, signal.SIGTERM)


def _refuse() -> NoReturn:
    raise ClusterError(
        "other tests use this cluster at the same time: to change or harm it, a test needs one of "
        "its own, by @pytest.mark.fleetq(scope='function')"
    )
