"""What a pod is to be started with: placeholders in commands, and the hand-over to launchers."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

PLACEHOLDER = re.compile(r"\{(peers|port|index|dir|store|host|name|self|python)\}")


@dataclass(frozen=True, slots=True)
class Plan:
    """One pod that is about to start, as a launcher sees it.

    Attributes:
        index: 0 for the first pod.
        name: `pod-0`, …; also how other pods and faults call it.
        directory: The pod's own folder, empty at its first start and kept over restarts.
        host: Where it should listen.
        port: Its port, its own for the life of the cluster.
        peers: The other pods by name, each with the address at which *this* pod reaches it: with
            links on, that of a proxy of its own for this one direction.
        store: What `store=` of the cluster came to.
        settings: Further arguments of `cluster(...)` that only the launcher knows.
    """

    index: int
    name: str
    directory: Path
    host: str
    port: int
    peers: Mapping[str, str]
    store: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """The text with its placeholders replaced; other braces stay as they are."""
        return PLACEHOLDER.sub(lambda match: self._value(match[1]), text)

    def _value(self, name: str) -> str:
        match name:
            case "peers":
                return ",".join(self.peers.values())
            case "dir":
                return str(self.directory)
            case "self":
                return f"{self.host}:{self.port}"
            case "python":
                return sys.executable
        return str(getattr(self, name))


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a pod.

    Attributes:
        args: The program and its arguments; no shell.
        env: Added to the environment.
        cwd: Where it runs; the pod's folder unless given.
        ready: As `ready=` of `cluster`; what the user says there comes first.
    """

    args: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Any = None


Launcher: TypeAlias = Callable[[Plan], "Command | Sequence[str]"]


def uses(placeholder: str, texts: Sequence[str]) -> bool:
    return any(f"{{{placeholder}}}" in text for text in texts)
