"""What a run ran on, and how to run it again: `environment.json` in its bundle."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import psutil

FORMAT = 1
FILE = "environment.json"

PACKAGES = ("pytest-fleetq", "pytest", "grpcio", "protobuf", "apsw", "psycopg")


@dataclass(frozen=True, slots=True)
class PodTold:
    """One pod as it was when its test was over."""

    name: str
    state: str  # "runs", or how it ended
    pid: int | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    test: str = ""
    seed: int | None = None
    reproduce: str = ""  # a line for the shell
    cluster: str = ""
    store: str = ""  # without its password
    pods: tuple[PodTold, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)  # what the cluster was asked for
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises: ValueError if it is nothing that `to_json` wrote."""
        told: Any = json.loads(text)
        try:
            if told.pop("format") != FORMAT:
                raise ValueError(f"this version knows environments of format {FORMAT}")
            pods = tuple(PodTold(**pod) for pod in told.pop("pods"))
            return cls(**told, pods=pods)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"this tells of no environment: {error!r}") from error


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cpus": _cpus(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GB",
    }


def _cpus() -> int:
    """Those this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
