"""What a cluster leaves where --fleetq-keep asks for it: see `pytest_fleetq.report.bundle`."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleetq_server.redaction import shown
from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.pod import Pod
from pytest_fleetq.report import environment, verdicts
from pytest_fleetq.report.bundle import FAULTS, Bundle
from pytest_fleetq.report.environment import Environment, PodTold
from pytest_fleetq.report.files import write_whole
from pytest_fleetq.report.html import write_page
from pytest_fleetq.report.store import copy_store
from pytest_fleetq.report.verdicts import Ended

_ASKED = {
    "n_pods": "pods",
    "handlers": "handlers",
    "command": "command",
    "launcher": "launcher",
    "config": "config",
    "with_links": "links",
    "settings": "settings",
}


def environment_of(fleet: Fleet, test: str, seed: int, reproduce: str) -> Environment:
    """To be asked while its pods still run: it tells which of them do."""
    asked = {word: getattr(fleet.request, name) for name, word in _ASKED.items()}
    return Environment(
        test, seed, reproduce, fleet.name, str(shown("store", fleet.store_url)),
        pods=tuple(_pod(pod) for pod in fleet.pods),
        settings={name: _plain(value) for name, value in asked.items() if value},
        versions=environment.versions(),
        machine=environment.machine(),
    )  # fmt: skip


def _pod(pod: Pod) -> PodTold:
    try:
        return PodTold(pod.name, pod.about_its_end(), pod.pid, pod.front)
    except ClusterError:  # it never ran
        return PodTold(pod.name, pod.about_its_end())


def leave(
    fleet: Fleet, told: Environment, ended: Ended, faults: Sequence[Mapping[str, Any]]
) -> None:
    """Makes the cluster's folder a bundle. Of tests that share it, the first to fail is told of.

    Raises: OSError, StoreNotCopied.
    """
    folder = fleet.directory
    before = _read(folder / FAULTS)
    write_whole(folder / FAULTS, json.dumps([*before, *faults], indent=1, default=str))
    copy_store(fleet.store_url, folder)
    _copy_logs(fleet)
    if not _failed_before(folder):
        write_whole(folder / environment.FILE, told.to_json())
        write_whole(folder / verdicts.FILE, ended.to_json())
    write_page(Bundle(folder))


def _copy_logs(fleet: Fleet) -> None:
    """Pods that other processes use too have their folders elsewhere."""
    for pod in fleet.pods:
        target = fleet.directory / pod.name / pod.log.name
        if pod.log.exists() and pod.log != target:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(pod.log, target)


def _failed_before(folder: Path) -> bool:
    path = folder / verdicts.FILE
    return path.exists() and Ended.from_json(path.read_text()).outcome == "failed"


def _read(path: Path) -> list[Any]:
    return list(json.loads(path.read_text())) if path.exists() else []


def _plain(value: object) -> object:
    if callable(value):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value
